"""What must be the same for a run to go on: settings, number of batches, network."""

from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from resnet_lib.train.checkpoint import CheckpointError
from resnet_lib.train.config import TrainConfig

__all__ = ["as_json", "described", "named", "require_same", "require_same_settings"]


def as_json(config: TrainConfig) -> dict[str, Any]:
    """The settings as a checkpoint gives them back."""
    return asdict(config) | {"milestones": list(config.milestones)}


def described(model: nn.Module) -> dict[str, str]:
    """Shape and number format of each weight, and whether it is trained."""
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    return {
        name: f"{tuple(value.shape)} {value.dtype}{' trained' if name in trained else ''}"
        for name, value in model.state_dict().items()
        if isinstance(value, Tensor)
    }


def named(thing: Any) -> str | None:
    """What can be kept of a function or an object: its name."""
    return None if thing is None else getattr(thing, "__qualname__", type(thing).__qualname__)


def require_same(what: str, kept: dict, now: dict) -> None:
    """Nothing is taken up from a checkpoint before it is known to be of this run.

    Raises:
        CheckpointError: something differs; the message says what.
    """
    names = [name for name in kept | now if kept.get(name) != now.get(name)]
    if names:
        changed = [f"{name} was {kept.get(name)!r}, is {now.get(name)!r}" for name in names[:3]]
        more = [f"and {len(names) - 3} more"] if len(names) > 3 else []
        raise CheckpointError(
            f"The checkpoint is of a run with other {what}: {'; '.join(changed + more)}. "
            "Give the same, or another folder to begin anew."
        )


def require_same_settings(kept: dict, config: TrainConfig, done: int, own_schedule: bool) -> None:
    """The settings must be the same; with a constant rate, `epochs` alone may be another number.

    A run that is to go on for more epochs ends as one that was to take so many from the start.
    Other schedules are laid out over all epochs, so that would be another run.

    Raises:
        CheckpointError: a setting differs, or the schedule cannot go on.
    """
    kept, now = as_json(TrainConfig()) | kept, as_json(config)
    others = [name for name in kept if name != "epochs" and kept[name] != now.get(name)]
    may_go_on = config.schedule == "constant" and not own_schedule
    if not others and kept["epochs"] != now["epochs"]:
        if may_go_on and now["epochs"] >= done:
            return
        if not may_go_on:
            raise CheckpointError(_laid_out(kept["epochs"], config, own_schedule))
    require_same("settings", kept, now)


def _laid_out(epochs: int, config: TrainConfig, own_schedule: bool) -> str:
    course = "schedule of your own" if own_schedule else f"{config.schedule} schedule"
    return (
        f"The checkpoint is of a run with other settings: epochs was {epochs}, is {config.epochs}. "
        f"The learning rate of a {course} is laid out over all epochs, so that run cannot go on "
        "for another number of them. Train anew in another folder; or train the network as it is "
        "now once more: fit with another folder of checkpoints, a tenth of the learning_rate and "
        "the epochs to add. Only runs with schedule='constant' can be given more epochs."
    )

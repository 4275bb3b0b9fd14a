"""Whether the numbers of a run are still of use."""

import math
import warnings

from resnet_lib.train.checkpoint import Checkpoints
from resnet_lib.train.state import TrainState

__all__ = ["NonFiniteLoss", "not_finite", "require_finite", "warn_if_exploded"]

# Guessing costs the logarithm of the number of classes; a loss of so many times that is no start.
MANY_GUESSES = 100


class NonFiniteLoss(Exception):
    """The loss or a weight became infinite or NaN; the message says what is left of the run."""


def require_finite(
    state: TrainState, checkpoints: Checkpoints | None, *, every_weight: bool
) -> None:
    """Stop the run where the losses of the epoch, or the weights, are not finite.

    One process's loss may be NaN where the others' are not; all of them stop.
    """
    if state.world.any(not state.is_finite(every_weight)):
        raise not_finite("The loss or a weight", state, checkpoints)


def not_finite(what: str, state: TrainState, checkpoints: Checkpoints | None) -> NonFiniteLoss:
    """The error that ends a run with numbers of no use; it says what is left of it."""
    kept = checkpoints.paths() if checkpoints is not None else []
    left = f"The last good state is {kept[0]}." if kept else "No checkpoint was kept."
    hint = "If the images are finite, a lower learning_rate, warmup_epochs or clip_norm may help."
    if state.config.precision == "fp16":
        hint = (
            "Numbers in fp16 end at 65,504, and what a network computes may be larger at any "
            "learning_rate: first try precision='bf16' or 'fp32', and images that are normalised. "
            + hint
        )
    return NonFiniteLoss(
        f"{what} became infinite or NaN in epoch {state.epoch + 1}, by update {state.step}. {left} "
        f"{hint}"
    )


def warn_if_exploded(state: TrainState, row: dict) -> bool:
    """Say that a loss has left all bounds without being infinite, and what to try first."""
    classes = state.objective.classes or 0
    if not state.objective.is_cross_entropy or classes < 2:
        return False
    losses = {n: row[f"{n}_loss"] for n in ("train", "validation") if f"{n}_loss" in row}
    name = max(losses, key=losses.get)
    if losses[name] <= MANY_GUESSES * math.log(classes):
        return False
    warnings.warn(
        f"The {name} loss is {losses[name]:,.0f} in epoch {row['epoch']}, where guessing among "
        f"{classes} classes has {math.log(classes):.1f}: the weights have been thrown far off. "
        f"First try a tenth of the learning rate (it was {row['learning_rate']:.3g}), then "
        "warmup_epochs.",
        stacklevel=4,
    )
    return True

"""Training: one `fit`, one `evaluate`, and what lets a run survive a kill."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_lib.train.checkpoint import CheckpointError, Checkpoints
    from resnet_lib.train.config import OPTIMIZERS, PRECISIONS, SCHEDULES, TrainConfig
    from resnet_lib.train.counting import Metrics, MoreCounts, count, new_sums, right_answers
    from resnet_lib.train.evaluation import Evaluation, eval_mode, evaluate
    from resnet_lib.train.history import History, tensorboard
    from resnet_lib.train.loop import fit
    from resnet_lib.train.non_finite import NonFiniteLoss
    from resnet_lib.train.objective import Loss, Objective
    from resnet_lib.train.optimisation import (
        ONE_CYCLE_END,
        ONE_CYCLE_RISE,
        ONE_CYCLE_START,
        Schedule,
        between,
        learning_rate,
        make_optimizer,
        one_cycle,
        parameter_groups,
        rates_by_part,
    )
    from resnet_lib.train.precision import (
        DTYPES,
        autocast,
        chosen_precision,
        pick_precision,
        widened,
    )
    from resnet_lib.train.processes import (
        PATIENCE,
        World,
        device_of,
        join,
        moved,
        pick_device,
    )
    from resnet_lib.train.state import TrainState
    from resnet_lib.train.step import training_step

__all__ = [
    "DTYPES",
    "ONE_CYCLE_END",
    "ONE_CYCLE_RISE",
    "ONE_CYCLE_START",
    "OPTIMIZERS",
    "PATIENCE",
    "PRECISIONS",
    "SCHEDULES",
    "CheckpointError",
    "Checkpoints",
    "Evaluation",
    "History",
    "Loss",
    "Metrics",
    "MoreCounts",
    "NonFiniteLoss",
    "Objective",
    "Schedule",
    "TrainConfig",
    "TrainState",
    "World",
    "autocast",
    "between",
    "chosen_precision",
    "count",
    "device_of",
    "eval_mode",
    "evaluate",
    "fit",
    "join",
    "learning_rate",
    "make_optimizer",
    "moved",
    "new_sums",
    "one_cycle",
    "parameter_groups",
    "pick_device",
    "pick_precision",
    "rates_by_part",
    "right_answers",
    "tensorboard",
    "training_step",
    "widened",
]

# They load when first asked for, as PEP 562 has it: the settings, which come first, can be had
# without PyTorch, which takes seconds.
_MODULES = (
    "config",
    "history",
    "checkpoint",
    "counting",
    "evaluation",
    "loop",
    "non_finite",
    "objective",
    "optimisation",
    "precision",
    "processes",
    "state",
    "step",
)


def __getattr__(name: str) -> Any:
    for module in _MODULES if name in __all__ else ():
        home = import_module(f"{__name__}.{module}")
        if name in home.__all__:
            value = globals()[name] = getattr(home, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

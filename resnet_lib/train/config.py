"""The settings of a training run, checked at the door."""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, get_args

from resnet_lib.arguments import refusal

__all__ = ["OPTIMIZERS", "PRECISIONS", "SCHEDULES", "TrainConfig"]

#: What `TrainConfig.optimizer` may be.
OPTIMIZERS = ("sgd", "adam", "adamw")
#: What `TrainConfig.schedule` may be.
SCHEDULES = ("constant", "cosine", "step", "onecycle")
#: The number formats of forward pass and gradient, from wide to narrow.
PRECISIONS = ("fp32", "bf16", "fp16")

# Of Adam and AdamW, and of SGD: PyTorch's default, and the rate of He et al. 2015a.
RATES = (1e-3, 0.1)
NAMES = {
    bool: "True or False", int: "a whole number", float: "a number", str: "a string",
    type(None): "None",
}  # fmt: skip
LIMITS = {
    "low": (operator.ge, "at least"), "above": (operator.gt, "above"),
    "high": (operator.le, "at most"), "below": (operator.lt, "below"),
}  # fmt: skip


def _option(default: Any, text: str, **rule) -> Any:
    return field(default=default, metadata={"help": text} | rule)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `fit`: SGD as in He et al. 2015a, section 4.2, with a cosine schedule.

    Every field is an option of the command line too, and stands in each checkpoint. A
    `learning_rate` that is not given is settled at once: `replace(config, optimizer="adam")` keeps
    the rate that `config` has.

    Raises:
        TypeError, ValueError: a field has the wrong type or a value that is not allowed; the
            message names the field, what came and what is allowed.
    """

    epochs: int = _option(10, "passes over the training set", low=1)
    optimizer: str = _option("sgd", "SGD with momentum, Adam or AdamW", choices=OPTIMIZERS)
    learning_rate: float = _option(
        None, "highest learning rate of the schedule; none given: 0.1 for SGD, else 0.001", above=0
    )
    momentum: float = _option(0.9, "SGD's momentum; Adam's first beta", low=0, below=1)
    nesterov: bool = _option(False, "Nesterov momentum, for SGD")
    weight_decay: float = _option(1e-4, "weight decay, per unit of learning rate", low=0)
    decay_norm_and_bias: bool = _option(True, "decay batch norm's parameters and biases too")
    schedule: str = _option("cosine", "course of the learning rate", choices=SCHEDULES)
    warmup_epochs: float = _option(0.0, "epochs of linear warm-up; onecycle has its own", low=0)
    milestones: tuple[float, ...] = _option(
        (0.5, 0.75), "for step: drops after these shares of the training", above=0, below=1
    )
    gamma: float = _option(0.1, "for step: factor of each drop", above=0, high=1)
    label_smoothing: float = _option(
        0.0, "share of the label spread over all classes", low=0, high=1
    )
    clip_norm: float | None = _option(None, "longest gradient, all parameters together", above=0)
    micro_batches: int = _option(1, "parts in which a batch goes through the network", low=1)
    precision: str = _option(
        "fp32",
        "number format of forward pass and gradient; auto: bf16 where the device is fast in it",
        choices=("auto", *PRECISIONS),
    )
    channels_last: bool = _option(False, "keep the channels of a pixel side by side in memory")
    compile: bool = _option(False, "compile the network with torch.compile")
    deterministic: bool = _option(False, "on a GPU: cuDNN's repeatable algorithms only")
    sync_batch_norm: bool = _option(False, "on several GPUs: statistics of the whole batch")
    find_unused_parameters: bool = _option(
        False, "in several processes: some weights get no gradient in some steps"
    )
    ema_decay: float | None = _option(
        None,
        "average of the weights, decay per step; the first steps' is lower, (1 + t) / (10 + t)",
        above=0, below=1,
    )  # fmt: skip
    patience: int | None = _option(
        None,
        "stop after so many epochs without a lower validation loss; the best weights stay",
        low=1,
    )
    keep_best: bool = _option(
        False, "end with the weights of the epoch with the lowest validation loss"
    )
    seed: int = _option(0, "seed of augmentation and dropout", low=0, high=2**63 - 1)

    def __post_init__(self):
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", RATES[self.optimizer == "sgd"])
        for one in fields(self):
            value = _converted(getattr(self, one.name), one.type)
            _check(one.name, value, one.type, one.metadata)
            object.__setattr__(self, one.name, value)
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise refusal(
                "nesterov",
                "needs optimizer='sgd' and a momentum above 0, "
                f"got {self.optimizer!r} and {self.momentum}",
            )
        if self.schedule == "onecycle" and self.warmup_epochs:
            raise refusal(
                "warmup_epochs",
                f"must be 0 with schedule='onecycle', which has its own, got {self.warmup_epochs}",
            )
        if self.warmup_epochs > self.epochs:
            raise refusal(
                "warmup_epochs",
                f"must be at most epochs, got {self.warmup_epochs} and {self.epochs}",
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise refusal("milestones", f"must rise, got {self.milestones}")


# The API page explains each field in the words of the command line's help.
TrainConfig.__doc__ = f"{TrainConfig.__doc__.rstrip()}\n\n    Attributes:\n" + "\n".join(
    f"        {one.name}: {one.metadata['help']}." for one in fields(TrainConfig)
)


def _converted(value: Any, kind: Any) -> Any:
    """The same value as Python's own number, also if it came from NumPy or from JSON."""
    if kind == tuple[float, ...]:
        is_list = isinstance(value, list | tuple)
        return tuple(_converted(part, float) for part in value) if is_list else value
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    if kind in (int, int | None):
        return int(value) if isinstance(value, Integral) else value
    try:
        return float(value) if kind in (float, float | None) else value
    except OverflowError:  # a whole number beyond all floats
        return math.inf if value > 0 else -math.inf


def _check(name: str, value: Any, kind: Any, rule: Mapping) -> None:
    if kind == tuple[float, ...]:
        if not isinstance(value, tuple):
            raise refusal(name, f"must be a list of numbers, got {value!r}", TypeError)
        parts, allowed = value, (float,)
    else:
        parts, allowed = (value,), get_args(kind) or (kind,)
    for part in parts:
        if type(part) not in allowed:
            names = " or ".join(NAMES[one] for one in allowed)
            raise refusal(name, f"must be {names}, got {value!r}", TypeError)
        if "choices" in rule and part not in rule["choices"]:
            raise refusal(name, f"must be one of {', '.join(rule['choices'])}, got {value!r}")
        if isinstance(part, int | float) and type(part) is not bool and not _is_within(part, rule):
            raise refusal(name, f"must be {_range(rule)}, got {value!r}")


def _is_within(number: float, rule: Mapping) -> bool:
    return math.isfinite(number) and all(
        compare(number, rule[limit]) for limit, (compare, _) in LIMITS.items() if limit in rule
    )


def _range(rule: Mapping) -> str:
    limits = (f"{word} {rule[limit]}" for limit, (_, word) in LIMITS.items() if limit in rule)
    return "finite and " + " and ".join(limits)

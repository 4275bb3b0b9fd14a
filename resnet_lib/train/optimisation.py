"""Optimiser and learning rate, as a training configuration asks for them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from resnet_lib.arguments import check_module, check_number
from resnet_lib.train.config import TrainConfig
from resnet_lib.train.same_run import named

__all__ = [
    "ONE_CYCLE_END",
    "ONE_CYCLE_RISE",
    "ONE_CYCLE_START",
    "Course",
    "Schedule",
    "between",
    "checked_optimizer",
    "learning_rate",
    "make_optimizer",
    "one_cycle",
    "parameter_groups",
    "rates_by_part",
]

#: The factor on the learning rate, from the update's number, from 0, and the number of updates.
Schedule = Callable[[int, int], float]

# PyTorch's OneCycleLR has these three too.
#: Share of the training in which a one-cycle schedule rises.
ONE_CYCLE_RISE = 0.3
#: Its first rate, as a share of the highest.
ONE_CYCLE_START = 1 / 25
#: Its last rate, as a share of the highest.
ONE_CYCLE_END = 1 / 25 / 1e4


def parameter_groups(
    model: nn.Module, weight_decay: float, decay_norm_and_bias: bool = True
) -> list[dict]:
    """Parameters as an optimiser takes them, those with weight decay apart from those without.

    He et al. 2015a decay every parameter. Goyal et al. 2017, section 5.1, leave batch norm's out;
    without `decay_norm_and_bias` so do we, and the biases too: all parameters of one dimension.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if decay_norm_and_bias:
        return [{"params": parameters, "weight_decay": weight_decay}]
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def rates_by_part(model: nn.Module, rates: Mapping[str, float], rate: float) -> list[dict]:
    """Parameters as an optimiser takes them, each part of a network with a rate of its own.

    A rate per layer group is Howard and Ruder's (2018, section 3.2). Where a part lies in another,
    the inner one's rate holds. Parameters that require no gradient are left out.

    Args:
        model: the network.
        rates: the rates, by the part's name within the model: {"fc": 0.1, "layer3": 0.01}.
        rate: that of all other parameters.

    Returns:
        A group for each rate that has parameters, with "params" and "lr"; the others' is last.

    Raises:
        TypeError: the model is no module, or a rate no number.
        ValueError: a rate is below 0 or not finite, or a part has no parameter that requires a
            gradient.
    """
    check_module("model", model)
    check_number("rate", rate, 0)
    for part, its in rates.items():
        check_number(f"rates[{part!r}]", its, 0)
    groups: dict[str, list] = {part: [] for part in (*rates, "")}
    for name, parameter in model.named_parameters():
        inside = [part for part in rates if f"{name}.".startswith(f"{part}.")]
        if parameter.requires_grad:
            groups[max(inside, key=len, default="")].append(parameter)
    if empty := [part for part in rates if not groups[part]]:
        raise ValueError(f"rates names {empty[0]!r}, in which no parameter requires a gradient")
    found = [{"params": groups[part], "lr": lr} for part, lr in {**rates, "": rate}.items()]
    return [group for group in found if group["params"]]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser that `config` names, over the parameters that require a gradient.

    Raises:
        TypeError: the model is no module, or `config` no `TrainConfig`.
        ValueError: the model has no such parameter.
    """
    check_module("model", model)
    if not isinstance(config, TrainConfig):
        raise TypeError(f"config must be a TrainConfig, got {type(config).__name__}")
    groups = parameter_groups(model, config.weight_decay, config.decay_norm_and_bias)
    if not any(group["params"] for group in groups):
        raise ValueError("model has no parameter that requires a gradient: nothing to train")
    rate, betas = config.learning_rate, (config.momentum, 0.999)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, momentum=config.momentum, nesterov=config.nesterov)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(groups, rate, betas=betas)


def checked_optimizer(
    optimizer: torch.optim.Optimizer | None, model: nn.Module
) -> torch.optim.Optimizer | None:
    """The caller's optimiser, if it is one and trains this model.

    Raises:
        TypeError: it is no torch optimiser.
        ValueError: it has parameters that the model does not have, or none that is trained.
    """
    if optimizer is None:
        return None
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch optimiser, got {type(optimizer).__name__}")
    own = set(map(id, model.parameters()))
    given = [p for group in optimizer.param_groups for p in group["params"]]
    if strange := sum(id(p) not in own for p in given):
        raise ValueError(
            f"optimizer must be made of the model's parameters, got {strange} of {len(given)} that "
            "are not: make it after the last change of the model"
        )
    if not any(p.requires_grad for p in given):
        raise ValueError("optimizer has no parameter that requires a gradient: nothing to train")
    return optimizer


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """Learning rate of update number `step`, from 0, in a training of `steps` updates.

    - constant: the highest rate throughout.
    - cosine (Loshchilov and Hutter 2017, eq. 5, one period): from the highest rate towards 0.
    - step (He et al. 2015a, section 4.2): times `gamma` after each share in `milestones`.
    - onecycle (Smith and Topin 2017; PyTorch's OneCycleLR, without its cycle of the momentum):
      from 1/25 of the highest rate up to it during 30 % of the training, then down to 0.000004
      of it.

    Warm-up comes before, and raises the rate in equal steps. Milestones count from the start of
    the training, the cosine from the end of the warm-up.
    """
    highest = config.learning_rate
    if config.schedule == "onecycle":
        return highest * one_cycle(step, steps)
    warm = round(config.warmup_epochs / config.epochs * steps)
    if step < warm:
        return highest * (step + 1) / warm
    if config.schedule == "cosine":
        return highest * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
    if config.schedule == "step":
        return highest * config.gamma ** sum(step >= share * steps for share in config.milestones)
    return highest


def one_cycle(step: int, steps: int) -> float:
    """Rate of update number `step` of a one-cycle schedule, as a share of the highest rate."""
    top = ONE_CYCLE_RISE * steps - 1
    if step <= top:
        return between(ONE_CYCLE_START, 1, step / top)
    return between(1, ONE_CYCLE_END, (step - top) / (steps - 1 - top))


def between(start: float, end: float, share: float) -> float:
    """Half a cosine wave from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class Course:
    """The learning rates of a run: of the settings, or of the caller's optimiser and schedule.

    Args:
        config: the settings.
        optimizer: its groups begin with their own highest rates.
        schedule: the factor on them from the update's number and the number of updates; None: the
            one that `config` names.
        given: whether the optimiser is the caller's.
    """

    def __init__(
        self,
        config: TrainConfig,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule | None,
        *,
        given: bool,
    ):
        self.schedule, self._config = schedule, config
        self._unit = replace(config, learning_rate=1.0)
        self._given = type(optimizer).__qualname__ if given else None
        groups = optimizer.param_groups
        self._sizes = [len(group["params"]) for group in groups]
        self._highest = [float(group["lr"]) for group in groups]

    def rates(self, step: int, steps: int) -> list[float]:
        """Each group's rate in update number `step`, from 0, of `steps`.

        Raises:
            ValueError: the schedule gives no number of at least 0.
        """
        if self.schedule is not None:
            factor = float(self.schedule(step, steps))
            if not 0 <= factor < math.inf:
                raise ValueError(
                    f"schedule must give a finite factor of at least 0, got {factor} for update "
                    f"{step} of {steps}"
                )
        elif self._given:
            factor = learning_rate(self._unit, step, steps)
        else:
            return [learning_rate(self._config, step, steps)] * len(self._highest)
        return [highest * factor for highest in self._highest]

    def described(self) -> dict[str, Any]:
        """What a checkpoint can say of the caller's optimiser and schedule."""
        groups = [list(one) for one in zip(self._sizes, self._highest, strict=True)]
        return {
            "schedule": named(self.schedule),
            "optimizer": self._given,
            "parameters and rates": groups if self._given else None,
        }

"""Optimiser and learning rate, as a training configuration asks for them."""

import math

import torch
from torch import nn

from resnet_lib.train.config import TrainConfig

__all__ = [
    "ONE_CYCLE_END",
    "ONE_CYCLE_RISE",
    "ONE_CYCLE_START",
    "between",
    "learning_rate",
    "make_optimizer",
    "one_cycle",
    "parameter_groups",
]

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


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser that `config` names, over the parameters that require a gradient.

    Raises:
        ValueError: the model has no such parameter.
    """
    groups = parameter_groups(model, config.weight_decay, config.decay_norm_and_bias)
    if not any(group["params"] for group in groups):
        raise ValueError("model has no parameter that requires a gradient: nothing to train")
    rate, betas = config.learning_rate, (config.momentum, 0.999)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, momentum=config.momentum, nesterov=config.nesterov)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(groups, rate, betas=betas)


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

"""Evaluation: averages over samples, and the network left as it was."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from resnet_lib.train.counting import Metrics, MoreCounts, count, new_sums
from resnet_lib.train.objective import Loss, Objective
from resnet_lib.train.precision import autocast, chosen_precision, widened
from resnet_lib.train.processes import World, device_of, moved

__all__ = ["Evaluation", "eval_mode", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns: averages over samples.

    Attributes:
        loss: cross-entropy in nats, without label smoothing; or the caller's loss.
        accuracy: share of right answers, of 1.
        samples: how many there were.
        top5: share of samples whose class is among the five highest scores; None for fewer than
            six classes, and where labels are shares of classes.
        confusion: (K, K) int64 where it was asked for: how many samples of the row's class were
            taken for the column's.
        metrics: the caller's, by name.
    """

    loss: float
    accuracy: float
    samples: int
    top5: float | None = None
    confusion: Tensor | None = field(default=None, compare=False)
    metrics: dict[str, float] = field(default_factory=dict)


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    precision: str = "fp32",
    channels_last: bool = False,
    loss: Loss | None = None,
    metrics: Metrics | None = None,
    confusion: bool = False,
    world: World | None = None,
) -> Evaluation:
    """Loss and accuracy over all samples of `batches`, in eval mode.

    The loss is averaged over samples, not over batches, so a short last batch counts for what it
    holds. With several processes each brings its own batches, and all get the same result.

    Args:
        model: gives (N, K) scores for (N, C, H, W) images. It stays on its device, and each of
            its layers keeps its mode.
        batches: images, and labels: classes, int64 (N,), or shares of classes, floating point
            (N, K), as `right_answers` counts them.
        precision: number format, one of `PRECISIONS`, or "auto".
        channels_last: whether to lay the images out with their channels side by side.
        loss: gives the mean over a batch, from scores and labels; None: cross-entropy.
        metrics: functions of scores and labels that give one value per sample (N,), or a batch's
            mean.
        confusion: whether to count which class was taken for which.
        world: the processes; None: alone, on the model's device.

    Raises:
        TypeError: a batch is not images and labels.
        ValueError: there is no sample, a label is out of range, or `precision` is unknown.
    """
    world = world or World(device_of(model))
    precision = chosen_precision(precision, world.device)
    objective, sums = Objective(loss, device=world.device), new_sums(world.device)
    more = MoreCounts(world.device, metrics, confusion)
    with eval_mode(model), torch.no_grad():
        for images, labels in objective.pairs(batches):
            images, labels = moved(images, labels, world.device, channels_last)
            with autocast(world.device, precision):
                scores = widened(model(images))  # (N, K)
            count(sums, objective.total(scores, labels), scores, labels)
            more.add(scores, labels)
    total, right, samples = world.sum(sums).tolist()
    if not samples:
        raise ValueError("batches must hold at least one sample, got none")
    extras = more.result(world, samples)
    return Evaluation(total / samples, right / samples, int(samples), **extras)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; layers that were frozen in eval mode before stay so after."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode

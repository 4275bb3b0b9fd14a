"""Sums over the samples of an epoch or an evaluation, kept on the device."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from resnet_lib.train.processes import World

__all__ = ["Metrics", "MoreCounts", "count", "new_sums", "right_answers"]

#: The caller's metrics by name: of scores (N, K) and labels, a value per sample or a batch's mean.
Metrics = Mapping[str, Callable[[Tensor, Tensor], Tensor]]


def new_sums(device: torch.device, number: int = 3) -> Tensor:
    """Room for the sums of `count`: loss, right answers, samples."""
    kind = torch.float32 if device.type == "mps" else torch.float64  # MPS has no 64-bit floats
    return torch.zeros(number, dtype=kind, device=device)


def right_answers(scores: Tensor, labels: Tensor) -> Tensor:
    """Which samples' highest score is that of their label, (N,) booleans.

    Labels (N, K) in floating point are shares of classes: an answer is right where the class with
    the highest score has the highest share. Of several labels per sample that is any one of them.
    """
    answers = scores.argmax(dim=1)
    if not labels.is_floating_point():
        return answers == labels
    shares = labels.gather(1, answers[:, None]).squeeze(1)
    return (shares == labels.amax(dim=1)) & (shares > 0)


def count(sums: Tensor, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
    """Add a batch's summed loss, right answers and samples, without waiting for a GPU."""
    sums[0] += loss.detach()
    sums[1] += right_answers(scores.detach(), labels).sum()
    sums[2] += len(labels)


class MoreCounts:
    """What `evaluate` counts besides `count`: top-5, the confusion matrix, the caller's metrics."""

    TOP = 5

    def __init__(self, device: torch.device, metrics: Metrics | None, confusion: bool):
        self.metrics, self.confusion = dict(metrics or {}), confusion
        self.sums = new_sums(device, 1 + len(self.metrics))
        self.table: Tensor | None = None
        self.classes = 0

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Count a batch of scores (N, K)."""
        if not len(labels):
            return
        self.classes = scores.shape[1]
        hard = not labels.is_floating_point()
        if hard and self.classes > self.TOP:
            best = scores.topk(self.TOP, dim=1).indices
            self.sums[0] += (best == labels[:, None]).sum()
        if self.confusion:
            self._add_to_table(scores, labels, hard)
        for place, (name, metric) in enumerate(self.metrics.items(), start=1):
            self.sums[place] += _summed(name, metric(scores, labels), len(labels))
        if not hard:
            self.sums[0] = torch.nan  # a share of classes has no rank

    def result(self, world: World, samples: float) -> dict:
        """The fields of `Evaluation`, over all processes."""
        classes = max(world.gather(self.classes))  # a process may have had no batch
        top, *others = (world.sum(self.sums) / samples).tolist()
        if self.confusion and self.table is None:
            self.table = torch.zeros(classes, classes, dtype=torch.int64, device=world.device)
        return {
            "top5": top if classes > self.TOP and top == top else None,
            "confusion": world.sum(self.table).cpu() if self.table is not None else None,
            "metrics": dict(zip(self.metrics, others, strict=True)),
        }

    def _add_to_table(self, scores: Tensor, labels: Tensor, hard: bool) -> None:
        if not hard:
            raise ValueError("confusion needs one class per sample, got shares of classes (N, K)")
        if self.table is None:
            shape = (self.classes, self.classes)
            self.table = torch.zeros(shape, dtype=torch.int64, device=scores.device)
        cells = labels * self.classes + scores.argmax(dim=1)
        self.table.view(-1).scatter_add_(0, cells, torch.ones_like(cells))


def _summed(name: str, values: Tensor, samples: int) -> Tensor:
    if not isinstance(values, Tensor) or values.shape not in ((), (samples,)):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"metrics[{name!r}] must give a tensor: one value per sample ({samples},), or the "
            f"batch's mean (), got {got}"
        )
    return values.sum() if values.dim() else values * samples

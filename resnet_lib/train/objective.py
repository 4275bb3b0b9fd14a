"""What is minimised: the loss of a batch, and a look at the labels before it."""

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_classes
from resnet_lib.train.unpacking import begun, pair

__all__ = ["Loss", "Objective"]

#: The mean loss of a batch, from scores (N, K) and labels.
Loss = Callable[[Tensor, Tensor], Tensor]


class Objective:
    """The mean loss of a batch: cross-entropy, or the caller's loss.

    Args:
        loss: gives the mean over a batch, from scores (N, K) and labels; a module is moved to
            `device`. None: cross-entropy.
        label_smoothing: share of the label that cross-entropy spreads over all classes.
        device: where the scores are.

    Attributes:
        classes: the number of scores, K; None before the first batch.

    Raises:
        TypeError: `loss` cannot be called.
        ValueError: there is a loss, and `label_smoothing` too.
    """

    def __init__(
        self,
        loss: Loss | None = None,
        label_smoothing: float = 0.0,
        device: torch.device | None = None,
    ):
        if loss is not None and not callable(loss):
            raise TypeError(f"loss must be callable, got {type(loss).__name__}")
        if loss is not None and label_smoothing:
            raise ValueError(
                "label_smoothing must be 0 with a loss of your own, which may have its own, "
                f"got {label_smoothing}"
            )
        self.loss = loss.to(device) if isinstance(loss, nn.Module) else loss
        self.label_smoothing = label_smoothing
        self.classes: int | None = None
        self._every_label: Tensor | None = None

    @property
    def is_cross_entropy(self) -> bool:
        """Whether guessing costs the logarithm of the number of classes."""
        return self.loss is None or isinstance(self.loss, nn.CrossEntropyLoss)

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of scores (N, K).

        Raises:
            TypeError, ValueError: the scores are no (N, K), a label is out of range, or the loss
                gives no mean.
        """
        labels = self._looked_at(scores, labels)
        if self.loss is None:
            return F.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
        mean = self.loss(scores, labels)
        if not isinstance(mean, Tensor) or mean.dim():
            got = tuple(mean.shape) if isinstance(mean, Tensor) else type(mean).__name__
            raise ValueError(
                f"loss must give the batch's mean, a tensor without dimensions, got {got}"
            )
        return mean

    def total(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss summed over the samples."""
        if self.loss is None and not self.label_smoothing:
            return F.cross_entropy(scores, self._looked_at(scores, labels), reduction="sum")
        return self(scores, labels) * len(labels) if len(labels) else scores.sum() * 0

    def pairs(self, batches: Iterable) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch as images and labels; another form, or a label out of range, is an error.

        Labels on a GPU are looked at in the first batch only, and as a whole where the loader has
        them all as `labels`: each look would wait for the GPU.
        """
        found = getattr(batches, "labels", None)
        self._every_label = found if isinstance(found, Tensor) else None
        for batch in begun(batches):
            images, labels = pair(batch)
            if self.classes is not None and labels.device.type == "cpu":
                check_classes("labels", labels, self.classes)
            yield images, labels

    def _looked_at(self, scores: Tensor, labels: Tensor) -> Tensor:
        if self.classes is None:
            if not isinstance(scores, Tensor):
                kind = type(scores).__name__
                raise TypeError(f"model must give scores (N, K) as one tensor, got {kind}")
            if scores.dim() != 2 or len(scores) != len(labels):
                raise ValueError(
                    f"model must give scores (N, K) for {len(labels)} images, "
                    f"got {tuple(scores.shape)}"
                )
            check_classes("labels", labels, scores.shape[1])
            if self._every_label is not None:
                check_classes("labels", self._every_label, scores.shape[1])
            self.classes = scores.shape[1]
        return labels.to(scores.dtype) if labels.is_floating_point() else labels

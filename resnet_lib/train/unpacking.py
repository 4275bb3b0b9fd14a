"""Batches as they come from a loader: begun, unpacked, looked at."""

import signal
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["begun", "check_labels", "pair"]


def begun(batches: Iterable) -> Iterator:
    """An iterator whose worker processes do not hear Ctrl-C.

    A terminal sends it to every process. Workers started by `spawn` would end at once, and the
    step in which the run is kept would fail. They inherit what is blocked here for a moment; a
    Ctrl-C that comes meanwhile is heard right after.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return iter(batches)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return iter(batches)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pair(batch: Any) -> tuple[Tensor, Tensor]:
    """Images and labels of a batch.

    Raises:
        TypeError: the batch is anything but two tensors.
        ValueError: the labels are neither classes nor shares of classes, or not as many as images.
    """
    is_pair = isinstance(batch, tuple | list) and len(batch) == 2
    if not is_pair or not all(isinstance(part, Tensor) for part in batch):
        raise TypeError(
            f"a batch must be (images, labels), two tensors, got {_told(batch)}. Let the loader's "
            "collate_fn, or a generator around it, give these two."
        )
    images, labels = batch
    is_classes = labels.dtype == torch.int64 and labels.dim() == 1
    if not is_classes and not (labels.is_floating_point() and labels.dim() == 2):
        raise ValueError(
            "labels must be classes, torch.int64 of shape (N,), or shares of classes, floating "
            f"point of shape (N, K), got {labels.dtype} {tuple(labels.shape)}"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"images and labels must be equally many, got {len(images)} and {len(labels)}"
        )
    return images, labels


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse labels that are no classes of the scores; on a GPU this waits for it.

    Raises:
        ValueError: a label is out of range, or the shares are of another number of classes.
    """
    if labels.is_floating_point():
        if labels.shape[1] != classes:
            raise ValueError(
                f"labels must be shares of the model's {classes} classes (N, {classes}), "
                f"got {tuple(labels.shape)}"
            )
    elif len(labels):
        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or high >= classes:
            hint = "; they seem to be counted from 1: subtract 1" if low == 1 else ""
            raise ValueError(
                f"labels must be classes 0 to {classes - 1}, as the model gives {classes} scores, "
                f"got {low if low < 0 else high}{hint}"
            )


def _told(batch: Any) -> str:
    if isinstance(batch, dict):
        return f"a dict with {', '.join(map(repr, batch))}"
    if isinstance(batch, tuple | list):
        return f"{len(batch)} parts: {', '.join(map(_kind, batch))}"
    return _kind(batch)


def _kind(part: Any) -> str:
    return f"tensor {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__

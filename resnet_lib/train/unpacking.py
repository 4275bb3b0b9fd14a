"""Batches as they come from a loader: begun and unpacked."""

import signal
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from resnet_lib.arguments import check_labels

__all__ = ["begun", "pair"]


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
    check_labels(labels, images)
    return images, labels


def _told(batch: Any) -> str:
    if isinstance(batch, dict):
        return f"a dict with {', '.join(map(repr, batch))}"
    if isinstance(batch, tuple | list):
        return f"{len(batch)} parts: {', '.join(map(_kind, batch))}"
    return _kind(batch)


def _kind(part: Any) -> str:
    return f"tensor {tuple(part.shape)}" if isinstance(part, Tensor) else type(part).__name__

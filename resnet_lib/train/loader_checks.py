"""What is asked of the loaders before a run, and said of their order after its first epoch."""

import warnings
from collections.abc import Iterable, Sized
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from resnet_lib.train import random_numbers
from resnet_lib.train.precision import autocast
from resnet_lib.train.processes import World, moved
from resnet_lib.train.state import TrainState
from resnet_lib.train.unpacking import begun, pair

__all__ = ["ClassOrder", "check_loaders", "number_of", "warn_of_unequal_resume"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
FIRST_BATCHES = 20


def number_of(train: Any, world: World) -> int:
    """The number of batches of an epoch, the same in all processes.

    Raises:
        TypeError: `train` has no length.
        ValueError: it is empty, or processes have different numbers: the one with more would wait
            for the others for ever.
    """
    try:
        number = len(train)
    except TypeError:
        raise TypeError(
            "train must have a length, as data.Batches and DataLoader do, "
            f"got {type(train).__name__}"
        ) from None
    numbers = world.gather(number)
    if min(numbers) != max(numbers):
        raise ValueError(
            "train must have the same number of batches in every process, got "
            f"{', '.join(map(str, numbers))}: data.Batches(shuffle=True, share=...) and "
            "DistributedSampler see to that"
        )
    if number == 0:
        raise ValueError("train must have at least one batch, got none")
    return number


def check_loaders(train: Iterable, validation: Iterable | None, state: TrainState) -> None:
    """Say or refuse what would spoil the run later.

    Raises:
        ValueError: a part of one image would reach batch norm that has one value per channel.
    """
    if state.world.is_main:
        _warn_of_whole_loaders(train, validation, state.world)
        _warn_of_moving_statistics(state.model)
    _refuse_part_of_one(train, state)


def warn_of_unequal_resume(train: Iterable) -> None:
    """Say that random numbers of workers that live on are in no checkpoint."""
    if getattr(train, "persistent_workers", False):
        warnings.warn(
            "train has persistent_workers=True: their random numbers are not in the checkpoints. "
            "A run that was stopped and goes on will not end with the same bits as one that was "
            "not; with persistent_workers=False it will.",
            stacklevel=4,
        )


class ClassOrder:
    """Says, once, that the samples came class by class, as they lie in a folder."""

    def __init__(self):
        self._labels: list[Tensor] | None = []

    def look(self, labels: Tensor, *, last: bool) -> None:
        """Remember the labels of a batch of the first epoch; look after some, and after all."""
        if self._labels is None:
            return
        self._labels.append(labels)
        if (last or len(self._labels) == FIRST_BATCHES) and _by_class(torch.cat(self._labels)):
            warnings.warn(
                "train gives its samples class by class. A network that sees one class at a time "
                "forgets the others: shuffle, with data.Batches(..., shuffle=True) or "
                "DataLoader(..., shuffle=True).",
                stacklevel=4,
            )
            last = True
        if last:
            self._labels = None


def _by_class(labels: Tensor) -> bool:
    labels = labels.argmax(dim=1) if labels.is_floating_point() else labels
    classes = len(labels.unique())
    changes = int((labels.diff() != 0).sum())
    # Of few samples a shuffled order may look so too: with 2 times 8, once in 6,000 times.
    return classes > 1 and len(labels) >= 8 * classes and changes == classes - 1


def _warn_of_whole_loaders(train: Iterable, validation: Iterable | None, world: World) -> None:
    if world.size == 1:
        return
    for name, loader in (("train", train), ("validation", validation)):
        if loader is not None and not _is_shared(loader, world):
            warnings.warn(
                f"{name} does not say that it is this process's part of the data: unless it is, "
                f"all {world.size} processes go through the same images. data.Batches takes "
                "share=(rank, processes), a DataLoader a DistributedSampler.",
                stacklevel=4,
            )


def _is_shared(loader: Any, world: World) -> bool:
    share = getattr(loader, "share", None)
    sampler = getattr(loader, "sampler", None)
    inner = getattr(loader, "batch_sampler", None)
    samplers = (sampler, inner, getattr(inner, "sampler", None))
    counts = [getattr(one, "num_replicas", None) for one in samplers]
    return (share is not None and share[1] == world.size) or world.size in counts


def _warn_of_moving_statistics(model: nn.Module) -> None:
    """Batch norm that is frozen in its parameters alone is not frozen."""
    moving = [
        name
        for name, module in model.named_modules()
        if isinstance(module, NORMS) and module.training and module.track_running_stats
        and module.affine and not any(p.requires_grad for p in module.parameters())
    ]  # fmt: skip
    if moving:
        more = f" and {len(moving) - 3} more" if len(moving) > 3 else ""
        warnings.warn(
            f"{', '.join(moving[:3])}{more}: the parameters of these batch norms are frozen, but "
            "they are in train mode, so their running statistics follow the new images. Call "
            "eval() on them before fit to keep these too; fit leaves them in eval mode.",
            stacklevel=4,
        )


def _refuse_part_of_one(train: Iterable, state: TrainState) -> None:
    sizes = _sizes(train)
    if min((_last_part(n, state.config.micro_batches) for n in sizes), default=0) != 1:
        return
    if not any(isinstance(module, NORMS) and module.training for module in state.model.modules()):
        return
    with random_numbers.kept(state.world.device, train):
        images, labels = pair(next(begun(train)))
    if _goes_through(state, images[:1], labels[:1]) or not (
        len(images) == 1 or _goes_through(state, images[:2], labels[:2])
    ):
        return
    raise ValueError(
        f"train must leave no part of 1 image, got batches of {' and '.join(map(str, sizes))} "
        f"with micro_batches={state.config.micro_batches}: batch norm cannot train on one value "
        "per channel. Choose another batch size, or leave the last batch out with drop_last=True."
    )


def _sizes(train: Any) -> list[int]:
    """The sizes of this process's batches, largest first, as far as the loader tells them."""
    if isinstance(train, list | tuple):
        return sorted({len(pair(batch)[1]) for batch in train}, reverse=True)
    size, last = getattr(train, "batch_size", None), True
    if isinstance(train, DataLoader):
        last = not train.drop_last
        count = len(train.sampler) if isinstance(train.sampler, Sized) else None
    else:
        count = getattr(train, "samples", None)
        size = size and max(1, size // getattr(train, "share", (0, 1))[1])
    if not size or not count:
        return []
    full = min(size, count)
    return sorted({full, count - (len(train) - 1) * size if last else full}, reverse=True)


def _last_part(images: int, parts: int) -> int:
    longest = -(-images // parts)  # as Tensor.chunk divides
    return (images - 1) % longest + 1


@torch.no_grad()
def _goes_through(state: TrainState, images: Tensor, labels: Tensor) -> bool:
    """Whether the network takes these images in train mode; it is left as it was."""
    device, buffers = state.world.device, list(state.model.buffers())
    before = [buffer.clone() for buffer in buffers]
    images, _ = moved(images, labels, device, state.config.channels_last)
    try:
        with random_numbers.kept(device), autocast(device, state.config.precision):
            state.model.forward(images)  # not compiled: it would be for this size alone
    except ValueError:
        return False
    finally:
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
    return True

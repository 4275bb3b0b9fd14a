"""Batches of a set that lies on the device as a whole."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from resnet_lib.arguments import check_choice, check_images, check_labels, check_whole


class Batches:
    """Batches (images, labels) of a data set that is kept on the device.

    It stands where torch's `DataLoader` stands for sets that fit into memory: nothing is read,
    decoded or copied to the device per batch, and the transform works on the whole batch there.
    CIFAR-10 takes 184 MB. Images that would take more than half of a GPU's free memory stay where
    they lie, and each batch goes over by itself; so may those of a cache on the disk, see
    `image_folder`. A batch is a copy of its images, and may be changed.

    **Order.** With `shuffle`, the order depends on `seed` and the epoch alone: not on the device,
    torch's own random numbers, or how many processes share the work. The epoch is 0 until
    `set_epoch` says otherwise, and iterating does not advance it; `fit` sets it before each epoch.

    **Mode.** A transform that is a module runs in train mode, in which augmentation acts, with
    `shuffle` and in eval mode, in which it does not, without: so one transform serves training
    and evaluation. `augment` chooses otherwise. Its own mode is put back after each batch. It runs
    without gradients. What was chosen stands in the `repr`.

    **Many processes.** With `shuffle`, each process gets an equal slice of every batch, so that
    all take the same number of equal steps. Of the last batch, fewer images than there are
    processes may not go round: they sit out in that epoch, others in the next. Without `shuffle`
    each process gets one run of neighbours, no image comes twice and none is left out; the shares
    may differ by one image, and be empty. One process alone always sees every image.

    Args:
        images: (N, C, H, W), uint8 or floating point.
        labels: (N,) int64, from 0 on; or (N, K) floating point, one number for each class: soft
            or several labels.
        batch_size: images that all processes together take per step; the last batch of an epoch
            may be smaller. With `shuffle` it must be a multiple of the number of processes.
        shuffle: whether the order changes from epoch to epoch, as in training.
        transform: called with the images of each batch; a module is moved to the device.
        seed: seed of the order, from 0 to 2³² - 1.
        device: where images and labels are put, once; None leaves the images where they lie.
        share: (rank, number of processes), the part of this process.
        drop_last: whether a last batch that is smaller than the others is left out. Batch norm
            cannot train on a batch of one image, and a small one gives it poor statistics.
        augment: whether a module runs in train mode; None means as `shuffle`.

    Attributes:
        samples: number of images that this process yields per epoch.
        epoch: the epoch whose order the next iteration follows.

    Raises:
        TypeError: images or labels are no tensors, or the transform cannot be called.
        ValueError: an argument is not as above, images and labels differ in number, there are
            none, or the device cannot be used.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        shuffle: bool = False,
        transform: Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
        device: "str | torch.device | None" = None,
        share: tuple[int, int] = (0, 1),
        drop_last: bool = False,
        augment: bool | None = None,
    ) -> None:
        _check_pairs(images, labels)
        check_whole("batch_size", batch_size, 1)
        check_whole("seed", seed, 0, 2**32 - 1)
        check_choice("shuffle", shuffle, (True, False))
        check_choice("drop_last", drop_last, (True, False))
        check_choice("augment", augment, (True, False, None))
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be callable, got {type(transform).__name__}")
        _check_share(share, batch_size, len(images), shuffle)
        self.device = images.device if device is None else _usable(device)
        lies = self.device if _fits(images, self.device) else images.device
        self.images, self.labels = images.to(lies), labels.to(lies)
        self.transform = (
            transform.to(self.device) if isinstance(transform, nn.Module) else transform
        )
        self.batch_size, self.shuffle, self.seed, self.share = batch_size, shuffle, seed, share
        self.drop_last, self.augment = drop_last, shuffle if augment is None else augment
        self.epoch = 0
        self.samples = sum(stop - start for start, stop in self._slices())
        if drop_last and not self.samples:
            raise ValueError(
                f"drop_last leaves nothing of {len(images)} images in batches of {batch_size}"
            )

    def __len__(self) -> int:
        return len(self._slices())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order() if self.shuffle else None
        for start, stop in self._slices():
            if order is None:
                images, labels = self.images[start:stop].clone(), self.labels[start:stop].clone()
            else:
                images, labels = self.images[order[start:stop]], self.labels[order[start:stop]]
            images, labels = (part.to(self.device, non_blocking=True) for part in (images, labels))
            yield self._transformed(images), labels

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.images.shape[1:]))
        words = [
            f"{self.samples:,} images of {shape} in {len(self):,} batches of {self.batch_size}"
        ]
        words.append("shuffled" if self.shuffle else "in their order")
        if isinstance(self.transform, nn.Module):
            words.append(f"transform in {'train' if self.augment else 'eval'} mode")
        if self.share[1] > 1:
            words.append(f"share {self.share[0]} of {self.share[1]}")
        return f"Batches({', '.join(words)}, {self.device})"

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0 on, whose order the next iteration follows."""
        check_whole("epoch", epoch, 0)
        self.epoch = epoch

    def _order(self) -> Tensor:
        # torch's CPU generator keeps 32 bits of its seed, so seed and epoch are mixed before.
        mixed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        return torch.randperm(len(self.images), generator=generator).to(self.images.device)

    def _slices(self) -> list[tuple[int, int]]:
        """Start and end of each of this process's batches within the order of the epoch."""
        rank, world = self.share
        count = len(self.images)
        if self.shuffle:
            starts = range(0, count, self.batch_size)
            sizes = [min(self.batch_size, count - start) // world for start in starts]
            if self.drop_last and count % self.batch_size:
                sizes.pop()
            pairs = zip(starts, sizes, strict=False)
            return [(at + rank * size, at + (rank + 1) * size) for at, size in pairs if size]
        first, last = count * rank // world, count * (rank + 1) // world
        size = max(1, self.batch_size // world)
        slices = [(start, min(start + size, last)) for start in range(first, last, size)]
        return [(a, b) for a, b in slices if b - a == size or not self.drop_last]

    @torch.no_grad()
    def _transformed(self, images: Tensor) -> Tensor:
        if not isinstance(self.transform, nn.Module):
            return images if self.transform is None else self.transform(images)
        modes = [(module, module.training) for module in self.transform.modules()]
        try:
            return self.transform.train(self.augment)(images)
        finally:
            for module, mode in modes:
                module.training = mode


def _check_pairs(images: Tensor, labels: Tensor) -> None:
    check_images(images)
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor (N,), got {type(labels).__name__}")
    check_labels(labels, images)
    if not labels.isfinite().all():
        raise ValueError("labels must be finite, got NaN or infinity among them")
    if not labels.is_floating_point() and (lowest := int(labels.min())) < 0:
        raise ValueError(f"labels must be classes from 0 on, got {lowest}")


def _fits(images: Tensor, device: torch.device) -> bool:
    """Whether a GPU has room for the images and as much again for all else."""
    if device.type != "cuda" or images.device == device:
        return True
    return images.nbytes <= torch.cuda.mem_get_info(device)[0] / 2


def _check_share(share: tuple[int, int], batch_size: int, count: int, shuffle: bool) -> None:
    is_pair = isinstance(share, tuple | list) and [type(part) for part in share] == [int, int]
    if not is_pair or not 0 <= share[0] < share[1]:
        raise ValueError(
            f"share must be (rank, processes) with 0 <= rank < processes, got {share!r}"
        )
    world = share[1]
    if shuffle and batch_size % world:
        raise ValueError(
            f"batch_size must be a multiple of the {world} processes that share it, "
            f"got {batch_size}"
        )
    if shuffle and count < world:
        raise ValueError(f"images must be at least one per process ({world}), got {count}")


def _usable(device: "str | torch.device") -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} cannot be used: {reason}") from None

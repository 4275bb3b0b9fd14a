"""Images as bytes with their labels, split into two parts."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)  # == of tensors has no single truth value
class ImageData:
    """Images in two parts, as bytes, and what `Normalize` needs to know of them.

    Attributes:
        train_images: (N, C, H, W) uint8, 0 to 255.
        train_labels: (N,) int64, indices into `classes`.
        test_images: as `train_images`.
        test_labels: as `train_labels`.
        classes: the classes' names.
        mean: mean of the training pixels per channel, where 0 is black and 1 is 255.
        std: their standard deviation per channel, on the same scale.
        skipped: files that were left out because they could not be read.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[str, ...] = ()


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the bytes (N, C, H, W) per channel, on the scale 0 to 1."""
    # A histogram is exact and small; pixels in double precision would take eight times the images.
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for some in images.split(4096):
        for channel, count in enumerate(counts):
            count += torch.bincount(some[:, channel].flatten(), minlength=256)
    shares = counts.double() / images[:, 0].numel()  # (C, 256)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = shares @ values  # (C,)
    variance = (shares * (values - mean[:, None]) ** 2).sum(1)
    return tuple(mean.tolist()), tuple(variance.sqrt().tolist())

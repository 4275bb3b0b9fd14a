"""Images as bytes with their labels, in a training and a test part, and maybe a third."""

from dataclasses import dataclass

import torch
from torch import Tensor

from resnet_lib.data.augment import Normalize

SHOWN = 20  # classes that are listed one by one


@dataclass(frozen=True, eq=False, repr=False)  # == of tensors has no single truth value
class ImageData:
    """Images in two or three parts, as bytes, and what `Normalize` needs to know of them.

    Shown or printed, it lists the classes with the number of images in each part.

    Attributes:
        train_images: (N, C, H, W) uint8, 0 to 255.
        train_labels: (N,) int64, indices into `classes`.
        test_images: as `train_images`.
        test_labels: as `train_labels`.
        classes: the classes' names.
        mean: mean of the training pixels per channel, where 0 is black and 1 is 255.
        std: their standard deviation per channel, on the same scale.
        skipped: files that were left out because they could not be read.
        validation_images: as `train_images`; None where the set has no such part.
        validation_labels: as `train_labels`; None where the set has no such part.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[str, ...] = ()
    validation_images: Tensor | None = None
    validation_labels: Tensor | None = None

    @property
    def normalize(self) -> Normalize:
        """A new `Normalize` by this mean and deviation.

        Raises:
            ValueError: the training images are all alike in a channel.
        """
        return Normalize(self.mean, self.std)

    def __repr__(self) -> str:
        parts = {"training": self.train_labels, "test": self.test_labels}
        if self.validation_labels is not None:
            parts = {"training": self.train_labels, "validation": self.validation_labels, **parts}
        counts = [part.bincount(minlength=len(self.classes)).tolist() for part in parts.values()]
        shape = " × ".join(map(str, self.train_images.shape[1:]))
        sums = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
        files = "1 file" if len(self.skipped) == 1 else f"{len(self.skipped):,} files"
        lines = [f"ImageData: {sums} images of {shape} in {len(self.classes)} classes"]
        lines += [f"  {files} left out"] if self.skipped else []
        rows = [("class", *parts), *zip(self.classes, *counts, strict=True)]
        shown = rows if len(rows) <= SHOWN + 1 else rows[:SHOWN]
        widths = [max(len(str(row[i])) for row in shown) for i in range(len(rows[0]))]
        for name, *numbers in shown:
            cells = (f"{n:>{w}}" for n, w in zip(numbers, widths[1:], strict=True))
            lines.append(f"  {name:<{widths[0]}}  {'  '.join(cells)}")
        if len(shown) < len(rows):
            lines.append(f"  … and {len(rows) - len(shown)} more")
        return "\n".join(lines)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the bytes (N, C, H, W) per channel, on the scale 0 to 1."""
    # A histogram is exact and small; pixels in double precision would take eight times the images.
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for some in images.split(max(1, 2**24 // images[0].numel())):
        for channel, count in enumerate(counts):
            count += torch.bincount(some[:, channel].flatten(), minlength=256)
    shares = counts.double() / images[:, 0].numel()  # (C, 256)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = shares @ values  # (C,)
    variance = (shares * (values - mean[:, None]) ** 2).sum(1)
    return tuple(mean.tolist()), tuple(variance.sqrt().tolist())

"""Augmentation of whole batches, on the device they lie on, each image with its own dice.

Each takes a batch (N, C, H, W) of uint8 (0 to 255) or floating point and gives its type back, but
for `Normalize`. The random ones act in train mode only, as dropout does, and draw from torch's
global generator of the batch's device, whose state a checkpoint can hold.
"""

from collections.abc import Sequence
from math import inf

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_images, check_number, check_whole


class RandomCrop(nn.Module):
    """Shift each image by up to `padding` pixels: pad with zeros, crop to the old size.

    The augmentation of He et al. 2015, section 4.2, there with `padding` 4. Zero is black in an
    image of bytes, and the mean colour in one that is already normalised; in front of `Normalize`
    it is black.

    Raises:
        ValueError: `padding` is no whole number from 1 on, or the batch not (N, C, H, W).
    """

    def __init__(self, padding: int = 4) -> None:
        super().__init__()
        check_whole("padding", padding, 1)
        self.padding = padding

    def forward(self, images: Tensor) -> Tensor:
        check_images(images)
        if not self.training:
            return images
        n, c, h, w = images.shape
        padded = F.pad(images, [self.padding] * 4)
        height, width = padded.shape[2:]
        shift = torch.randint(0, 2 * self.padding + 1, (2, n, 1, 1), device=images.device)
        planes = torch.arange(n * c, device=images.device).view(n, c, 1)
        rows = torch.arange(h, device=images.device) + shift[0]  # (n, 1, h)
        starts = (planes * height + rows) * width + shift[1]  # (n, c, h)
        # A row of the crop is w neighbours in memory: copying runs is faster than picking pixels.
        windows = padded.flatten().unfold(0, w, 1)  # a view: one row per first pixel
        return windows.index_select(0, starts.flatten()).view(n, c, h, w)

    def extra_repr(self) -> str:
        return f"padding={self.padding}"


class RandomFlip(nn.Module):
    """Mirror each image left to right with probability `p` (He et al. 2015, section 4.2).

    Raises:
        ValueError: `p` is not above 0 and at most 1, or the batch not (N, C, H, W).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_number("p", p, 0, 1, above=True)
        self.p = p

    def forward(self, images: Tensor) -> Tensor:
        check_images(images)
        if not self.training:
            return images
        n, _, _, w = images.shape
        there = torch.arange(w, device=images.device)
        flipped = torch.rand(n, 1, device=images.device) < self.p
        columns = torch.where(flipped, there.flip(0), there)  # (n, w)
        return images.gather(3, columns[:, None, None].expand_as(images))

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Normalize(nn.Module):
    """Subtract the mean and divide by the deviation of each channel, in both modes.

    Bytes are brought to the scale 0 to 1 first and become float32; fractions are taken as they
    are and keep their type. Both are one multiplication and one addition.

    Args:
        mean: one number per channel, on the scale 0 to 1.
        std: one number above 0 per channel, on the same scale.

    Raises:
        ValueError: `mean` and `std` are not equally many such numbers, or the batch is not
            (N, C, H, W) with as many channels.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values, low in (("mean", mean, -inf), ("std", std, 0)):
            if not isinstance(values, Sequence) or isinstance(values, str) or not values:
                raise ValueError(f"{name} must be one number per channel, got {values!r}")
            for channel, value in enumerate(values):
                if name == "std" and value == 0:
                    raise ValueError(
                        f"std[{channel}] must be a number above 0, got {value!r}: each pixel of "
                        "that channel has the same value in all images, so they are all alike in it"
                    )
                check_number(f"{name}[{channel}]", value, low, above=True)
        if len(mean) != len(std):
            raise ValueError(
                f"mean and std must be equally many, got {len(mean)} and {len(std)} numbers"
            )
        self.mean, self.std = tuple(mean), tuple(std)
        center, spread = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (mean, std))
        # All follows from the arguments, so that nothing of it belongs into a state dict.
        self.register_buffer("scale", (1 / spread).float(), persistent=False)  # (C, 1, 1)
        self.register_buffer("byte_scale", (1 / spread / 255).float(), persistent=False)
        self.register_buffer("shift", (-center / spread).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images)
        if images.shape[1] != len(self.mean):
            raise ValueError(
                f"images must have {len(self.mean)} channels as mean and std, "
                f"got {tuple(images.shape)}"
            )
        if images.dtype == torch.uint8:
            return images * self.byte_scale + self.shift
        return (images * self.scale + self.shift).to(images.dtype)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"

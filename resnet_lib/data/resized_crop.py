"""Random boxes of each image, brought to one size: the augmentation of ImageNet training."""

from collections.abc import Sequence
from math import inf, log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_images, check_number, check_whole

TRIES = 10


class RandomResizedCrop(nn.Module):
    """Cut a random box out of each image and bring it to `size` × `size` pixels.

    The augmentation of Szegedy et al. 2015, section 6, with torchvision's rule: area and, on a
    log scale, aspect ratio of the box are drawn evenly; of ten draws the first that fits the image
    counts, and if none does, the largest centred box with an allowed ratio. In eval mode, the
    shorter side is resized to `size` (antialiased) and the centre cut out.

    Departures from torchvision: each image has its own box, boxes are not rounded to whole
    pixels, and sampling is bilinear without antialiasing. So keep the images at no more than
    about twice `size`.

    Args:
        size: side of the result in pixels.
        scale: smallest and largest share of the image's area in the box.
        ratio: smallest and largest width of the box by its height.

    Raises:
        ValueError: an argument is out of range, or the batch not (N, C, H, W).
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.08, 1),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        super().__init__()
        check_whole("size", size, 1)
        _check_range("scale", scale, 1)
        _check_range("ratio", ratio, inf)
        self.size, self.scale, self.ratio = size, tuple(scale), tuple(ratio)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images)
        if not self.training:
            # Here, because torchvision takes a second to import, in every process.
            from torchvision.transforms.v2 import functional as VF

            return VF.center_crop(VF.resize(images, [self.size], antialias=True), [self.size] * 2)
        height, width = images.shape[2:]
        left, top, across, down = self._boxes(len(images), height, width, images.device)
        steps = (torch.arange(self.size, device=images.device) + 0.5) / self.size
        # grid_sample counts from -1 at one edge of the image to 1 at the other.
        x = 2 * (left + across * steps) / width - 1  # (N, size)
        y = 2 * (top + down * steps) / height - 1
        shape = (len(images), self.size, self.size)
        grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=3)
        pixels = images if images.dtype == torch.float64 else images.float()
        grid = grid.to(pixels.dtype)
        found = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        return (found.round_() if images.dtype == torch.uint8 else found).to(images.dtype)

    def _boxes(self, n: int, height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
        """Left, top, width and height of each image's box, (N, 1) each, in pixels."""
        dice = torch.rand(4, n, TRIES, device=device)
        (least, most), (flattest, widest) = self.scale, map(log, self.ratio)
        area = height * width * (least + (most - least) * dice[0])
        ratio = (flattest + (widest - flattest) * dice[1]).exp()
        across, down = (area * ratio).sqrt(), (area / ratio).sqrt()  # (N, TRIES)
        fits = (across <= width) & (down <= height)
        first = fits.int().argmax(1, keepdim=True)
        # If none fits: as much of the image as an allowed ratio can hold.
        whole = min(max(width / height, self.ratio[0]), self.ratio[1])
        some = fits.any(1, keepdim=True)
        across = across.gather(1, first).where(some, min(width, height * whole))
        down = down.gather(1, first).where(some, min(height, width / whole))
        share_left, share_top = dice[2:, :, :1].where(some, 0.5)
        return (width - across) * share_left, (height - down) * share_top, across, down

    def extra_repr(self) -> str:
        return f"size={self.size}, scale={self.scale}, ratio={self.ratio}"


def _check_range(name: str, values: Sequence[float], most: float) -> None:
    if not isinstance(values, tuple | list) or len(values) != 2:
        raise ValueError(f"{name} must be a pair (smallest, largest), got {values!r}")
    for value in values:
        check_number(name, value, 0, most, above=True)
    if values[0] > values[1]:
        raise ValueError(f"{name} must be a pair (smallest, largest), got {values!r}")

"""Random brightness, contrast, saturation and hue, as one linear map of the colours per image."""

from math import pi, sqrt

import torch
from torch import Tensor, nn

from resnet_lib.arguments import check_images, check_number

GRAY = (0.2989, 0.587, 0.114)  # shares of red, green and blue in grey, as torchvision has them


class ColorJitter(nn.Module):
    """Change brightness, contrast, saturation and hue of each image at random.

    The factors are those of torchvision's transform of this name: drawn evenly from
    1 - b to 1 + b for `brightness` b, but never below 0, likewise for `contrast` and `saturation`;
    the hue is shifted by up to ±`hue` turns of the colour circle. Images of bytes stay bytes,
    fractions are taken to lie between 0 and 1, and both are clamped to their range. Of images
    with one channel only brightness and contrast change.

    Departures from torchvision: the order is fixed (brightness, contrast, saturation, hue) and
    each image has its own factors; colours are clamped once, at the end; bytes are rounded, not
    cut off; and the hue is a rotation of the colours about the grey axis, in place of a shift in
    HSV. Both map red to green to blue at a third of a turn, and differ in between.

    Raises:
        ValueError: `brightness`, `contrast` or `saturation` is negative, `hue` is not from 0 to
            0.5, all four are 0, or the batch is not (N, 1, H, W) or (N, 3, H, W).
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        super().__init__()
        amounts = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        for name, amount in amounts.items():
            check_number(name, amount, 0)
        check_number("hue", hue, 0, 0.5)
        if not any([*amounts.values(), hue]):
            raise ValueError(
                "brightness, contrast, saturation or hue must be above 0, got 0 for all four"
            )
        self.brightness, self.contrast, self.saturation, self.hue = (
            brightness,
            contrast,
            saturation,
            hue,
        )
        ranges = [(max(0, 1 - amount), 1 + amount) for amount in amounts.values()]
        low, high = torch.tensor([*ranges, (-hue, hue)], dtype=torch.float32).T
        constants = {
            "low": low[:, None, None, None],  # (4, 1, 1, 1)
            "span": (high - low)[:, None, None, None],
            "gray": torch.tensor(GRAY)[None],  # (1, 3)
            "identity": torch.eye(3),
            "turn": torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / sqrt(3),
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        check_images(images)
        if images.shape[1] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels, got {tuple(images.shape)}")
        if not self.training:
            return images
        # Half precision would show as banding, also where autocast would choose it.
        with torch.autocast(images.device.type, enabled=False):
            colors = images.flatten(2)  # (N, C, H·W)
            colors = colors if images.dtype == torch.float64 else colors.float()
            matrix, offset = self._maps(colors)
            changed = torch.baddbmm(offset, matrix, colors).view(images.shape)
        if images.dtype == torch.uint8:
            return changed.round_().clamp_(0, 255).to(torch.uint8)
        return changed.clamp_(0, 1).to(images.dtype)

    def _maps(self, colors: Tensor) -> tuple[Tensor, Tensor]:
        """Matrices (N, C, C) and offsets (N, 1, 1) of colours (N, C, H·W)."""
        dice = torch.rand(4, len(colors), 1, 1, device=colors.device)
        brightness, contrast, saturation, hue = (self.low + self.span * dice).to(colors.dtype)
        if colors.shape[1] == 1:
            gray = colors.mean(2, keepdim=True)
            return contrast * brightness, (1 - contrast) * brightness * gray
        shares, identity, turn = (b.to(colors.dtype) for b in (self.gray, self.identity, self.turn))
        mixing = saturation * identity + (1 - saturation) * shares  # (N, 3, 3)
        cosine, sine = (2 * pi * hue).cos(), (2 * pi * hue).sin()
        mixing = (cosine * identity + (1 - cosine) / 3 + sine * turn) @ mixing
        gray = shares @ colors.mean(2, keepdim=True)  # (N, 1, 1)
        # Saturation and hue leave grey as it is, so that the contrast's grey need not pass them.
        return contrast * brightness * mixing, (1 - contrast) * brightness * gray

    def extra_repr(self) -> str:
        names = ("brightness", "contrast", "saturation", "hue")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

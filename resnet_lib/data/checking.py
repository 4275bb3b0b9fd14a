"""What the doors of this package ask of arguments."""

from math import inf

import torch
from torch import Tensor


def check_number(
    name: str, value: object, low: float, high: float = inf, *, above: bool = False
) -> None:
    """Refuse what is no number from `low` to `high`; `above` shuts out `low` itself."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and low <= value <= high and value < inf and not (above and value == low):
        return
    allowed = f"above {low:g}" if above else f"of at least {low:g}"
    if high < inf:
        allowed += f" and at most {high:g}"
    raise ValueError(f"{name} must be a number {allowed}, got {value!r}")


def check_whole(name: str, value: object, low: int, high: float = inf) -> None:
    """Refuse what is no whole number from `low` to `high`; True and False are none."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return
    allowed = f"of at least {low}" if high == inf else f"from {low} to {high}"
    raise ValueError(f"{name} must be a whole number {allowed}, got {value!r}")


def check_images(images: object) -> None:
    """Refuse what is no batch (N, C, H, W) of bytes or fractions."""
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor (N, C, H, W), got {type(images).__name__}")
    if images.dim() != 4 or 0 in images.shape:
        raise ValueError(
            f"images must have four dimensions (N, C, H, W), none 0, got {tuple(images.shape)}"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"images must be uint8 or floating point, got {images.dtype}")

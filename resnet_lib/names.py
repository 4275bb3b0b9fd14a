"""What the networks are called; without PyTorch, for a command line that starts at once."""

import re

__all__ = ["NAMES", "default_shape", "split_name"]

IMAGENET_DEPTHS = (18, 34, 50, 101, 152)  # nets.CONFIGURATIONS has them too, and imports torch
NAMES = (
    "resnet18, 34, 50, 101, 152 (ImageNet's), or resnet8, 14, 20, ... for any other depth 6n + 2 "
    "(CIFAR's); plain in place of resnet gives the twin without additions"
)
"""The names that there are, in words."""


def split_name(name: str) -> tuple[bool, int]:
    """Whether the network of this name is residual, and its depth.

    50 and 152 are 6n + 2 too; under these names stand ImageNet's networks.

    Raises:
        TypeError: the name is no string.
        ValueError: there is no such network.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {type(name).__name__}")
    match = re.fullmatch(r"(resnet|plain)([1-9]\d{0,3})", name)
    depth = int(match[2]) if match else 0
    if depth not in IMAGENET_DEPTHS and (depth < 8 or depth % 6 != 2):
        raise ValueError(f"name must be {NAMES}; got {name!r}")
    return match[1] == "resnet", depth


def default_shape(name: str) -> tuple[tuple[int, int, int], int]:
    """The input (C, H, W) and the number of classes that the paper gives this network.

    Raises:
        TypeError, ValueError: as for `split_name`.
    """
    imagenet = split_name(name)[1] in IMAGENET_DEPTHS
    return ((3, 224, 224), 1000) if imagenet else ((3, 32, 32), 10)

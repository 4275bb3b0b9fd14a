"""Networks by name."""

import re

IMAGENET_DEPTHS = (18, 34, 50, 101, 152)  # nets.CONFIGURATIONS has them too, and imports torch
KNOWN = (
    "resnet18, 34, 50, 101, 152 (ImageNet's), or resnet8, 14, 20, ... for any other depth 6n + 2 "
    "(CIFAR's); plain in place of resnet gives the twin without additions"
)


def split_name(name: str) -> tuple[bool, int]:
    """Whether the network of this name is residual, and its depth.

    50 and 152 are 6n + 2 too; under these names stand ImageNet's networks.

    Raises:
        ValueError: there is no such network.
    """
    match = re.fullmatch(r"(resnet|plain)([1-9]\d{0,3})", name)
    depth = int(match[2]) if match else 0
    if depth not in IMAGENET_DEPTHS and (depth < 8 or depth % 6 != 2):
        raise ValueError(f"must be {KNOWN}; got {name!r}")
    return match[1] == "resnet", depth


def default_shape(name: str) -> tuple[tuple[int, int, int], int]:
    """The input (C, H, W) and the number of classes that the paper gives this network."""
    imagenet = split_name(name)[1] in IMAGENET_DEPTHS
    return ((3, 224, 224), 1000) if imagenet else ((3, 32, 32), 10)


def build(name: str, num_classes: int, in_channels: int):
    """The network, with weights drawn from torch's global generator."""
    from resnet_lib import nets

    residual, depth = split_name(name)
    if depth in IMAGENET_DEPTHS:
        block, layers = nets.CONFIGURATIONS[depth]
        return nets.ResNet(block, layers, num_classes, in_channels, residual=residual)
    return nets.CifarResNet(depth, num_classes, in_channels, residual=residual)

"""Networks by name, and what a name does not say of them."""

from typing import Any

from torch import nn

from resnet_lib.blocks import BasicBlock, Bottleneck, PadShortcut
from resnet_lib.names import IMAGENET_DEPTHS, split_name
from resnet_lib.nets.cifar import CifarResNet
from resnet_lib.nets.resnet import CONFIGURATIONS, ResNet


def by_name(name: str, num_classes: int, in_channels: int, **options) -> nn.Module:
    """The network of this name, with weights drawn from torch's global generator.

    `NAMES` says which names there are; "resnet50" for example, or "plain20".

    Shapes: (N, in_channels, H, W) to (N, num_classes).

    Args:
        name: the network.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        options: go to `ResNet` for ImageNet's depths, else to `CifarResNet`. Whether the network
            is residual is said by its name.

    Raises:
        TypeError, ValueError: there is no such network, a number is not a positive whole number,
            or an option is unknown.
    """
    residual, depth = split_name(name)
    if "residual" in options:
        raise TypeError("residual is said by the name: resnet20 has additions, plain20 has none")
    options["residual"] = residual
    if depth in IMAGENET_DEPTHS:
        return ResNet(*CONFIGURATIONS[depth], num_classes, in_channels, **options)
    return CifarResNet(depth, num_classes, in_channels, **options)


def options_of(network: ResNet | CifarResNet) -> dict[str, Any]:
    """Every option of a network: with these, and its name, `by_name` builds the same again.

    `residual` is among them, which the name says too. They are read from the network's parts, for
    a state dict does not tell them: a plain twin has the same names and shapes, and so has a
    network whose strides or zeros lie elsewhere.

    Raises:
        TypeError: the network is neither a `ResNet` nor a `CifarResNet`.
        ValueError: its blocks are none of the library's, or differ among each other.
    """
    if not isinstance(network, ResNet | CifarResNet):
        raise TypeError(f"network must be a ResNet or CifarResNet, got {type(network).__name__}")
    blocks = [block for n in range(1, 5) for block in getattr(network, f"layer{n}", ())]
    if not all(isinstance(block, BasicBlock | Bottleneck) for block in blocks):
        raise ValueError("network must have blocks of the library's own, got another")
    found: dict[str, Any] = {"residual": _the_one([block.residual for block in blocks])}
    if found["residual"]:
        found["shortcut"] = _shortcut_of([block.downsample for block in blocks])
    if isinstance(blocks[0], Bottleneck):
        strided = [block for block in blocks if 2 in (*block.conv1.stride, *block.conv2.stride)]
        found["stride_in_1x1"] = _the_one([block.conv1.stride == (2, 2) for block in strided])
    if isinstance(network, ResNet):
        found["stem"] = "small" if isinstance(network.maxpool, nn.Identity) else "large"
    return found


def _shortcut_of(shortcuts: list[nn.Module]) -> str:
    pads = [shortcut for shortcut in shortcuts if isinstance(shortcut, PadShortcut)]
    others = {type(shortcut) for shortcut in shortcuts} - {PadShortcut, nn.Identity, nn.Sequential}
    if others:
        raise ValueError(f"network must have shortcuts of the library's own, got {others.pop()}")
    if pads:
        return "A-both" if _the_one([pad.in_front > 0 for pad in pads]) else "A"
    return "B" if any(isinstance(shortcut, nn.Identity) for shortcut in shortcuts) else "C"


def _the_one(values: list[bool]) -> bool:
    if len(set(values)) > 1:
        raise ValueError("network must have blocks with the same options throughout")
    return values[0]

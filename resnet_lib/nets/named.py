"""Networks by name."""

from torch import nn

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

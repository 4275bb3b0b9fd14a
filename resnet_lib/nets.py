"""Whole networks: the plain stack, its residual twin, and ResNet with 18 or 34 layers."""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.blocks import BasicBlock, check_positive, conv3x3

__all__ = ["PlainStack", "ResNet", "ResidualStack", "he_init", "resnet18", "resnet34"]


def he_init(model: nn.Module) -> nn.Module:
    """Draw every convolution's weights as He et al. 2015 (arXiv:1502.01852, eq. 14) do, in place.

    Weights come from a normal distribution of variance 2 / fan_out, with fan_out =
    k² · out_channels: the backward form, which torchvision uses. Returns the same model.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


class PlainStack(nn.Module):
    """The simplest deep convolutional network: equal 3×3 layers, one after the other.

    A stem, pairs of layers of the same width, the mean over positions, a linear classifier.

    Shapes: (N, in_channels, H, W) to (N, num_classes).

    Args:
        depth: layers with weights: the stem, two per pair and the classifier. Even, at least 4.
        width: channels of every hidden layer.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        batch_norm: False leaves the batch norms out.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, or depth does not fit.
    """

    def __init__(
        self,
        depth: int,
        width: int = 16,
        num_classes: int = 10,
        in_channels: int = 1,
        *,
        batch_norm: bool = True,
    ):
        super().__init__()
        check_positive(depth=depth, width=width, num_classes=num_classes, in_channels=in_channels)
        if depth < 4 or depth % 2:
            raise ValueError(f"depth must be even and at least 4, got {depth}")

        def layer(channels: int) -> nn.Sequential:
            norm = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
            return nn.Sequential(conv3x3(channels, width), norm)

        def pair() -> nn.Sequential:
            return nn.Sequential(layer(width), nn.ReLU(), layer(width))

        self.stem = layer(in_channels)
        self.pairs = nn.ModuleList(pair() for _ in range((depth - 2) // 2))
        self.fc = nn.Linear(width, num_classes)

    def step(self, pair: nn.Module, x: Tensor) -> Tensor:
        return F.relu(pair(x))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))  # (N, width, H, W)
        for pair in self.pairs:
            x = self.step(pair, x)  # (N, width, H, W)
        return self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)


class ResidualStack(PlainStack):
    """`PlainStack` with the identity added around every pair of layers; nothing else changes."""

    def step(self, pair: nn.Module, x: Tensor) -> Tensor:
        return F.relu(pair(x) + x)


class ResNet(nn.Module):
    """Residual network of He et al. 2015, Table 1, with torchvision's parameter names.

    A 7×7 stem, four stages of blocks, the mean over positions, a linear classifier.

    Shapes: (N, in_channels, H, W) to (N, num_classes), for any H and W from 1 up
    (in train mode batch norm asks for more than one value per channel: N > 1 up to 32 × 32).

    Args:
        block: the block's class, called as `block(in_channels, out_channels, stride, ...)`.
        layers: number of blocks in each of the four stages.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        shortcut: option "A", "B" or "C", see `blocks.make_shortcut`; unused in the plain twin.
        residual: False gives the plain twin: the same network without the additions.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, `layers` has not four
            entries, or the shortcut option is unknown.
    """

    def __init__(
        self,
        block: type[BasicBlock],
        layers: tuple[int, int, int, int],
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        shortcut: str = "B",
        residual: bool = True,
    ):
        super().__init__()
        check_positive(num_classes=num_classes, in_channels=in_channels)
        if not isinstance(layers, tuple | list) or len(layers) != 4:
            raise ValueError(f"layers must have 4 entries, one per stage, got {layers!r}")

        def stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
            check_positive(layers=blocks)
            options = {"shortcut": shortcut, "residual": residual}
            first = block(in_channels, out_channels, stride, **options)
            width = out_channels * block.expansion
            return nn.Sequential(
                first, *(block(width, out_channels, **options) for _ in range(blocks - 1))
            )

        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, 64, layers[0], stride=1)
        self.layer2 = stage(64 * block.expansion, 128, layers[1], stride=2)
        self.layer3 = stage(128 * block.expansion, 256, layers[2], stride=2)
        self.layer4 = stage(256 * block.expansion, 512, layers[3], stride=2)
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, 64, H/2, W/2)
        x = self.maxpool(x)  # (N, 64, H/4, W/4)
        x = self.layer1(x)  # (N, 64, H/4, W/4)
        x = self.layer2(x)  # (N, 128, H/8, W/8)
        x = self.layer3(x)  # (N, 256, H/16, W/16)
        x = self.layer4(x)  # (N, 512, H/32, W/32)
        return self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)


def resnet18(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-18 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, in_channels, **options)


def resnet34(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-34 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, in_channels, **options)

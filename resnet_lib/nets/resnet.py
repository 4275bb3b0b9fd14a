"""ResNet-18, 34, 50, 101 and 152: one class, one table."""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_positive
from resnet_lib.blocks import BasicBlock, Bottleneck
from resnet_lib.nets.initialisation import he_init

CONFIGURATIONS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Block and number of blocks per stage, by depth (He et al. 2015, Table 1)."""


def make_stage(
    block: type[nn.Module],
    in_channels: int,
    out_channels: int,
    blocks: int,
    stride: int,
    **options,
) -> nn.Sequential:
    """Blocks one after the other; the first changes the shape, the others keep it.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        block: the block's class, called as `block(in_channels, out_channels, stride, ...)`.
        in_channels, out_channels: channels before and after the stage.
        blocks: number of blocks.
        stride: stride of the first block.
        options: passed on to every block.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, or an option is unknown.
    """
    check_positive(blocks=blocks)
    first = block(in_channels, out_channels, stride, **options)
    others = [block(out_channels, out_channels, **options) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)


class ResNet(nn.Module):
    """Residual network of He et al. 2015, Table 1, with torchvision's parameter names.

    A 7×7 stem, four stages of blocks, the mean over positions, a linear classifier. A stage's
    blocks put out 64, 128, 256 and 512 channels, times the block's `expansion`.

    Shapes: (N, in_channels, H, W) to (N, num_classes), for any H and W from 1 up
    (in train mode batch norm asks for more than one value per channel: N > 1 up to 32 × 32).

    Args:
        block: the block's class, `BasicBlock` or `Bottleneck`, or one that is called like them.
        layers: number of blocks in each of the four stages.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        block_options: passed on to every block: `shortcut`, `residual` (False gives the plain
            twin) and, for `Bottleneck`, `stride_in_1x1`.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, `layers` has not four
            entries, or a block option is unknown.
    """

    def __init__(
        self,
        block: type[nn.Module],
        layers: tuple[int, int, int, int],
        num_classes: int = 1000,
        in_channels: int = 3,
        **block_options,
    ):
        super().__init__()
        check_positive(num_classes=num_classes, in_channels=in_channels)
        if not isinstance(layers, tuple | list) or len(layers) != 4:
            raise ValueError(f"layers must have 4 entries, one per stage, got {layers!r}")
        for blocks in layers:
            check_positive(layers=blocks)
        c1, c2, c3, c4 = (block.expansion * width for width in (64, 128, 256, 512))

        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = make_stage(block, 64, c1, layers[0], stride=1, **block_options)
        self.layer2 = make_stage(block, c1, c2, layers[1], stride=2, **block_options)
        self.layer3 = make_stage(block, c2, c3, layers[2], stride=2, **block_options)
        self.layer4 = make_stage(block, c3, c4, layers[3], stride=2, **block_options)
        self.fc = nn.Linear(c4, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, 64, H/2, W/2)
        x = self.maxpool(x)  # (N, 64, H/4, W/4)
        x = self.layer1(x)  # (N, c1, H/4, W/4)
        x = self.layer2(x)  # (N, c2, H/8, W/8)
        x = self.layer3(x)  # (N, c3, H/16, W/16)
        x = self.layer4(x)  # (N, c4, H/32, W/32)
        return self.fc(x.mean(dim=(2, 3)))  # (N, num_classes)


def resnet18(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-18 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(*CONFIGURATIONS[18], num_classes, in_channels, **options)


def resnet34(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-34 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(*CONFIGURATIONS[34], num_classes, in_channels, **options)


def resnet50(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-50 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(*CONFIGURATIONS[50], num_classes, in_channels, **options)


def resnet101(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-101 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(*CONFIGURATIONS[101], num_classes, in_channels, **options)


def resnet152(num_classes: int = 1000, in_channels: int = 3, **options) -> ResNet:
    """ResNet-152 of He et al. 2015, Table 1; options go to `ResNet`."""
    return ResNet(*CONFIGURATIONS[152], num_classes, in_channels, **options)

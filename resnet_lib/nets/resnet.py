"""ResNet-18, 34, 50, 101 and 152: one class, one table."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_choice, check_positive
from resnet_lib.blocks import BasicBlock, Bottleneck, conv3x3
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


def check_options(
    block: type[nn.Module], blocks: tuple[int, int, int, int], options: Mapping[str, Any]
) -> None:
    """Refuse what `ResNet` cannot be built from.

    Raises:
        TypeError: a number of blocks is no whole number; or an option asks for trained weights,
            as torchvision's `pretrained=True`: the message says how they are loaded here.
        ValueError: there are not four numbers from 1 on.
    """
    if not isinstance(blocks, tuple | list) or len(blocks) != 4:
        raise ValueError(f"blocks must have 4 entries, one per stage, got {blocks!r}")
    for number in blocks:
        check_positive(blocks=number)
    if asked := {"pretrained", "weights"} & set(options):
        rows = {row: depth for depth, row in CONFIGURATIONS.items()}
        depth = rows.get((block, tuple(blocks)), 18)
        raise TypeError(
            f"{asked.pop()} is no option here: networks begin with random weights. For "
            "torchvision's, build the network without it, then weights.load_weights(net, "
            f"torchvision.models.ResNet{depth}_Weights.IMAGENET1K_V1)"
        )


class ResNet(nn.Module):
    """Residual network of He et al. 2015, Table 1, with torchvision's parameter names.

    A stem, four stages of blocks, the mean over positions, a linear classifier. A stage's
    blocks put out 64, 128, 256 and 512 channels, times the block's `expansion`.

    Shapes: (N, in_channels, H, W) to (N, num_classes), for any H and W from 1 up
    (in train mode batch norm asks for more than one value per channel: N > 1 up to 32 × 32).

    Args:
        block: the block's class, `BasicBlock` or `Bottleneck`, or one that is called like them.
        blocks: number of blocks in each of the four stages.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        stem: "large" is the paper's: a 7×7 convolution with stride 2, then pooling with stride 2.
            "small" is for images of about 32 to 64 pixels: a 3×3 convolution with stride 1, no
            pooling, as the paper's section 4.2 has it for CIFAR-10. All names stay; of the shapes
            only that of conv1.weight changes, and `load_weights` needs leave_out=["conv1"] then.
        block_options: passed on to every block: `shortcut`, `residual` (False gives the plain
            twin) and, for `Bottleneck`, `stride_in_1x1`.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, `blocks` has not four
            entries, there is no such stem, or a block option is unknown.
    """

    def __init__(
        self,
        block: type[nn.Module],
        blocks: tuple[int, int, int, int],
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        stem: str = "large",
        **block_options,
    ):
        super().__init__()
        check_positive(num_classes=num_classes, in_channels=in_channels)
        check_choice("stem", stem, ("large", "small"))
        check_options(block, blocks, block_options)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        if stem == "small":
            self.conv1, self.maxpool = conv3x3(in_channels, 64), nn.Identity()
        b1, b2, b3, b4 = blocks
        c1, c2, c3, c4 = (block.expansion * c for c in (64, 128, 256, 512))  # type: ignore[attr-defined]
        self.layer1 = make_stage(block, 64, c1, b1, stride=1, **block_options)
        self.layer2 = make_stage(block, c1, c2, b2, stride=2, **block_options)
        self.layer3 = make_stage(block, c2, c3, b3, stride=2, **block_options)
        self.layer4 = make_stage(block, c3, c4, b4, stride=2, **block_options)
        self.fc = nn.Linear(c4, num_classes)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        # The shapes are those with the large stem.
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

"""The blocks of He et al. 2015 with exchangeable parts: a gate, a shortcut, groups, a stem."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_multiple, check_positive
from resnet_lib.blocks import conv1x1, conv3x3, make_shortcut

Gate = Callable[[int], nn.Module]
Shortcut = Callable[[int, int, int], nn.Module]


def ungated(channels: int) -> nn.Module:
    """The gate that does nothing."""
    return nn.Identity()


def average_shortcut(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """ResNet-D's shortcut (He et al. 2019, Fig. 2c): the mean of 2 × 2 pixels, then a projection.

    The usual projection with stride 2 never looks at three of four pixels. Where the shape stays it
    is the identity. Names and padding are timm's.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉), for a stride of 1
    or 2.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
    """
    check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    # At an odd border the mean is that of the pixels that are there.
    pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(
        pool if stride > 1 else nn.Identity(),
        conv1x1(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
    )


def deep_stem(in_channels: int = 3, out_channels: int = 64) -> nn.Sequential:
    """ResNet-C's stem (He et al. 2019, Fig. 2b): three 3×3 convolutions in place of one 7×7.

    It takes the place of `conv1` in a `nets.ResNet`, with `bn1` behind it: `net.conv1 =
    deep_stem()`. Names are timm's.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/2⌉, ⌈W/2⌉).

    Raises:
        TypeError, ValueError: a number is not a positive whole number, or `out_channels` is odd.
    """
    check_positive(in_channels=in_channels)
    check_multiple(2, out_channels=out_channels)
    half = out_channels // 2
    return nn.Sequential(
        *(conv3x3(in_channels, half, stride=2), nn.BatchNorm2d(half), nn.ReLU(inplace=True)),
        *(conv3x3(half, half), nn.BatchNorm2d(half), nn.ReLU(inplace=True)),
        conv3x3(half, out_channels),
    )


class GatedBlock(nn.Module):
    """`BasicBlock` with a gate at the end of its branch: ReLU(g · F(x) + shortcut(x)).

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels, out_channels, stride: as in `BasicBlock`.
        gate: builds the gate from the number of channels, `SqueezeExcitation` for example; its
            parameters are named `gate.…`. By default there is none.
        shortcut: builds the shortcut from in_channels, out_channels and stride; by default option
            B. `average_shortcut` makes the block ResNet-D's.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        gate: Gate = ungated,
        shortcut: Shortcut = make_shortcut,
    ):
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.gate = gate(out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, out_channels, H/s, W/s)
        out = self.gate(self.bn2(self.conv2(out)))
        return F.relu(out + self.downsample(x), inplace=True)


class GatedBottleneck(nn.Module):
    """`Bottleneck` with a gate, and with a middle of any width and in groups.

    32 groups of width 4 make it ResNeXt's (Xie et al. 2017, Table 1), one group of width 128 that
    of Wide ResNet-50-2 (Zagoruyko and Komodakis 2016, section 3.4).

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels, out_channels, stride: as in `Bottleneck`; the stride is on the 3×3.
        gate, shortcut: as in `GatedBlock`.
        groups: groups of the 3×3 convolution.
        width_per_group: channels of a group in the first stage, as in torchvision; it grows with
            `out_channels`. With out_channels = 256 the middle has groups · width_per_group.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, or `out_channels` is no
            multiple of 4.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        gate: Gate = ungated,
        shortcut: Shortcut = make_shortcut,
        groups: int = 1,
        width_per_group: int = 64,
    ):
        super().__init__()
        check_multiple(self.expansion, out_channels=out_channels)
        check_positive(stride=stride, groups=groups, width_per_group=width_per_group)
        width = groups * max(1, out_channels // self.expansion * width_per_group // 64)
        self.conv1 = conv1x1(in_channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.gate = gate(out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, width, H, W)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)  # (N, width, H/s, W/s)
        out = self.gate(self.bn3(self.conv3(out)))  # (N, out_channels, H/s, W/s)
        return F.relu(out + self.downsample(x), inplace=True)

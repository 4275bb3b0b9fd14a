"""Pre-activation blocks: batch norm and ReLU in front of each convolution, none on the way."""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_choice, check_multiple, check_number, check_positive
from resnet_lib.blocks import PadShortcut, conv1x1, conv3x3
from resnet_lib.variants.gated import Gate, ungated


def clean_shortcut(
    in_channels: int, out_channels: int, stride: int = 1, shortcut: str = "B"
) -> nn.Module:
    """A shortcut without normalisation: the identity, padding (A) or a bare 1×1 convolution (B).

    Raises:
        TypeError, ValueError: a number is not a positive whole number, or there is no such option.
    """
    check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
    check_choice("shortcut", shortcut, ("A", "B"))
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    kind = PadShortcut if shortcut == "A" else conv1x1
    return kind(in_channels, out_channels, stride)


class PreActBlock(nn.Module):
    """Batch norm, ReLU, convolution, twice; then a bare addition (He et al. 2016, Fig. 1b).

    Computes F(x) + x. Where the shape changes, option B projects ReLU(bn1(x)), as the authors'
    release and Wide ResNet's do, and option A pads x itself.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels, out_channels, stride: as in `BasicBlock`.
        shortcut: option "A" or "B", without batch norm.
        dropout: share dropped between the convolutions, in train mode: Wide ResNet's
            (Zagoruyko and Komodakis 2016, section 2.4, 0.3 on CIFAR).
        gate: as in `GatedBlock`.

    Raises:
        TypeError, ValueError: a number is out of range, or there is no such option.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        shortcut: str = "B",
        dropout: float = 0.0,
        gate: Gate = ungated,
    ):
        super().__init__()
        check_number("dropout", dropout, 0, 1)
        self.downsample = clean_shortcut(in_channels, out_channels, stride, shortcut)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.gate = gate(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))  # (N, in_channels, H, W)
        shortcut = self.downsample(out if isinstance(self.downsample, nn.Conv2d) else x)
        out = F.relu(self.bn2(self.conv1(out)))  # (N, out_channels, H/s, W/s)
        return shortcut + self.gate(self.conv2(self.dropout(out)))


class PreActBottleneck(nn.Module):
    """The same with three convolutions, as in ResNet-1001 (He et al. 2016, Table 6).

    The stride is on the 3×3 convolution, as in timm.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels, out_channels, stride: as in `Bottleneck`.
        shortcut, gate: as in `PreActBlock`.

    Raises:
        TypeError, ValueError: a number is out of range, `out_channels` is no multiple of 4, or
            there is no such option.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        shortcut: str = "B",
        gate: Gate = ungated,
    ):
        super().__init__()
        check_multiple(self.expansion, out_channels=out_channels)
        width = out_channels // self.expansion
        self.downsample = clean_shortcut(in_channels, out_channels, stride, shortcut)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv1x1(in_channels, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, out_channels)
        self.gate = gate(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))  # (N, in_channels, H, W)
        shortcut = self.downsample(out if isinstance(self.downsample, nn.Conv2d) else x)
        out = F.relu(self.bn2(self.conv1(out)))  # (N, width, H, W)
        out = F.relu(self.bn3(self.conv2(out)))  # (N, width, H/s, W/s)
        return shortcut + self.gate(self.conv3(out))

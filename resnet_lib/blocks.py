"""Convolutions, shortcuts and the two blocks: what a residual network is stacked from.

Parameter names are torchvision's (`conv1`, `bn1`, `downsample.0`, ...), so its weights load
into these modules unrenamed.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_choice, check_multiple, check_positive

__all__ = [
    "SHORTCUTS",
    "BasicBlock",
    "Bottleneck",
    "PadShortcut",
    "conv1x1",
    "conv3x3",
    "make_shortcut",
]

SHORTCUTS = ("A", "B", "C")
"""The paper's options for a shortcut; see `make_shortcut`."""


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """3×3 convolution with padding 1 and no bias.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    No bias, because the batch norm that follows subtracts the mean and would cancel it
    (Ioffe and Szegedy 2015, section 3.2).

    Raises:
        TypeError, ValueError: an argument is not a positive whole number.
    """
    check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """1×1 convolution with no bias: a linear map of the channels at each position.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Raises:
        TypeError, ValueError: an argument is not a positive whole number.
    """
    check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


class PadShortcut(nn.Module):
    """Option A of He et al. 2015, section 3.3: subsample, and pad the new channels with zeros.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉). No parameters.

    The paper does not say on which side the zeros go; here they follow the old channels. Some
    networks for CIFAR put half of them in front. Weights cannot tell the two apart: there are none.

    Args:
        in_channels, out_channels: channels before and after.
        stride: 2 keeps every second row and column.
        side: where the zeros go, "behind" the old channels or on "both" sides of them.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
        ValueError: `out_channels` is smaller than `in_channels`, which padding cannot do, or there
            is no such side.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, side: str = "behind"):
        super().__init__()
        check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
        check_choice("side", side, ("behind", "both"))
        if out_channels < in_channels:
            raise ValueError(
                f"out_channels must be at least in_channels ({in_channels}) for shortcut 'A', "
                f"which can only add channels, got {out_channels}"
            )
        self.new_channels = out_channels - in_channels
        self.in_front = self.new_channels // 2 if side == "both" else 0
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        # The same as x[:, :, ::stride, ::stride]. But a slice's gradient has the default layout,
        # and in a channels-last network that slows down what it meets.
        x = F.avg_pool2d(x, kernel_size=1, stride=self.stride)
        return F.pad(x, (0, 0, 0, 0, self.in_front, self.new_channels - self.in_front))


def make_shortcut(
    in_channels: int, out_channels: int, stride: int = 1, shortcut: str = "B"
) -> nn.Module:
    """Shortcut of a block, by one of the paper's three options.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    The options are those of He et al. 2015, section 3.3:

    - `"A"`: identity; where the shape changes, subsampling and zero padding. No parameters.
    - `"B"`: identity; where the shape changes, a projection (1×1 convolution, batch norm).
    - `"C"`: a projection in every block.

    `"A-both"` is A with zeros on both sides, see `PadShortcut`, for weights that were trained so.

    The paper does not mention the batch norm after the projection; torchvision and the authors'
    own release have it, so it stands here too.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
        ValueError: the option is unknown, or option A would have to drop channels.
    """
    check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
    check_choice("shortcut", shortcut, (*SHORTCUTS, "A-both"))
    same_shape = stride == 1 and in_channels == out_channels
    if same_shape and shortcut != "C":
        return nn.Identity()
    if shortcut.startswith("A"):
        side = "both" if shortcut == "A-both" else "behind"
        return PadShortcut(in_channels, out_channels, stride, side)
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around both (He et al. 2015, Fig. 2 and Fig. 5 left).

    Computes ReLU(F(x) + shortcut(x)) with F = bn2 ∘ conv2 ∘ ReLU ∘ bn1 ∘ conv1.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the first convolution and of the shortcut.
        shortcut: an option of `make_shortcut`, "B" for example; a plain block does not look at it.
        residual: False leaves the addition and the shortcut out; that is the block's plain twin.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
        ValueError: the shortcut option is unknown, or option A would have to drop channels.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        shortcut: str = "B",
        residual: bool = True,
    ):
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.residual = residual
        if residual:
            # torchvision's name; where the shapes agree it is the identity and holds no weights.
            self.downsample = make_shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (N, out_channels, H/s, W/s)
        out = self.bn2(self.conv2(out))  # (N, out_channels, H/s, W/s)
        if self.residual:
            out += self.downsample(x)
        return F.relu(out, inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution and a shortcut around them (He et al. 2015, Fig. 5 right).

    Computes ReLU(F(x) + shortcut(x)); F has a batch norm behind each convolution and a ReLU
    between them. The middle is out_channels / 4 wide. torchvision's class is called with the
    width of the middle; here `out_channels` is what comes out, as in the other blocks.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, a multiple of 4.
        stride: stride of the 3×3 convolution and of the shortcut.
        shortcut: an option of `make_shortcut`, "B" for example; a plain block does not look at it.
        residual: False leaves the addition and the shortcut out; that is the block's plain twin.
        stride_in_1x1: True puts the stride on the first 1×1 convolution, as the authors' release
            does. torchvision puts it on the 3×3 (there called ResNet V1.5), and so does False.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
        ValueError: `out_channels` is no multiple of 4, the shortcut option is unknown, or option
            A would have to drop channels.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        shortcut: str = "B",
        residual: bool = True,
        stride_in_1x1: bool = False,
    ):
        super().__init__()
        check_positive(in_channels=in_channels, stride=stride)
        check_multiple(self.expansion, out_channels=out_channels)
        width = out_channels // self.expansion
        self.conv1 = conv1x1(in_channels, width, stride if stride_in_1x1 else 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, 1 if stride_in_1x1 else stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.residual = residual
        if residual:
            self.downsample = make_shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        # One tensor a line: each line frees the one before, and inference takes less memory.
        out = self.conv1(x)  # (N, out_channels/4, H, W)
        out = F.relu(self.bn1(out), inplace=True)
        out = self.conv2(out)  # (N, out_channels/4, H/s, W/s)
        out = F.relu(self.bn2(out), inplace=True)
        out = self.conv3(out)  # (N, out_channels, H/s, W/s)
        out = self.bn3(out)
        if self.residual:
            out += self.downsample(x)
        return F.relu(out, inplace=True)

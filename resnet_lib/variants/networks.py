"""The frame: a stem, stages of any block, the mean over positions, a classifier."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_positive
from resnet_lib.blocks import conv3x3
from resnet_lib.nets import he_init, make_stage
from resnet_lib.variants.pre_activation import PreActBlock


class StagedNet(nn.Module):
    """A network for small images from whatever block it is given.

    With `GatedBlock`, three equal stages and 16, 32 and 64 channels it is the CIFAR network of He
    et al. 2015, section 4.2. Names are those of `nets.CifarResNet`.

    Shapes: (N, in_channels, H, W) to (N, num_classes).

    Args:
        block: builds a block, called as `block(in_channels, out_channels, stride, ...)`.
        blocks: number of blocks in each stage; the first of a stage has stride 2, but for the
            first stage's.
        channels: what each stage puts out.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        stem_channels: channels of the 3×3 stem.
        block_options: passed on to every block.

    Raises:
        TypeError, ValueError: a number is not a positive whole number, `blocks` and `channels` are
            not equally many, or a block refuses what it is given.
    """

    def __init__(
        self,
        block: Callable[..., nn.Module],
        blocks: Sequence[int],
        channels: Sequence[int] = (16, 32, 64),
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        stem_channels: int = 16,
        **block_options,
    ):
        super().__init__()
        check_positive(
            num_classes=num_classes, in_channels=in_channels, stem_channels=stem_channels
        )
        if not 0 < len(blocks) == len(channels):
            raise ValueError(
                f"blocks and channels must have one number for each stage, got {blocks!r} and "
                f"{channels!r}"
            )
        self.conv1 = conv3x3(in_channels, stem_channels)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        before, self.stages = stem_channels, len(blocks)
        for number, (count, width) in enumerate(zip(blocks, channels, strict=True), start=1):
            stride = 1 if number == 1 else 2
            stage = make_stage(block, before, width, count, stride, **block_options)
            self.add_module(f"layer{number}", stage)
            before = width
        self.fc = nn.Linear(before, num_classes)
        he_init(self)

    def begin(self, x: Tensor) -> Tensor:
        """The stem."""
        return F.relu(self.bn1(self.conv1(x)))  # (N, stem_channels, H, W)

    def end(self, x: Tensor) -> Tensor:
        """What follows the last block, in front of the mean over positions."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(x)
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.fc(self.end(x).mean(dim=(2, 3)))  # (N, num_classes)


class PreActNet(StagedNet):
    """The frame of pre-activation blocks (He et al. 2016): a bare stem, bn1 and ReLU at the end.

    Arguments, shapes and errors are those of `StagedNet`.
    """

    def __init__(self, block, blocks, channels=(16, 32, 64), *args, **options):
        super().__init__(block, blocks, channels, *args, **options)
        self.bn1 = nn.BatchNorm2d(channels[-1])

    def begin(self, x: Tensor) -> Tensor:
        """The stem."""
        return self.conv1(x)  # (N, stem_channels, H, W)

    def end(self, x: Tensor) -> Tensor:
        """Batch norm and ReLU, which the last addition still lacks."""
        return F.relu(self.bn1(x))


def wide_resnet(
    depth: int, width: int, num_classes: int = 10, in_channels: int = 3, *, dropout: float = 0.0
) -> PreActNet:
    """WRN-depth-width (Zagoruyko and Komodakis 2016, Table 1): few layers, many channels.

    Args:
        depth: 6n + 4 with n blocks in each stage; the paper counts a projection too.
        width: the paper's k; the stages put out 16k, 32k and 64k channels.
        num_classes: outputs of the classifier.
        in_channels: channels of the input.
        dropout: share dropped within each block.

    Raises:
        TypeError, ValueError: a number is out of range, or `depth` is not 6n + 4.
    """
    check_positive(depth=depth, width=width)
    blocks, rest = divmod(depth - 4, 6)
    if blocks < 1 or rest:
        raise ValueError(f"depth must be 6n + 4 with n at least 1 (10, 16, 22, ...), got {depth}")
    channels = [base * width for base in (16, 32, 64)]
    return PreActNet(PreActBlock, [blocks] * 3, channels, num_classes, in_channels, dropout=dropout)

"""The simplest deep networks: equal layers one after the other, without and with additions."""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_positive
from resnet_lib.blocks import conv3x3


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

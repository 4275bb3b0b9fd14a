"""The speed run's network: residual, and every convolution after the stem lies within F(x).

Its sizes, stem and starts are those of Keller Jordan's airbench94, a network without shortcuts
(arXiv:2404.00498, 2024; https://github.com/KellerJordan/cifar10-airbench).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 256, 256)
CLASSES = 10
PATCH = 2
STEM_WIDTH = 2 * 3 * PATCH**2
FLOOR = 5e-4  # added to the variances, so that a direction of noise alone is not blown up
WHITENED_BY = 5000  # images


class Convolution(nn.Module):
    """A 3×3 convolution whose weight is a matrix (out, 9·in), as Muon wants it; no bias.

    Its first filters pass the input's channels on; `dirac=False` leaves them random too.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dirac: bool) -> None:
        super().__init__()
        self.shape = out_channels, 3, 3, in_channels
        weight = torch.empty(out_channels, in_channels, 3, 3)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        if dirac:
            nn.init.dirac_(weight[:in_channels])
        self.weight = nn.Parameter(weight.permute(0, 2, 3, 1).flatten(1).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.view(self.shape).permute(0, 3, 1, 2)  # channels-last, without a copy
        return F.conv2d(x, weight.to(x.dtype), padding=1)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """One whose scale stays 1, and whose statistics are nearly those of the last few batches."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


class Block(nn.Module):
    """x' + F(x): x' is x at half the size, with channels of zeros after its own.

    F is batch norm, GELU, convolution, maximum of 2×2 pixels, batch norm, GELU, convolution: the
    order of He et al., arXiv:1603.05027, which leaves the shortcut alone. It has no weights: it is
    the mean of 2×2 pixels. `shortcut=False` leaves it out.
    """

    def __init__(self, in_channels: int, out_channels: int, *, shortcut: bool, dirac: bool) -> None:
        super().__init__()
        self.bn1 = batch_norm(in_channels)
        self.conv1 = Convolution(in_channels, out_channels, dirac=dirac)
        self.bn2 = batch_norm(out_channels)
        self.conv2 = Convolution(out_channels, out_channels, dirac=dirac)
        self.shortcut = shortcut
        self.new_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        branch = F.max_pool2d(self.conv1(F.gelu(self.bn1(x))), 2)
        branch = self.conv2(F.gelu(self.bn2(branch)))
        if not self.shortcut:
            return branch
        return branch + F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.new_channels))


class SpeedResNet(nn.Module):
    """Stem, three blocks, norm, GELU, the maximum of what is left of the picture, a linear layer.

    Args:
        images: normalised training images (N, 3, 32, 32), by which the stem is whitened.
        whitened: False: the stem's filters are random ones of length 1.
        shortcut, dirac: see the block.
    """

    def __init__(
        self, images: Tensor, *, whitened: bool = True, shortcut: bool = True, dirac: bool = True
    ) -> None:
        super().__init__()
        filters = whitening(images) if whitened else random_filters()
        self.stem = nn.Conv2d(3, STEM_WIDTH, PATCH)
        self.stem.weight = nn.Parameter(torch.cat([filters, -filters]), requires_grad=False)
        nn.init.zeros_(self.stem.bias)
        sizes = zip((STEM_WIDTH, *WIDTHS), WIDTHS, strict=False)
        options = {"shortcut": shortcut, "dirac": dirac}
        self.blocks = nn.Sequential(*(Block(*size, **options) for size in sizes))
        self.bn = batch_norm(WIDTHS[-1])
        self.fc = nn.Linear(WIDTHS[-1], CLASSES, bias=False)
        self.fc.weight.data /= self.fc.weight.data.std()

    def forward(self, x: Tensor) -> Tensor:
        bias = self.stem.bias.to(x.dtype)
        weight = self.stem.weight.to(x.dtype).contiguous(memory_format=torch.channels_last)
        x = F.gelu(self.bn(self.blocks(F.conv2d(x, weight, bias))))
        x = F.max_pool2d(x, 3).flatten(1).float()
        return self.fc(x) / x.shape[1]


def whitening(images: Tensor) -> Tensor:
    """Filters (12, 3, 2, 2) whose responses to patches are uncorrelated and equally large."""
    patches = F.unfold(images[:WHITENED_BY].float(), PATCH).transpose(1, 2).flatten(0, 1)
    variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    return (directions / (variances + FLOOR).sqrt()).T.reshape(-1, 3, PATCH, PATCH)


def random_filters() -> Tensor:
    filters = torch.randn(STEM_WIDTH // 2, 3, PATCH, PATCH)
    return filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)

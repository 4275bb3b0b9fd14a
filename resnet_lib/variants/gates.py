"""Gates: what stands at the end of a residual branch and multiplies it, x + g · F(x).

Each is called with the number of channels, so that a block can build it, and keeps the shape
(N, channels, H, W).
"""

import math

import torch
from torch import Tensor, nn

from resnet_lib.arguments import check_module, check_number, check_positive


class SqueezeExcitation(nn.Module):
    """A factor between 0 and 1 for each picture and channel (Hu et al. 2018, section 3).

    The means over positions go through two linear layers and a sigmoid. Parameter names are those
    of `torchvision.ops.SqueezeExcitation` and of timm.

    Args:
        channels: channels of the branch.
        reduction: the paper's r: the layer between has channels / r outputs, at least one.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        check_positive(channels=channels, reduction=reduction)
        squeezed = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * self.fc2(self.fc1(means).relu()).sigmoid()  # (N, C, H, W)


class EfficientAttention(nn.Module):
    """Squeeze-and-excitation with one small convolution over the channels (Wang et al. 2020).

    ECA-Net, section 3.2. The kernel's length grows with the logarithm of the channels (equation 12,
    with γ = 2 and b = 1), and is at least 3, as in timm, whose parameter name it has.

    Args:
        channels: channels of the branch.

    Raises:
        TypeError, ValueError: `channels` is not a positive whole number.
    """

    def __init__(self, channels: int):
        super().__init__()
        check_positive(channels=channels)
        length = int((math.log2(channels) + 1) / 2)
        length = max(3, length + (length + 1) % 2)  # odd
        self.conv = nn.Conv1d(1, 1, length, padding=length // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3)).unsqueeze(1)  # (N, 1, C)
        factors = self.conv(means).sigmoid().squeeze(1)  # (N, C)
        return x * factors[:, :, None, None]


class StochasticDepth(nn.Module):
    """In train mode, drops the branch of a picture with probability `share` (Huang et al. 2016).

    What is not dropped is divided by 1 - share, so that the mean stays and eval mode has nothing to
    do. The paper drops a block for the whole batch, and scales in eval mode instead; one draw for
    each picture is what torchvision and timm do ("row").

    Args:
        channels: not used; gates are called with it.
        share: probability of being dropped, from 0 to below 1. `stochastic_depth` sets those of a
            whole network.

    Raises:
        TypeError, ValueError: `share` is no number in that range.
    """

    def __init__(self, channels: int = 1, share: float = 0.0):
        super().__init__()
        check_number("share", share, 0, math.nextafter(1, 0))
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        kept = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device)
        kept.bernoulli_(1 - self.share)  # 0 or 1 for each picture
        return x * kept / (1 - self.share)

    def extra_repr(self) -> str:
        return f"share={self.share:g}"


class ReZero(nn.Module):
    """One learned number that begins as 0: each block begins as its shortcut.

    Bachlechner et al. 2020. In a network without batch norm it is SkipInit (De and Smith 2020).

    Args:
        channels: not used; gates are called with it.
    """

    def __init__(self, channels: int = 1):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * x


class LayerScale(nn.Module):
    """One learned number for each channel, which begins small (Touvron et al. 2021, section 2).

    The paper begins with 0.1 up to 18 blocks, 0.00001 up to 24, and 0.000001 beyond. Its networks
    are transformers.

    Args:
        channels: channels of the branch.
        start: what the numbers begin with.

    Raises:
        TypeError, ValueError: `channels` is not a positive whole number, or `start` is no number.
    """

    def __init__(self, channels: int, start: float = 0.1):
        super().__init__()
        check_positive(channels=channels)
        check_number("start", start, -math.inf)
        self.gamma = nn.Parameter(torch.full((channels,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma[:, None, None]


def stochastic_depth(model: nn.Module, last: float) -> nn.Module:
    """Set the share of each `StochasticDepth` in a network, in place: l/L · last for the l-th of L.

    The linear rule of Huang et al. 2016, equation 4, whose networks have `last` = 0.5: early blocks
    are dropped rarely. Returns the same model.

    Raises:
        TypeError, ValueError: `last` is no number from 0 to below 1, or the model is no module or
            has no such gate.
    """
    check_module("model", model)
    check_number("last", last, 0, math.nextafter(1, 0))
    gates = [part for part in model.modules() if isinstance(part, StochasticDepth)]
    if not gates:
        raise ValueError("model must hold a StochasticDepth, got none")
    for number, gate in enumerate(gates, start=1):
        gate.share = last * number / len(gates)
    return model

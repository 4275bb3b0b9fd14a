"""Residual networks without batch norm: SkipInit's, and Brock et al.'s with standardised weights.

Without it each addition adds the branch's variance to the signal. SkipInit begins with silent
branches; Brock et al. divide by the deviation that the arithmetic predicts.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_module, check_positive
from resnet_lib.variants.networks import StagedNet

RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))
"""What brings the ReLU of standard normal numbers back to variance 1 (Brock et al. 2021a)."""


def without_batch_norm(model: nn.Module) -> nn.Module:
    """Put an identity in the place of each 2-d batch norm, in place. Returns the same model.

    With the gate `ReZero` that makes SkipInit (De and Smith 2020), whose convolutions have biases
    besides; those of this library have none.

    Raises:
        TypeError: the model is no module.
    """
    check_module("model", model)
    for part in list(model.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.Identity())
    return model


class ScaledStdConv2d(nn.Conv2d):
    """A convolution whose filters are standardised at each use (Brock et al. 2021a, equation 3).

    Each filter has its mean taken off and is divided by its deviation and by the root of its
    length; a learned gain for each follows. It then puts out about the variance that it gets.
    Parameter names and ε are timm's. Arguments are those of `nn.Conv2d`.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        length = self.weight[0].numel()
        weight = self.gain * (self.weight - mean) * (length * (variance + 1e-6)).rsqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class NormFreeBlock(nn.Module):
    """x + α · g · F(x / β): the basic form of NF-ResNet's block (Brock et al. 2021a, section 3).

    β is the deviation that its input is to have; `NormFreeNet` sets it. g is SkipInit's number and
    begins as 0. The paper's own networks have bottlenecks.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        in_channels, out_channels, stride: as in `BasicBlock`.
        alpha: the paper's α, the deviation that a branch adds; its networks have 0.2.

    Raises:
        TypeError, ValueError: a number is not a positive whole number.
    """

    expansion = 1

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, alpha: float = 0.2):
        super().__init__()
        check_positive(in_channels=in_channels, out_channels=out_channels, stride=stride)
        self.conv1 = ScaledStdConv2d(in_channels, out_channels, 3, stride, padding=1)
        self.conv2 = ScaledStdConv2d(out_channels, out_channels, 3, padding=1)
        self.skipinit_gain = nn.Parameter(torch.zeros(()))
        self.alpha, self.beta = alpha, 1.0
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            pool = nn.AvgPool2d(2, stride, ceil_mode=True) if stride > 1 else nn.Identity()
            self.downsample = nn.Sequential(pool, ScaledStdConv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = RELU_GAIN * F.relu(x) / self.beta  # (N, in_channels, H, W)
        shortcut = x if self.downsample is None else self.downsample(out)
        out = self.conv2(RELU_GAIN * F.relu(self.conv1(out)))  # (N, out_channels, H/s, W/s)
        return shortcut + self.alpha * self.skipinit_gain * out


class NormFreeNet(StagedNet):
    """The frame of normaliser-free blocks; no layer of it looks at the batch.

    Each block adds α² to the variance, and one with a projection begins anew at 1: so each one's β
    is known beforehand. Arguments, shapes and errors are those of `StagedNet`.
    """

    def __init__(self, block=NormFreeBlock, blocks=(3, 3, 3), *args, **options):
        super().__init__(block, blocks, *args, **options)
        old = self.conv1
        self.conv1 = ScaledStdConv2d(old.in_channels, old.out_channels, 3, padding=1)
        del self.bn1
        variance = 1.0
        for part in self.modules():
            if isinstance(part, NormFreeBlock):
                part.beta = math.sqrt(variance)
                variance = (variance if part.downsample is None else 1.0) + part.alpha**2

    def begin(self, x: Tensor) -> Tensor:
        """The stem."""
        return self.conv1(x)  # (N, stem_channels, H, W)

    def end(self, x: Tensor) -> Tensor:
        """The ReLU that the last addition still lacks."""
        return RELU_GAIN * F.relu(x)

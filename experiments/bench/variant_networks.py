"""The networks that `variants.py` compares: one change each, in a network of 6n + 2 layers."""

from collections.abc import Callable
from functools import partial

from torch import nn

from resnet_lib import nets, variants
from resnet_lib.blocks import make_shortcut

PAD = partial(make_shortcut, shortcut="A")
WIDE = [32, 64, 128]
FOUR_TIMES = [64, 128, 256]


def gated(n: int, channels=(16, 32, 64), **options) -> nn.Module:
    """The usual block, with a gate or another shortcut; by default it is CifarResNet."""
    options = {"shortcut": PAD} | options
    return variants.StagedNet(variants.GatedBlock, [n] * 3, channels, in_channels=1, **options)


def bottlenecks(n: int, **options) -> nn.Module:
    """9n + 2 layers, 4 times as many channels between the blocks."""
    block = variants.GatedBottleneck
    return variants.StagedNet(block, [n] * 3, FOUR_TIMES, in_channels=1, **options)


def pre_activated(n: int, channels=(16, 32, 64), **options) -> nn.Module:
    """Pre-activation, with option A as the base."""
    options = {"shortcut": "A"} | options
    return variants.PreActNet(variants.PreActBlock, [n] * 3, channels, in_channels=1, **options)


def with_stochastic_depth(n: int) -> nn.Module:
    """The paper's strength: the last block is dropped in half of the cases."""
    return variants.stochastic_depth(gated(n, gate=variants.StochasticDepth), 0.5)


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "residual": gated,
    "plain": lambda n: nets.CifarResNet(6 * n + 2, in_channels=1, residual=False),
    "projections": lambda n: gated(n, shortcut=make_shortcut),
    "resnet-d": lambda n: gated(n, shortcut=variants.average_shortcut),
    "pre-activation": pre_activated,
    "se": lambda n: gated(n, gate=partial(variants.SqueezeExcitation, reduction=4)),
    "eca": lambda n: gated(n, gate=variants.EfficientAttention),
    "stochastic-depth": with_stochastic_depth,
    "zero-gamma": lambda n: nets.zero_gamma(nets.CifarResNet(6 * n + 2, in_channels=1)),
    "rezero": lambda n: gated(n, gate=variants.ReZero),
    "layerscale": lambda n: gated(n, gate=variants.LayerScale),
    "no-norm": lambda n: variants.without_batch_norm(gated(n)),
    "skipinit": lambda n: variants.without_batch_norm(gated(n, gate=variants.ReZero)),
    "normaliser-free": lambda n: variants.NormFreeNet(blocks=[n] * 3, in_channels=1),
    "bottlenecks": bottlenecks,
    "resnext": lambda n: bottlenecks(n, groups=4, width_per_group=24),
    "wide": lambda n: pre_activated(n, WIDE),
    "wide-dropout": lambda n: pre_activated(n, WIDE, dropout=0.3),
}

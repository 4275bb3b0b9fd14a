"""The networks that `variants.py` compares: one change each, in a network of 6n + 2 layers."""

from collections.abc import Callable
from functools import partial

from torch import nn

from resnet_lib import nets, variants
from resnet_lib.blocks import make_shortcut

PAD = partial(make_shortcut, shortcut="A")
USUAL = (16, 32, 64)
WIDE = [32, 64, 128]
FOUR_TIMES = [64, 128, 256]


def gated(n: int, in_channels: int, channels=USUAL, **options) -> nn.Module:
    """The usual block, with a gate or another shortcut; by default it is CifarResNet."""
    options = {"shortcut": PAD, "in_channels": in_channels} | options
    return variants.StagedNet(variants.GatedBlock, [n] * 3, channels, **options)


def bottlenecks(n: int, in_channels: int, **options) -> nn.Module:
    """9n + 2 layers, 4 times as many channels between the blocks."""
    options["in_channels"] = in_channels
    return variants.StagedNet(variants.GatedBottleneck, [n] * 3, FOUR_TIMES, **options)


def pre_activated(n: int, in_channels: int, channels=USUAL, **options) -> nn.Module:
    """Pre-activation, with option A as the base."""
    options = {"shortcut": "A", "in_channels": in_channels} | options
    return variants.PreActNet(variants.PreActBlock, [n] * 3, channels, **options)


def with_stochastic_depth(n: int, in_channels: int) -> nn.Module:
    """The paper's strength: the last block is dropped in half of the cases."""
    return variants.stochastic_depth(gated(n, in_channels, gate=variants.StochasticDepth), 0.5)


def zero_gamma(n: int, in_channels: int) -> nn.Module:
    return nets.zero_gamma(nets.CifarResNet(6 * n + 2, in_channels=in_channels))


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "residual": gated,
    "plain": lambda n, c: nets.CifarResNet(6 * n + 2, in_channels=c, residual=False),
    "projections": lambda n, c: gated(n, c, shortcut=make_shortcut),
    "resnet-d": lambda n, c: gated(n, c, shortcut=variants.average_shortcut),
    "pre-activation": pre_activated,
    "se": lambda n, c: gated(n, c, gate=partial(variants.SqueezeExcitation, reduction=4)),
    "eca": lambda n, c: gated(n, c, gate=variants.EfficientAttention),
    "stochastic-depth": with_stochastic_depth,
    "zero-gamma": zero_gamma,
    "rezero": lambda n, c: gated(n, c, gate=variants.ReZero),
    "layerscale": lambda n, c: gated(n, c, gate=variants.LayerScale),
    "no-norm": lambda n, c: variants.without_batch_norm(gated(n, c)),
    "skipinit": lambda n, c: variants.without_batch_norm(gated(n, c, gate=variants.ReZero)),
    "normaliser-free": lambda n, c: variants.NormFreeNet(blocks=[n] * 3, in_channels=c),
    "bottlenecks": bottlenecks,
    "resnext": lambda n, c: bottlenecks(n, c, groups=4, width_per_group=24),
    "wide": lambda n, c: pre_activated(n, c, WIDE),
    "wide-dropout": lambda n, c: pre_activated(n, c, WIDE, dropout=0.3),
}

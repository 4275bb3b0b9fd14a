"""Variants of the residual block, each a small part that is put into one common frame.

A gate stands at the end of a branch and multiplies it; a shortcut can be exchanged; pre-activation
and normaliser-free blocks are classes of their own. `StagedNet` stacks whatever block it is given.
"""

from resnet_lib.variants.gated import GatedBlock, GatedBottleneck, average_shortcut, deep_stem
from resnet_lib.variants.gates import (
    EfficientAttention,
    LayerScale,
    ReZero,
    SqueezeExcitation,
    StochasticDepth,
    stochastic_depth,
)
from resnet_lib.variants.networks import PreActNet, StagedNet, wide_resnet
from resnet_lib.variants.normaliser_free import (
    NormFreeBlock,
    NormFreeNet,
    ScaledStdConv2d,
    without_batch_norm,
)
from resnet_lib.variants.pre_activation import PreActBlock, PreActBottleneck

__all__ = [
    "EfficientAttention",
    "GatedBlock",
    "GatedBottleneck",
    "LayerScale",
    "NormFreeBlock",
    "NormFreeNet",
    "PreActBlock",
    "PreActBottleneck",
    "PreActNet",
    "ReZero",
    "ScaledStdConv2d",
    "SqueezeExcitation",
    "StagedNet",
    "StochasticDepth",
    "average_shortcut",
    "deep_stem",
    "stochastic_depth",
    "wide_resnet",
    "without_batch_norm",
]

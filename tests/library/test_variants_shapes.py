"""The variants' parts keep what they promise, for any size, stride and channels."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_lib import variants

channels, sizes = st.integers(1, 6), st.integers(1, 9)
quick = settings(max_examples=20, deadline=None)
BLOCKS = (
    (variants.GatedBlock, 1),
    (variants.GatedBottleneck, 4),
    (variants.PreActBlock, 1),
    (variants.PreActBottleneck, 4),
    (variants.NormFreeBlock, 1),
)
GATES = (
    *(variants.EfficientAttention, variants.LayerScale, variants.ReZero),
    *(variants.SqueezeExcitation, variants.StochasticDepth),
)


def shape_of(part, x):
    """The output's shape; a gradient comes back to every number of the input, and is finite."""
    x = x.requires_grad_()
    out = part(x)
    out.square().sum().backward()
    assert x.grad.isfinite().all()
    return tuple(out.shape)


def strided(x, out_channels, stride):
    return (len(x), out_channels, *(-(-side // stride) for side in x.shape[2:]))


@quick
@given(channels, channels, st.integers(1, 3), sizes, sizes)
def test_block_has_the_promised_shape(c_in, c_out, stride, height, width):
    x = torch.randn(2, c_in, height, width)
    for kind, factor in BLOCKS:
        block = kind(c_in, factor * c_out, stride).eval()
        assert shape_of(block, x) == strided(x, factor * c_out, stride), kind


@quick
@given(channels, channels, st.integers(1, 3), st.integers(1, 4), sizes)
def test_groups_keep_the_shape(c_in, c_out, stride, groups, side):
    x = torch.randn(2, c_in, side, side)
    block = variants.GatedBottleneck(c_in, 4 * c_out, stride, groups=groups, width_per_group=16)
    assert shape_of(block.eval(), x) == strided(x, 4 * c_out, stride)


@quick
@given(channels, channels, st.integers(1, 2), sizes, sizes)
def test_average_shortcut_has_the_shape_of_the_usual_one(c_in, c_out, stride, height, width):
    x = torch.randn(2, c_in, height, width)
    part = variants.average_shortcut(c_in, c_out, stride).eval()
    assert shape_of(part, x) == strided(x, c_out, stride)


@quick
@given(channels, channels, sizes, sizes)
def test_deep_stem_halves_the_size(c_in, half, height, width):
    x = torch.randn(2, c_in, height, width)
    assert shape_of(variants.deep_stem(c_in, 2 * half).eval(), x) == strided(x, 2 * half, 2)


@quick
@given(st.integers(1, 40), sizes, sizes)
def test_gate_keeps_the_shape(width, height, side):
    x = torch.randn(2, width, height, side)
    for kind in GATES:
        assert shape_of(kind(width), x) == tuple(x.shape), kind


@quick
@given(st.lists(st.integers(1, 2), min_size=1, max_size=4), channels, st.integers(1, 3), sizes)
def test_frame_stacks_any_number_of_stages(blocks, width, in_channels, side):
    x = torch.randn(2, in_channels, side, side)
    widths = [width * 2**n for n in range(len(blocks))]
    for frame, block in (
        (variants.StagedNet, variants.GatedBlock),
        (variants.PreActNet, variants.PreActBlock),
    ):
        net = frame(block, blocks, widths, 3, in_channels, stem_channels=4).eval()
        assert shape_of(net, x) == (2, 3)

"""The blocks against torchvision, numpy in float64 and the paper (He et al. 2015)."""

import inspect
import re
from functools import partial
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck

from resnet_lib.blocks import BasicBlock, Bottleneck, PadShortcut, conv1x1, conv3x3, make_shortcut

quick = settings(max_examples=25, deadline=None, derandomize=True)
channels = st.integers(1, 6)
strides = st.integers(1, 4)
sizes = st.integers(1, 17)
options = st.sampled_from("ABC")

# Each block, and the strides of its convolutions when the block's stride is s.
PaperBottleneck = partial(Bottleneck, stride_in_1x1=True)
BLOCKS = {
    "basic": (BasicBlock, lambda s: (s, 1)),
    "bottleneck": (Bottleneck, lambda s: (1, s, 1)),
    "bottleneck, stride in the 1x1": (PaperBottleneck, lambda s: (s, 1, 1)),
}
every_block = pytest.mark.parametrize("kind", list(BLOCKS))


def numpy_conv(x, weight, stride):
    """Slide the kernel over the padded image and sum the products, in float64."""
    size = weight.shape[-1]
    pad = size // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], weight)


def numpy_norm(x, norm, train):
    """Batch norm in float64: by the batch's own moments, or by the running ones."""
    column = lambda t: t.detach().double().numpy()[:, None, None]  # noqa: E731
    mean, var = column(norm.running_mean), column(norm.running_var)
    if train:
        mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * column(norm.weight) + column(norm.bias)


def randomized(module):
    """Give every weight and statistic a value of its own, so that none can be mistaken."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + (0.5 if "var" in name else -0.3))
    return module


@quick
@given(channels, channels, strides, sizes, sizes)
def test_convolutions_have_the_promised_shape_and_no_bias(c_in, c_out, stride, height, width):
    x = torch.randn(2, c_in, height, width)
    for conv in (conv3x3(c_in, c_out, stride), conv1x1(c_in, c_out, stride)):
        assert conv(x).shape == (2, c_out, ceil(height / stride), ceil(width / stride))
        assert conv.bias is None


@quick
@given(channels, st.integers(0, 4), strides, sizes, sizes, options, st.booleans())
def test_block_has_the_promised_shape(c_in, more, stride, height, width, option, residual):
    for kind, factor in (BasicBlock, 1), (Bottleneck, 4), (PaperBottleneck, 4):
        c_out = factor * (c_in + more)
        x = torch.randn(2, c_in, height, width)
        expected = (2, c_out, ceil(height / stride), ceil(width / stride))
        block = kind(c_in, c_out, stride, shortcut=option, residual=residual).eval()
        assert block(x).shape == expected
        assert make_shortcut(c_in, c_out, stride, option).eval()(x).shape == expected


@quick
@given(channels, st.integers(0, 4), strides, options)
def test_plain_twin_lacks_the_projection_and_nothing_else(c_in, more, stride, option):
    for kind, factor in (BasicBlock, 1), (Bottleneck, 4):
        c_out = factor * (c_in + more)
        residual = kind(c_in, c_out, stride, shortcut=option).state_dict()
        plain = kind(c_in, c_out, stride, shortcut=option, residual=False).state_dict()
        own = {name: t.shape for name, t in residual.items() if not name.startswith("downsample")}
        assert {name: t.shape for name, t in plain.items()} == own
        changes = stride > 1 or c_in != c_out
        projected = option == "C" or (option == "B" and changes)
        extra = {n: t.numel() for n, t in residual.items() if n not in own and "running" not in n}
        extra.pop("downsample.1.num_batches_tracked", None)
        assert sum(extra.values()) == projected * (c_in * c_out + 2 * c_out)


@quick
@given(channels, channels)
def test_bottleneck_counted_by_hand(c_in, width):
    """He et al. 2015, Fig. 5: 1×1 down to a quarter, 3×3, 1×1 up; each with γ and β."""
    block = Bottleneck(c_in, 4 * width, residual=False)
    weights = c_in * width + 9 * width * width + width * 4 * width
    assert sum(p.numel() for p in block.parameters()) == weights + 2 * (width + width + 4 * width)


def test_conv3x3_counted_by_hand():
    conv = conv3x3(1, 1)
    nn.init.ones_(conv.weight)
    image = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    by_hand = [[12, 21, 16], [27, 45, 33], [24, 39, 28]]  # sums over each pixel's neighbours
    assert conv(image)[0, 0].tolist() == by_hand


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("make", [conv3x3, conv1x1])
def test_convolutions_agree_with_numpy(make, stride):
    conv, x = make(3, 4, stride).double(), torch.randn(2, 3, 7, 6, dtype=torch.float64)
    expected = numpy_conv(x.numpy(), conv.weight.detach().numpy(), stride)
    np.testing.assert_allclose(conv(x).detach().numpy(), expected, atol=1e-12)


def numpy_block(block, x, strides, train):
    """The block's output in float64, and what its first convolution hands on."""
    weights = {name: p.detach().numpy() for name, p in block.named_parameters()}
    first, out = None, x
    for number, stride in enumerate(strides, start=1):
        if number > 1:
            out = np.maximum(out, 0)
        convolved = numpy_conv(out, weights[f"conv{number}.weight"], stride)
        first = convolved if first is None else first
        out = numpy_norm(convolved, getattr(block, f"bn{number}"), train)
    if "downsample.0.weight" in weights:
        projected = numpy_conv(x, weights["downsample.0.weight"], max(strides))
        out = out + numpy_norm(projected, block.downsample[1], train)
    elif block.residual:
        out = out + x
    return np.maximum(out, 0), first


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("option", "c_out", "stride"), [("B", 4, 1), ("B", 8, 2), ("C", 4, 1)])
@every_block
def test_block_agrees_with_numpy(kind, option, c_out, stride, residual, train):
    torch.manual_seed(0)
    make, strides_of = BLOCKS[kind]
    block = randomized(make(4, c_out, stride, shortcut=option, residual=residual))
    block.double().train(train)
    x = torch.randn(4, 4, 7, 6, dtype=torch.float64)
    given, mean, var = (
        t.numpy().copy() for t in (x, block.bn1.running_mean, block.bn1.running_var)
    )
    expected, hidden = numpy_block(block, given, strides_of(stride), train)
    np.testing.assert_allclose(block(x).detach().numpy(), expected, atol=1e-10)
    np.testing.assert_array_equal(x.numpy(), given, "the block must not write to its input")
    if train:
        mean = 0.9 * mean + 0.1 * hidden.mean((0, 2, 3))
        var = 0.9 * var + 0.1 * hidden.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(block.bn1.running_mean, mean, atol=1e-12)
    np.testing.assert_allclose(block.bn1.running_var, var, atol=1e-12)


@pytest.mark.parametrize("side", ["behind", "both"])
@pytest.mark.parametrize(("c_out", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (6, 2), (7, 3)])
def test_pad_shortcut_agrees_with_numpy(c_out, stride, side):
    x = torch.randn(2, 3, 7, 8)
    kept = x.numpy()[:, :, ::stride, ::stride]
    front = (c_out - 3) // 2 if side == "both" else 0
    expected = np.pad(kept, ((0, 0), (front, c_out - 3 - front), (0, 0), (0, 0)))
    shortcut = PadShortcut(3, c_out, stride, side)
    np.testing.assert_array_equal(shortcut(x).numpy(), expected)
    assert not list(shortcut.parameters())


def test_pad_shortcut_keeps_the_layout_of_the_gradient():
    """A gradient in another layout slows down each operation that meets it."""
    x = torch.randn(2, 4, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    weights = torch.randn(2, 8, 3, 3).to(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad((PadShortcut(4, 8, 2)(x) * weights).sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("option", "same_shape", "changed_shape"),
    [
        ("A", nn.Identity, PadShortcut),
        ("A-both", nn.Identity, PadShortcut),
        ("B", nn.Identity, nn.Sequential),
        ("C", nn.Sequential, nn.Sequential),
    ],
)
def test_shortcut_options_are_the_papers(option, same_shape, changed_shape):
    assert type(make_shortcut(4, 4, 1, option)) is same_shape
    assert type(make_shortcut(4, 4, 2, option)) is changed_shape
    assert type(make_shortcut(4, 8, 1, option)) is changed_shape


def test_zeros_are_behind_unless_asked_for_on_both_sides():
    assert torch.equal(
        make_shortcut(2, 6, 1, "A")(torch.ones(1, 2, 1, 1)).flatten(),
        torch.tensor([1.0, 1, 0, 0, 0, 0]),
    )
    assert torch.equal(
        make_shortcut(2, 6, 1, "A-both")(torch.ones(1, 2, 1, 1)).flatten(),
        torch.tensor([0.0, 0, 1, 1, 0, 0]),
    )
    with pytest.raises(ValueError, match=r"^side must be one of behind, both, got 'front'"):
        PadShortcut(2, 6, 1, "front")


def torchvision_twin(kind, block, c_in, c_out, stride):
    if kind == "basic":
        twin = TorchvisionBasicBlock(c_in, c_out, stride)
    else:
        twin = TorchvisionBottleneck(c_in, c_out // 4, stride)
    if kind == "bottleneck, stride in the 1x1":
        twin.conv1.stride, twin.conv2.stride = twin.conv2.stride, twin.conv1.stride
    if stride > 1 or c_in != c_out:
        conv = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
        twin.downsample = nn.Sequential(conv, nn.BatchNorm2d(c_out))
    names = [(name, tensor.shape) for name, tensor in twin.state_dict().items()]
    assert [(name, tensor.shape) for name, tensor in block.state_dict().items()] == names
    twin.load_state_dict(block.state_dict(), strict=True)
    return twin


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(4, 4, 1), (4, 8, 2), (4, 8, 1), (4, 4, 2)])
@every_block
def test_block_is_bit_identical_to_torchvisions(kind, c_in, c_out, stride, train):
    torch.manual_seed(1)
    block = randomized(BLOCKS[kind][0](c_in, c_out, stride)).train(train)
    twin = torchvision_twin(kind, block, c_in, c_out, stride).train(train)
    x, y = (torch.randn(4, c_in, 9, 8).requires_grad_() for _ in range(2))
    y.data.copy_(x.data)
    out, expected = block(x), twin(y)
    assert (out - expected).abs().max() == 0
    slope = torch.randn_like(out)
    out.backward(slope)
    expected.backward(slope)
    assert torch.equal(x.grad, y.grad)
    for (name, ours), theirs in zip(block.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad), name
    for (name, ours), theirs in zip(block.named_buffers(), twin.buffers(), strict=True):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize(("stride", "alike"), [(1, True), (2, False)])
def test_place_of_the_stride_shows_only_where_there_is_one(stride, alike):
    """The same weights; at stride 2 the paper's 3×3 sees every second position, torchvision's all.

    So one pixel that no stride lands on reaches torchvision's output, and not the paper's branch.
    """
    torch.manual_seed(2)
    ours = randomized(Bottleneck(4, 8, stride, residual=False)).eval()
    paper = PaperBottleneck(4, 8, stride, residual=False).eval()
    paper.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(ours(x), paper(x)) is alike
    poked = x.clone()
    poked[:, :, 1, 1] += 10
    assert torch.equal(paper(x), paper(poked)) is not alike
    assert not torch.equal(ours(x), ours(poked))


@pytest.mark.parametrize("option", "ABC")
@every_block
def test_addition_stands_before_the_last_relu(kind, option):
    """With F = 0 a block gives ReLU(shortcut(x)), and its plain twin gives 0."""
    make, strides_of = BLOCKS[kind]
    block = make(2, 4, 2, shortcut=option).eval()
    plain = make(2, 4, 2, residual=False).eval()
    for module in (block, plain):
        nn.init.zeros_(getattr(module, f"bn{len(strides_of(2))}").weight)
    x = torch.randn(3, 2, 6, 6)
    assert torch.equal(block(x), block.downsample(x).relu())
    assert (block(x) > 0).any()
    assert not plain(x).any()
    assert not hasattr(plain, "downsample")


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("wrong", [1, 2, 3, 5, 6, 63])
def test_bottleneck_divides_its_channels_by_four(wrong, residual):
    with pytest.raises(ValueError, match=rf"^out_channels must be a multiple of 4, got {wrong}$"):
        Bottleneck(4, wrong, residual=residual)


def test_options_of_a_block_are_named():
    """By position, `residual` and `shortcut` could be mistaken for one another."""
    for kind in (BasicBlock, Bottleneck):
        with pytest.raises(TypeError, match="positional argument"):
            kind(4, 4, 1, "A")
    with pytest.raises(TypeError, match="stride_in_1x1"):
        BasicBlock(4, 4, stride_in_1x1=True)


CALLS = {
    "conv3x3": conv3x3,
    "conv1x1": conv1x1,
    "PadShortcut": PadShortcut,
    "make_shortcut": make_shortcut,
    "BasicBlock": BasicBlock,
    "plain BasicBlock": lambda *numbers: BasicBlock(*numbers, residual=False),
    "Bottleneck": Bottleneck,
    "plain Bottleneck": lambda *numbers: Bottleneck(*numbers, residual=False),
}


@pytest.mark.parametrize("value", [0, -1, -64, 2.0, 1.5, float("nan"), True, False, "2", None])
@pytest.mark.parametrize(
    ("position", "name"), [(0, "in_channels"), (1, "out_channels"), (2, "stride")]
)
@pytest.mark.parametrize("call", list(CALLS.values()), ids=list(CALLS))
def test_error_names_argument_value_and_what_is_allowed(call, position, name, value):
    numbers = [4, 4, 1]
    numbers[position] = value
    error = ValueError if type(value) is int else TypeError
    with pytest.raises(error) as caught:
        call(*numbers)
    message = str(caught.value)
    assert message.startswith(f"{name} must be")
    assert "at least 1" in message
    assert message.endswith(f"got {value!r}")


@pytest.mark.parametrize("option", ["D", "a", "", "AB", None, 1, ["A"]])
def test_unknown_option_is_refused(option):
    fourth = list(inspect.signature(make_shortcut).parameters)[3]
    for name, call in (
        (fourth, lambda: make_shortcut(4, 4, 1, option)),
        ("shortcut", lambda: BasicBlock(4, 4, shortcut=option)),
        ("shortcut", lambda: Bottleneck(4, 4, shortcut=option)),
    ):
        message = f"{name} must be one of A, B, C, A-both, got {option!r}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: PadShortcut(8, 4),
        lambda: make_shortcut(8, 4, 2, "A"),
        lambda: BasicBlock(8, 4, shortcut="A"),
        lambda: Bottleneck(8, 4, shortcut="A"),
    ],
)
def test_option_a_cannot_drop_channels(call):
    with pytest.raises(ValueError, match=r"^out_channels must be at least in_channels \(8\).* 4$"):
        call()

"""The CIFAR networks against the paper's Table 6 and a forward pass written out by hand."""

import math
import re
from itertools import count

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_models import parameter_count, signature

from resnet_lib.blocks import BasicBlock
from resnet_lib.nets import CifarResNet
from resnet_lib.probes import layer_costs, trace_shapes

quick = settings(max_examples=15, deadline=None, derandomize=True)
# The paper's depths, and the smallest. 1202 takes seconds to build, so it stands here once.
NETWORKS = [(depth, option) for depth in (8, 20, 32, 44, 56, 110) for option in "ABC"]
NETWORKS.append((1202, "A"))
every_network = pytest.mark.parametrize(("depth", "option"), NETWORKS)


# He et al. 2015, Table 6, in millions, as many digits as are printed there.
@pytest.mark.parametrize(
    ("depth", "millions", "digits"),
    [(20, 0.27, 2), (32, 0.46, 2), (44, 0.66, 2), (56, 0.85, 2), (110, 1.7, 1), (1202, 19.4, 1)],
)
def test_parameters_are_the_papers(depth, millions, digits):
    with torch.device("meta"):
        model = CifarResNet(depth)
    assert round(parameter_count(model) / 1e6, digits) == millions


@every_network
def test_depth_counts_the_layers_with_weights(depth, option):
    with torch.device("meta"):
        model = CifarResNet(depth, shortcut=option)
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in name
    ]
    assert len(layers) == depth
    assert sum(isinstance(module, BasicBlock) for module in model.modules()) == (depth - 2) / 2


def test_sizes_are_the_papers():
    """He et al. 2015, section 4.2: maps of 32, 16 and 8 pixels, 16, 32 and 64 channels."""
    with torch.device("meta"):
        model, x = CifarResNet(20), torch.empty(1, 3, 32, 32)
    shapes = {row.layer: row.output for row in trace_shapes(model, x, (nn.Sequential, nn.Conv2d))}
    assert shapes["conv1"] == shapes["layer1"] == (1, 16, 32, 32)
    assert shapes["layer2"] == (1, 32, 16, 16)
    assert shapes["layer3"] == (1, 64, 8, 8)
    # Multiply-adds by the paper's formula: 9 · c_in · c_out for each position of each map.
    positions = {16: 32 * 32, 32: 16 * 16, 64: 8 * 8}
    by_hand = 9 * 3 * 16 * positions[16] + 64 * 10
    for channels in (16, 32, 64):
        by_hand += 6 * 9 * channels * channels * positions[channels]
        if channels > 16:
            by_hand -= 9 * channels * channels // 2 * positions[channels]  # its first has half
    assert sum(row.multiply_adds for row in layer_costs(model, x)) == by_hand


@every_network
def test_twins_differ_by_the_projections(depth, option):
    with torch.device("meta"):
        model = CifarResNet(depth, shortcut=option)
        plain = CifarResNet(depth, shortcut=option, residual=False)
    same_shape = (depth - 2) // 6 * 3 - 2
    pairs = {"A": [], "B": [(16, 32), (32, 64)]}
    pairs["C"] = (
        pairs["B"] + [(16, 16)] + [(c, c) for c in (16, 32, 64) for _ in range(same_shape // 3)]
    )
    size = sum(c_in * c_out + 2 * c_out for c_in, c_out in pairs[option])
    assert parameter_count(model) - parameter_count(plain) == size
    assert [pair for pair in signature(model) if "downsample" not in pair[0]] == signature(plain)


def test_option_a_is_the_default():
    assert signature(CifarResNet(8)) == signature(CifarResNet(8, shortcut="A"))
    assert signature(CifarResNet(8)) != signature(CifarResNet(8, shortcut="B"))


def written_out(weights, x, *, residual):
    """The forward pass with nothing but functions, in eval mode; the depth is read from names."""

    def norm(name, x):
        w, b, mean, var = (
            weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        column = (slice(None), None, None)
        return (x - mean[column]) / (var[column] + 1e-5).sqrt() * w[column] + b[column]

    def conv(name, x, stride):
        weight = weights[name + ".weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    x = norm("bn1", conv("conv1", x, 1)).clamp(min=0)
    for stage in (1, 2, 3):
        for block in count():
            at = f"layer{stage}.{block}"
            if f"{at}.conv1.weight" not in weights:
                break
            stride = 2 if stage > 1 and block == 0 else 1
            out = norm(f"{at}.bn1", conv(f"{at}.conv1", x, stride)).clamp(min=0)
            out = norm(f"{at}.bn2", conv(f"{at}.conv2", out, 1))
            if f"{at}.downsample.0.weight" in weights:
                short = norm(f"{at}.downsample.1", conv(f"{at}.downsample.0", x, stride))
            else:
                kept = x[:, :, ::stride, ::stride]
                zeros = kept.new_zeros(len(x), out.shape[1] - x.shape[1], *kept.shape[2:])
                short = torch.cat([kept, zeros], dim=1)
            x = (out + short if residual else out).clamp(min=0)
    return (
        x.sum(dim=(2, 3)) / (x.shape[2] * x.shape[3]) @ weights["fc.weight"].T + weights["fc.bias"]
    )


@pytest.mark.parametrize("option", "ABC")
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("depth", "height", "width"), [(8, 8, 8), (14, 9, 6), (20, 5, 7)])
def test_network_is_the_one_written_out(depth, height, width, residual, option):
    torch.manual_seed(0)
    model = CifarResNet(depth, 5, 2, shortcut=option, residual=residual).double()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if "var" in name or tensor.dim() == 1 else (-0.3, 0.3)
            tensor.copy_(torch.empty_like(tensor).uniform_(low, high))
    x = torch.randn(3, 2, height, width, dtype=torch.float64)
    expected = written_out(model.state_dict(), x, residual=residual)
    assert model.eval()(x).shape == (3, 5)
    torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


@quick
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 13),
    st.integers(1, 13),
    st.sampled_from("ABC"),
    st.booleans(),
)
def test_network_takes_any_size(n, num_classes, in_channels, height, width, option, residual):
    model = CifarResNet(6 * n + 2, num_classes, in_channels, shortcut=option, residual=residual)
    x = torch.randn(2, in_channels, height, width)
    assert model.train()(x).shape == (2, num_classes)
    assert model.eval()(x[:1]).shape == (1, num_classes)


@pytest.mark.parametrize("residual", [True, False])
def test_convolutions_begin_as_he_et_al_draw_them(residual):
    torch.manual_seed(0)
    model = CifarResNet(20, residual=residual)
    for stage, channels in ((model.layer1, 16), (model.layer2, 32), (model.layer3, 64)):
        drawn = torch.cat([block.conv2.weight.detach().flatten() for block in stage])
        assert drawn.std().item() == pytest.approx(math.sqrt(2 / (9 * channels)), rel=0.05)


def test_twins_of_one_seed_begin_alike():
    """Option A has no weights of its own, so the plain twin draws the same ones in turn."""
    drawn = []
    for residual in (True, False):
        torch.manual_seed(4)
        drawn.append(CifarResNet(14, residual=residual).state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[1])


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 9, 18, 19, 21, 34, 52, 112])
def test_depth_that_does_not_fit_is_refused(depth):
    message = f"depth must be 6n + 2 with n at least 1 (8, 14, 20, ...), got {depth}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CifarResNet(depth)


@pytest.mark.parametrize("value", [0, -4, 20.0, True, "20", None])
@pytest.mark.parametrize("name", ["depth", "num_classes", "in_channels"])
def test_network_names_the_number_it_refuses(name, value):
    match = rf"^{name} must be .*at least 1, got {value!r}$"
    with pytest.raises((TypeError, ValueError), match=match):
        CifarResNet(**{"depth": 8, name: value})


@pytest.mark.parametrize("option", ["D", "a", "", None])
def test_unknown_shortcut_is_refused(option):
    with pytest.raises(
        ValueError, match=rf"^shortcut must be one of A, B, C, A-both, got {option!r}$"
    ):
        CifarResNet(8, shortcut=option)

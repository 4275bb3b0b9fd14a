"""Costs counted by hand, memory that autograd keeps, and how far a layer sees."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_models import build, lived_in, state

from resnet_lib.blocks import BasicBlock, Bottleneck
from resnet_lib.nets import CifarResNet, ResNet, resnet18
from resnet_lib.probes import layer_costs, receptive_fields, saved_bytes

quick = settings(max_examples=25, deadline=None, derandomize=True)
FLOAT = 4  # bytes

# Costs


def test_costs_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, (1, 5), groups=8, bias=False),
        nn.AvgPool2d(2, padding=1),
        nn.Flatten(),
        nn.Linear(72, 10),
    )
    rows = layer_costs(model, torch.randn(2, 3, 9, 16))
    image, half, row = (2, 3, 9, 16), (2, 8, 5, 8), (2, 8, 5, 4)
    maps = 2 * 8 * 5 * 8
    assert rows == [
        ("0", "Conv2d", image, half, 8 * 3 * 9 + 8, maps * 3 * 9, maps * FLOAT),
        ("1", "BatchNorm2d", half, half, 16, 0, maps * FLOAT),
        ("2", "ReLU", half, half, 0, 0, maps * FLOAT),
        ("3", "Conv2d", half, row, 8 * 5, 2 * 8 * 5 * 4 * 5, 2 * 8 * 5 * 4 * FLOAT),
        ("4", "AvgPool2d", row, (2, 8, 3, 3), 0, 0, 2 * 8 * 9 * FLOAT),
        ("5", "Flatten", (2, 8, 3, 3), (2, 72), 0, 0, 2 * 72 * FLOAT),
        ("6", "Linear", (2, 72), (2, 10), 72 * 10 + 10, 2 * 72 * 10, 2 * 10 * FLOAT),
    ]
    first = rows[0]
    assert (first.layer, first.kind, first.input, first.output) == ("0", "Conv2d", image, half)
    assert (first.parameters, first.multiply_adds) == (8 * 3 * 9 + 8, maps * 3 * 9)
    assert first.activation_bytes == maps * FLOAT


@quick
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
)
def test_convolution_is_counted_by_its_formula(
    batch, groups, c_in, c_out, kernel, stride, dilation, bias
):
    """Each output value is a sum of k_h · k_w · c_in / groups products; its bias is not counted."""
    conv = nn.Conv2d(
        groups * c_in,
        groups * c_out,
        kernel,
        stride=stride,
        padding=4,
        dilation=dilation,
        groups=groups,
        bias=bias,
    )
    x = torch.randn(batch, groups * c_in, 6, 7)
    (row,) = layer_costs(conv, x)
    weights = kernel[0] * kernel[1] * c_in
    assert row.multiply_adds == conv(x).numel() * weights
    assert row.parameters == groups * c_out * (weights + bias)
    assert row.output == tuple(conv(x).shape)


@pytest.mark.parametrize(
    ("layer", "shape", "multiply_adds"),
    [
        (nn.Linear(4, 3), (2, 4), 2 * 4 * 3),
        (nn.Linear(4, 3, bias=False), (2, 4), 2 * 4 * 3),
        (nn.Linear(4, 3), (2, 5, 4), 10 * 4 * 3),
        (nn.Conv1d(4, 6, 3, padding=1), (2, 4, 8), 2 * 6 * 8 * 4 * 3),
        (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 3 * 27 * 2 * 8),
        # A transposed convolution multiplies each value of its input with the whole kernel.
        (nn.ConvTranspose2d(4, 8, 3), (2, 4, 5, 5), 2 * 4 * 25 * 8 * 9),
        (nn.MaxPool2d(2), (2, 4, 8, 8), 0),
        (nn.LayerNorm(4), (2, 4), 0),
        (nn.GELU(), (2, 4), 0),
    ],
    ids=str,
)
def test_kinds_of_layers_are_counted(layer, shape, multiply_adds):
    (row,) = layer_costs(layer, torch.randn(shape))
    assert row.multiply_adds == multiply_adds
    assert row.parameters == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float64, 8), (torch.float32, 4), (torch.bfloat16, 2)]
)
def test_bytes_are_those_of_the_precision(dtype, size):
    (row,) = layer_costs(nn.Linear(4, 3).to(dtype), torch.randn(5, 4, dtype=dtype))
    assert row.activation_bytes == 5 * 3 * size


LINEAR = "layer", (6, 4), (6, 4), 20, 6 * 16, 6 * 4 * FLOAT


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("layer called twice", [LINEAR, ("offset", (), (4,), 4, 0, 4 * FLOAT), LINEAR]),
        ("dictionary", [("layer", (6, 4), (6, 3), 15, 6 * 12, 6 * 3 * FLOAT)]),
        (
            "tied weights",
            [
                ("embedding", (6,), (6, 4), 20, 0, 6 * 4 * FLOAT),
                ("out", (6, 4), (6, 5), 25, 6 * 20, 6 * 5 * FLOAT),
            ],
        ),
    ],
)
def test_every_call_of_a_layer_has_its_cost(name, rows):
    model, x = build(name)
    assert [(row.layer, *row[2:]) for row in layer_costs(model, x)] == rows


def test_work_grows_with_the_batch_and_parameters_do_not():
    model = CifarResNet(8)
    one, four = (layer_costs(model, torch.randn(n, 3, 16, 16)) for n in (1, 4))
    for single, batch in zip(one, four, strict=True):
        assert batch.multiply_adds == 4 * single.multiply_adds
        assert batch.activation_bytes == 4 * single.activation_bytes
        assert batch.parameters == single.parameters


@pytest.mark.parametrize("options", [{}, {"residual": False}, {"shortcut": "C"}], ids=str)
@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_costs_on_the_meta_device_are_the_same(block, options):
    model = ResNet(block, (1, 1, 1, 1), 10, **options)
    rows = layer_costs(model, torch.randn(1, 3, 40, 33))
    assert layer_costs(model.to("meta"), torch.empty(1, 3, 40, 33, device="meta")) == rows
    assert sum(row.multiply_adds for row in rows) > 1e6


def test_additions_of_a_block_cost_nothing():
    """A plain network multiplies as often as its residual twin, where there is no projection."""
    costs = [layer_costs(CifarResNet(14, residual=r), torch.randn(1, 3, 8, 8)) for r in (0, 1)]
    assert len({sum(row.multiply_adds for row in rows) for rows in costs}) == 1


def test_costs_are_taken_in_eval_mode():
    """In train mode batch norm would refuse a single value per channel."""
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3)).train()
    assert [row.multiply_adds for row in layer_costs(model, torch.randn(1, 1, 2, 2))] == [12, 0]
    assert model.training


# Memory that autograd keeps

IMAGE = 2 * 1 * 8 * 8 * FLOAT
MAP = 2 * 4 * 8 * 8 * FLOAT


def chain(*between):
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *between, nn.Conv2d(4, 2, 3, padding=1))


class Split(nn.Module):
    """Two layers that read the same input."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3)

    def forward(self, x):
        return self.one(x) + self.other(x)


# A convolution needs its input again, ReLU its output, and what both need is there once.
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Conv2d(1, 4, 3), IMAGE),
        (chain(), IMAGE + MAP),
        (chain(nn.ReLU()), IMAGE + MAP),
        (chain(nn.ReLU(inplace=True)), IMAGE + MAP),
        (chain(nn.Tanh()), IMAGE + MAP),
        (chain(nn.SiLU()), IMAGE + 2 * MAP),  # needs its input, and the convolution its output
        (chain(nn.LeakyReLU()), IMAGE + 2 * MAP),
        (chain(nn.LeakyReLU(inplace=True)), IMAGE + MAP),
        (chain(nn.ReLU(), nn.Identity(), nn.Flatten(), nn.Unflatten(1, (4, 8, 8))), IMAGE + MAP),
        (nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()), IMAGE + MAP),
        (Split(), IMAGE),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 1000)), IMAGE),
        (nn.ReLU(), 0),  # nothing here is to be trained
        (nn.Conv2d(1, 4, 3).requires_grad_(False), 0),
    ],
    ids=lambda value: None if isinstance(value, int) else re.sub(r"\s+", " ", str(value)),
)
def test_saved_bytes_by_hand(model, expected):
    assert saved_bytes(model, torch.randn(2, 1, 8, 8)) == expected


def test_frozen_first_layers_save_nothing():
    model = nn.Sequential(chain(nn.ReLU()).requires_grad_(False), nn.Conv2d(2, 2, 1))
    assert saved_bytes(model, torch.randn(2, 1, 8, 8)) == 2 * 2 * 8 * 8 * FLOAT


def test_parameters_and_buffers_are_not_counted():
    """The layer's weight is saved for the backward pass too, and is a thousand times larger."""
    layer = nn.Linear(1000, 1000)
    assert saved_bytes(layer, torch.randn(1, 1000)) == 1000 * FLOAT
    norm = nn.BatchNorm1d(1000).eval()  # needs its input, its γ and its running statistics
    assert saved_bytes(norm, torch.randn(1, 1000)) == 1000 * FLOAT


def test_batch_norm_saves_its_input_and_the_moments_of_the_batch():
    norm, x = nn.BatchNorm2d(4), torch.randn(2, 4, 8, 8)
    assert saved_bytes(norm, x) == MAP + 2 * 4 * FLOAT
    assert saved_bytes(norm.eval(), x) == MAP


def test_mode_is_the_one_the_model_is_in():
    """Dropout keeps what it dropped, in train mode only."""
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8)), torch.randn(4, 8)
    trained, evaluated = saved_bytes(model.train(), x), saved_bytes(model.eval(), x)
    assert evaluated == 2 * 4 * 8 * FLOAT
    assert trained > evaluated


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_identity_shortcut_saves_nothing(kind):
    """Its input is kept for the first convolution anyway, and an addition needs nothing."""
    x = torch.randn(2, 8, 6, 6)
    residual, plain = (kind(8, 8, residual=flag) for flag in (True, False))
    assert saved_bytes(residual, x) == saved_bytes(plain, x)
    assert saved_bytes(kind(8, 8, shortcut="C"), x) > saved_bytes(plain, x)


def test_saved_bytes_grow_with_batch_and_precision():
    model = CifarResNet(8).eval()
    one = saved_bytes(model, torch.randn(1, 3, 16, 16))
    assert saved_bytes(model, torch.randn(3, 3, 16, 16)) == 3 * one
    assert saved_bytes(model.double(), torch.randn(1, 3, 16, 16).double()) == 2 * one


@pytest.mark.parametrize(("training", "tolerance"), [(True, 0), (False, 0.01)])
def test_saved_bytes_on_the_meta_device_are_the_same(training, tolerance):
    """In eval mode batch norm on the meta device keeps room for moments that it does not need."""
    model = CifarResNet(8, shortcut="B").train(training)
    found = saved_bytes(model, torch.randn(2, 3, 16, 16))
    meta = saved_bytes(model.to("meta"), torch.empty(2, 3, 16, 16, device="meta"))
    assert meta == pytest.approx(found, rel=tolerance)


def test_each_run_is_counted_alone():
    model, x = chain(nn.ReLU()), torch.randn(2, 1, 8, 8)
    assert {saved_bytes(model, x) for _ in range(5)} == {IMAGE + MAP}


# How far a layer sees


def analytic(layers):
    """Receptive field after each layer: it grows by (k - 1) · d steps of the input, of s each."""
    field, jump, fields = 1, 1, []
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= stride
        fields.append(field)
    return fields


LAYERS = st.tuples(
    st.sampled_from(["conv", "average", "max"]),
    st.sampled_from([1, 2, 3, 5]),
    st.integers(1, 3),
    st.integers(1, 2),
)


@quick
@given(st.lists(LAYERS, min_size=1, max_size=4))
def test_receptive_field_is_the_analytic_one(layers):
    torch.manual_seed(0)
    modules, sizes = [], []
    for kind, kernel, stride, dilation in layers:
        sizes.append((kernel, stride, 1 if kind == "average" else dilation))
        if kind == "conv":
            modules.append(nn.Conv2d(6, 6, kernel, stride=stride, dilation=dilation))
        elif kind == "average":
            modules.append(nn.AvgPool2d(kernel, stride))
        else:
            modules.append(nn.MaxPool2d(kernel, stride, dilation=dilation))
    fields = analytic(sizes)
    step = 3 ** sum(stride > 1 for _, _, stride, _ in layers)
    size = fields[-1] + 2 * step
    rows = receptive_fields(nn.Sequential(*modules), torch.randn(12, 6, size, size))
    assert [row.height for row in rows] == fields
    assert [row.width for row in rows] == fields
    assert [row.layer for row in rows] == [str(i) for i in range(len(layers))]


def test_height_and_width_are_told_apart():
    model = nn.Sequential(
        nn.Conv2d(2, 4, (3, 1), stride=(1, 2)), nn.ReLU(), nn.Conv2d(4, 4, (1, 5))
    )
    rows = receptive_fields(model, torch.randn(8, 2, 16, 40))
    assert rows == [("0", "Conv2d", 3, 1), ("1", "ReLU", 3, 1), ("2", "Conv2d", 3, 9)]
    assert (rows[2].layer, rows[2].kind, rows[2].height, rows[2].width) == rows[2]


def test_field_ends_at_the_border_of_the_image():
    model = nn.Sequential(nn.Conv2d(1, 2, 9, padding=4), nn.Flatten(), nn.Linear(2 * 7 * 5, 3))
    rows = receptive_fields(model, torch.randn(1, 1, 7, 5))
    assert [(row.height, row.width) for row in rows] == [(7, 5)] * 3


def test_field_is_that_of_the_middle():
    """At row 5 of 10 and column 30 of 60 nothing is cut off; so it is the other way round."""
    conv = nn.Conv2d(1, 2, 9, padding=4)
    for height, width in ((10, 60), (60, 10)):
        (row,) = receptive_fields(conv, torch.randn(1, 1, height, width))
        assert (row.height, row.width) == (9, 9)


class Mirrored(nn.Module):
    """Twice the channels, which sum to zero."""

    def forward(self, x):
        return torch.cat([x, -x], dim=1)


def test_channels_that_cancel_are_seen():
    rows = receptive_fields(nn.Sequential(nn.AvgPool2d(3), Mirrored()), torch.randn(1, 1, 9, 9))
    assert [(row.height, row.width) for row in rows] == [(3, 3), (3, 3)]


def test_layer_without_positions_sees_what_its_inputs_see():
    layers = nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    rows = receptive_fields(nn.Sequential(*layers), torch.randn(4, 1, 12, 10))
    assert [(row.height, row.width) for row in rows] == [(3, 3), (12, 10), (12, 10), (12, 10)]


def convolutions(model):
    """(kernel, stride, dilation) on the way with the most convolutions, as modules are defined."""
    return [
        (module.kernel_size[0], module.stride[0], module.dilation[0])
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and "downsample" not in name
    ]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_field_of_a_cifar_network_by_recursion(residual, train):
    """In train mode batch norm would let every position see the whole image."""
    torch.manual_seed(0)
    model = CifarResNet(20, residual=residual).train(train)
    fields = analytic(convolutions(model))
    assert fields[-1] == 3 + 6 * 2 + (2 + 5 * 4) + (4 + 5 * 8)
    rows = receptive_fields(model, torch.randn(2, 3, 96, 96), BasicBlock)
    assert [row.layer for row in rows] == [f"layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1, 2)]
    assert [row.height for row in rows] == [row.width for row in rows] == fields[2::2]
    assert all(row.kind == "BasicBlock" for row in rows)


class Watched(nn.Sequential):
    """A part of a network, so that it can be named as a kind."""


def test_field_of_resnet18_is_the_known_one():
    """435 px by the recursion; at 448 px the middle position of layer4 has room for it."""
    torch.manual_seed(0)
    model = resnet18(num_classes=2)
    sizes = convolutions(model)
    sizes.insert(1, (3, 2, 1))  # the max-pool
    fields = analytic(sizes)
    assert [fields[i] for i in (5, 9, 13, 17)] == [43, 99, 211, 435]
    model.layer4 = Watched(model.layer4)
    rows = receptive_fields(model, torch.randn(1, 3, 448, 448), Watched)
    assert rows == [("layer4", "Watched", 435, 435)]


def test_kinds_choose_the_layers():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AvgPool2d(2))
    x = torch.randn(4, 1, 12, 12)
    assert [row.layer for row in receptive_fields(model, x)] == ["0", "1", "2", "3"]
    assert [row.height for row in receptive_fields(model, x, nn.Conv2d)] == [3, 5]
    assert [row.kind for row in receptive_fields(model, x, (nn.ReLU, nn.AvgPool2d))] == [
        "ReLU",
        "AvgPool2d",
    ]


def test_more_images_open_more_of_a_field():
    """A max-pool hands one pixel on; over many images each pixel of its window is the one."""
    torch.manual_seed(0)
    pool = nn.MaxPool2d(5)
    (one,), (many,) = (receptive_fields(pool, torch.randn(n, 1, 15, 15)) for n in (1, 200))
    assert (one.height, one.width) == (1, 1)
    assert (many.height, many.width) == (5, 5)


class Cut(nn.Module):
    """Hands its input on, and its gradient not."""

    def forward(self, x):
        return x.detach()


class Largest(nn.Module):
    """Gives whole numbers, which have no gradient."""

    def forward(self, x):
        return x.argmax(dim=1, keepdim=True)


@pytest.mark.parametrize("last", [Cut(), Largest()])
def test_what_has_no_gradient_sees_nothing(last):
    rows = receptive_fields(nn.Sequential(nn.Conv2d(1, 2, 3), last), torch.randn(2, 1, 8, 8))
    assert [(row.height, row.width) for row in rows] == [(3, 3), (0, 0)]
    zero = nn.Conv2d(1, 2, 3)
    nn.init.zeros_(zero.weight)
    (row,) = receptive_fields(zero, torch.randn(2, 1, 8, 8))
    assert (row.height, row.width) == (0, 0)


def test_frozen_weights_do_not_hide_a_field():
    frozen = nn.Conv2d(1, 2, 3).requires_grad_(False)
    (row,) = receptive_fields(frozen, torch.randn(2, 1, 8, 8))
    assert (row.height, row.width) == (3, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
def test_images_of_any_precision(dtype):
    model = nn.Conv2d(1, 2, 3)
    x = torch.ones(2, 1, 8, 8, dtype=dtype)
    assert receptive_fields(model, x) == [("", "Conv2d", 3, 3)]
    assert model.weight.dtype is torch.float32


def test_small_gradients_are_seen():
    """Fifty layers of 1e-5 each: a gradient of 1e-250, which no float32 holds."""
    model = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(50)))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1e-5)
    rows = receptive_fields(model, torch.randn(1, 1, 103, 103))
    assert rows[-1].height == rows[-1].width == 101


@pytest.mark.parametrize("shape", [(2,), (2, 8), (2, 1, 8), (2, 1, 8, 8, 8)])
def test_images_have_four_dimensions(shape):
    model = lived_in(nn.Conv2d(1, 2, 3))
    x, before = torch.randn(shape), state(model)
    message = f"inputs must have the shape (N, C, H, W), got {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        receptive_fields(model, x)
    assert state(model) == before

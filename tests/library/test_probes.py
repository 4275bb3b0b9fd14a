"""The probes: right values, on any module, which they leave as it was."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torchinfo
from torch import nn
from toy_models import MODELS, Broken, build, cnn, frozen, images, lived_in, mean_square, state

from resnet_lib.nets import resnet18
from resnet_lib.probes import (
    activation_statistics,
    gradient_autocorrelation,
    gradient_norms,
    layer_costs,
    layer_gradients,
    preserved,
    receptive_fields,
    saved_bytes,
    trace_shapes,
)

every_model = pytest.mark.parametrize("name", list(MODELS))


def probe_gradients(model, x):
    return gradient_norms(model, x, torch.arange(1.0, len(x) + 1), mean_square)


def probe_gradient_vectors(model, x):
    found = layer_gradients(model, x, torch.arange(1.0, len(x) + 1), mean_square)
    return {name: vector.tolist() for name, vector in found.items()}


def probe_autocorrelation(model, x):
    return gradient_autocorrelation(nn.Sequential(model, nn.Tanh()), x, 3)


# The first run on any module; the others on those that map images, or floats to floats.
PROBES = [
    probe_gradients,
    probe_gradient_vectors,
    activation_statistics,
    trace_shapes,
    layer_costs,
    saved_bytes,
]
PAIRS = [(probe, name) for probe in PROBES for name in MODELS]
PAIRS += [(receptive_fields, name) for name in ("cnn", "frozen layers", "one image")]
PAIRS += [(probe_autocorrelation, name) for name in ("cnn", "frozen layers", "mlp", "bare layer")]
PAIRS += [(probe_autocorrelation, name) for name in ("layer called twice", "spectral norm")]
every_pair = pytest.mark.parametrize(("probe", "name"), PAIRS)
PROBES += [receptive_fields, probe_autocorrelation]
not_counted = pytest.mark.filterwarnings("ignore:the multiply-adds")  # of the LSTM
every_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)


@every_pair
@not_counted
@pytest.mark.parametrize("evaluating", [False, True])
def test_probe_leaves_the_model_as_it_was(name, probe, evaluating):
    model, x = build(name)
    lived_in(model.eval() if evaluating else model)
    before, given = state(model), x.clone()
    assert probe(model, x)
    assert state(model) == before
    assert torch.equal(x, given)
    assert x.grad is None


@every_probe
def test_probe_leaves_a_model_that_raises_as_it_was(probe):
    model, x = lived_in(nn.Sequential(cnn(), nn.Linear(5, 5), Broken())), images()
    before = state(model)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        probe(model, x)
    assert state(model) == before


@every_probe
@pytest.mark.parametrize("training", [True, False])
def test_probe_between_forward_and_backward_does_no_harm(probe, training):
    model, x = build("cnn")
    gradients = []
    for probed in (False, True):
        torch.manual_seed(1)
        loss = model.train(training)(x).square().sum()
        if probed:
            probe(model, x)
        model.zero_grad()
        loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(map(torch.equal, *gradients))


@every_pair
@not_counted
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_probe_works_where_autograd_is_off(name, probe, context):
    model, x = build(name)
    expected = probe(model, x)
    with context():
        before = state(model)
        assert probe(model, x.clone()) == expected  # in inference mode the clone is its tensor
        assert state(model) == before
        born_there = x.clone()
    assert probe(model, born_there) == expected


@pytest.mark.parametrize("fails", [False, True])
def test_preserved_restores_what_its_body_changes(fails):
    model = lived_in(frozen())
    before = state(model)
    with pytest.raises(KeyError) if fails else nullcontext(), preserved(model) as same:
        assert same is model
        model.train()
        model(images()).sum().backward()
        model[1].running_var = torch.zeros(3)
        model[1].running_mean.fill_(7)
        model.zero_grad()
        torch.manual_seed(7)
        if fails:
            raise KeyError
    assert state(model) == before


def test_a_shared_buffer_stays_shared():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    model[1].running_mean = model[0].running_mean
    with preserved(model):
        assert model[1].running_mean is model[0].running_mean
        model(images())
    assert model[1].running_mean is model[0].running_mean
    assert not model[0].running_mean.any()


@pytest.mark.parametrize("training", [True, False])
def test_activation_statistics_agree_with_numpy(training):
    model, x = build("cnn")
    torch.manual_seed(1)  # the same dropout in both passes
    rows = activation_statistics(model.train(training), x)
    kinds = ["Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Flatten", "Linear"]
    assert [(row.layer, row.kind) for row in rows] == list(zip("012345", kinds, strict=True))
    torch.manual_seed(1)
    for layer, row in zip(model, rows, strict=True):
        x = layer(x)
        values = x.detach().double().numpy()  # a copy: the next layer may work in place
        assert row.mean == pytest.approx(values.mean(), abs=1e-12)
        assert row.std == pytest.approx(values.std(), abs=1e-12)
        assert row.zeros == (values == 0).mean()


def test_activation_statistics_by_hand():
    (row,) = activation_statistics(nn.ReLU(), torch.tensor([[-1.0, 0.0], [2.0, 4.0]]))
    assert row == ("", "ReLU", 1.5, pytest.approx(2.75**0.5), 0.5)


def test_shapes_agree_with_torchinfo():
    model, x = resnet18(num_classes=4), torch.randn(2, 3, 40, 33)
    rows = trace_shapes(model, x)
    summary = torchinfo.summary(model, input_data=x, verbose=0, mode="eval").summary_list
    leaves = [info for info in summary if info.is_leaf_layer]
    assert [row.kind for row in rows] == [info.class_name for info in leaves]
    for row, info in zip(rows, leaves, strict=True):
        assert list(row.input) == list(info.input_size)
        assert list(row.output) == list(info.output_size)
        assert row.parameters == info.num_params
        assert type(model.get_submodule(row.layer)).__name__ == row.kind


def test_shapes_are_traced_in_eval_mode():
    """In train mode batch norm would refuse a single value per channel."""
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3)).train()
    rows = trace_shapes(model, torch.randn(1, 1, 2, 2))
    assert rows == [
        ("0", "Conv2d", (1, 1, 2, 2), (1, 3, 1, 1), 15),
        ("1", "BatchNorm2d", (1, 3, 1, 1), (1, 3, 1, 1), 6),
    ]
    assert model.training
    assert model[1].training


LINEAR = "layer", (6, 4), (6, 4), 20


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("layer called twice", [LINEAR, ("offset", (), (4,), 4), LINEAR]),
        ("lstm", [("", (6, 2, 4), (6, 2, 3), 204)]),
        ("dictionary", [("layer", (6, 4), (6, 3), 15)]),
        ("tied weights", [("embedding", (6,), (6, 4), 20), ("out", (6, 4), (6, 5), 25)]),
        ("spectral norm", [("0", (6, 4), (6, 4), 20), ("1", (6, 4), (6, 4), 0)]),
    ],
)
def test_every_call_of_a_layer_is_a_row(name, rows):
    model, x = build(name)
    found = [(r.layer, r.input, r.output, r.parameters) for r in trace_shapes(model, x)]
    assert found == rows
    assert [r.layer for r in activation_statistics(model, x)] == [row[0] for row in rows]


def test_kinds_choose_the_modules():
    model, x = build("transformer")
    kinds = (nn.MultiheadAttention, nn.LayerNorm)
    expected = ["self_attn", "norm1", "norm2"]
    assert [row.layer for row in trace_shapes(model, x, kinds)] == expected
    assert [row.layer for row in activation_statistics(model.eval(), x, kinds)] == expected
    (whole,) = trace_shapes(model, x, nn.TransformerEncoderLayer)
    assert whole.parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("x", [torch.randn(0, 4), torch.tensor(1.0)], ids=["empty", "no batch"])
@pytest.mark.parametrize(
    "probe",
    [
        lambda m, x: gradient_norms(m, x, torch.zeros(0, dtype=torch.long)),
        *(PROBES[2:]),
    ],
)
def test_batch_without_samples_is_refused(probe, x):
    message = f"inputs must be a batch of at least 1 sample, got {tuple(x.shape)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        probe(nn.Linear(4, 3), x)


@every_probe
def test_inputs_must_be_a_tensor(probe):
    with pytest.raises(TypeError, match=r"^inputs must be a tensor, or .*, got ndarray$"):
        probe(nn.Linear(4, 3), np.zeros((2, 4)))

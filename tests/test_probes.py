"""The probes: right values, on any module, which they leave as it was."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchinfo
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from resnet_lib.nets import PlainStack, resnet18
from resnet_lib.probes import activation_statistics, gradient_norms, preserved, trace_shapes


class Offset(nn.Module):
    """Takes nothing and returns its weights."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.randn(4))

    def forward(self):
        return self.value


class Twice(nn.Module):
    """One layer called twice, the second time by keyword."""

    def __init__(self):
        super().__init__()
        self.layer, self.offset = nn.Linear(4, 4), Offset()

    def forward(self, x):
        return self.layer(input=self.layer(x).relu() + self.offset())


class Tied(nn.Module):
    """Embedding and output layer share one weight."""

    def __init__(self, sparse=False):
        super().__init__()
        self.embedding, self.out = nn.Embedding(5, 4, sparse=sparse), nn.Linear(4, 5)
        if not sparse:
            self.out.weight = self.embedding.weight

    def forward(self, x):
        return self.out(self.embedding(x))


class Dictionary(nn.Module):
    """Returns a dictionary, as the models of Hugging Face do; holds a buffer without storage."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.ones(1).expand(3))

    def forward(self, x):
        return {"ids": None, "logits": (self.layer(x) * self.scale, x)}


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken on purpose")


def cnn():
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.3)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 4 * 4, 5))


def frozen():
    """Batch norm kept in eval mode inside a model in train mode, its weights frozen."""
    model = cnn()
    model[0].requires_grad_(False)
    model[1].requires_grad_(False).eval()
    return model


def images():
    return torch.randn(6, 2, 6, 6)


MODELS = {
    "cnn": (cnn, images),
    "frozen layers": (frozen, images),
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), None),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8), lambda: torch.randn(6, 2, 4)),
    "lstm": (lambda: nn.LSTM(4, 3, num_layers=2, dropout=0.5), lambda: torch.randn(6, 2, 4)),
    "layer called twice": (Twice, None),
    "tied weights": (Tied, lambda: torch.arange(6) % 5),
    "sparse gradients": (lambda: Tied(sparse=True), lambda: torch.arange(6) % 5),
    "dictionary": (Dictionary, None),
    "spectral norm": (lambda: nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.ReLU()), None),
    "bare layer": (lambda: nn.Linear(4, 3), None),
    "one image": (lambda: PlainStack(4, 2), lambda: torch.randn(1, 1, 8, 8)),
}
every_model = pytest.mark.parametrize("name", list(MODELS))


def build(name):
    torch.manual_seed(0)
    make, inputs = MODELS[name]
    return make(), inputs() if inputs else torch.randn(6, 4)


def mean_square(outputs, targets):
    """A loss for any output: of its first floating tensor, with one factor for each sample."""
    while not isinstance(outputs, torch.Tensor):
        values = list(outputs.values()) if isinstance(outputs, dict) else outputs
        outputs = next(value for value in values if value is not None)
    return (outputs.flatten(1).square().mean(1) * targets).sum()


def probe_gradients(model, x):
    return gradient_norms(model, x, torch.arange(1.0, len(x) + 1), mean_square)


PROBES = [probe_gradients, activation_statistics, trace_shapes]
every_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)


def state(model):
    """All that a probe must leave alone: values, and the tensors themselves."""

    def known(tensors):
        return [None if t is None else (id(t), t.detach().numpy().tobytes()) for t in tensors]

    modules = list(model.modules())
    return {
        "modes": [module.training for module in modules],
        "hooks": [list(m._forward_hooks.items()) for m in modules],
        "other hooks": [len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules],
        "trainable": [p.requires_grad for p in model.parameters()],
        "parameters": known(model.parameters()),
        "gradients": known(p.grad for p in model.parameters()),
        "buffers": known(b for m in modules for b in m._buffers.values()),
        "random numbers": torch.get_rng_state().numpy().tobytes(),
        "autograd": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


def lived_in(model):
    """Gradients on every other weight and a hook on every module, as a user may have them."""
    for parameter in list(model.parameters())[::2]:
        parameter.grad = torch.randn_like(parameter)
    for module in model.modules():
        module.register_forward_hook(lambda *_: None)
    return model


@every_probe
@every_model
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


@every_probe
@every_model
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


@every_model
def test_gradient_norms_are_those_of_backward(name):
    model, x = build(name)
    torch.manual_seed(1)  # the same dropout in both passes
    norms = probe_gradients(model, x)
    torch.manual_seed(1)
    mean_square(model(x), torch.arange(1.0, len(x) + 1)).backward()
    for layer, norm in norms.items():
        weights = model.get_submodule(layer).parameters(recurse=False)
        slopes = [w.grad.to_dense().double().numpy().ravel() for w in weights if w.dim() > 1]
        assert norm == pytest.approx(np.linalg.norm(np.concatenate(slopes)), rel=1e-12)
        assert norm > 0


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("cnn", ["0", "5"]),
        ("frozen layers", ["5"]),
        ("transformer", ["self_attn", "self_attn.out_proj", "linear1", "linear2"]),
        ("layer called twice", ["layer"]),
        ("tied weights", ["embedding", "out"]),
        ("bare layer", [""]),
    ],
)
def test_gradient_norms_name_the_trainable_layers_in_order(name, layers):
    model, x = build(name)
    assert list(probe_gradients(model, x)) == layers


def test_gradient_norm_of_a_classifier_by_hand():
    """The gradient of cross-entropy is (softmax - one-hot)ᵀ x / N; softmax of zeros is 1/3."""
    model = nn.Linear(2, 3)
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
    x, targets = torch.tensor([[1.0, 0], [0, 2]]), torch.tensor([0, 2])
    slope = (np.full((2, 3), 1 / 3) - np.eye(3)[[0, 2]]).T @ x.numpy() / 2
    norms = gradient_norms(model, x, targets)
    assert norms == {"": pytest.approx(np.linalg.norm(slope), rel=1e-6)}


def test_gradient_norms_agree_with_double_precision():
    torch.manual_seed(0)
    model, x, targets = PlainStack(12, 4), torch.randn(8, 1, 8, 8), torch.arange(8)
    single = gradient_norms(model, x, targets)
    assert gradient_norms(model.double(), x.double(), targets) == pytest.approx(single, rel=1e-3)


def test_tiny_gradients_do_not_vanish_in_the_sum():
    model, x = nn.Linear(2, 1), torch.tensor([[3.0, 4.0]])
    tiny = gradient_norms(model, x, torch.ones(1), lambda out, _: (1e-30 * out).sum())
    assert tiny[""] == pytest.approx(5e-30, rel=1e-6)  # its square is 0 in float32


@pytest.mark.parametrize(("detached", "expected"), [(False, [True, False]), (True, [False, False])])
def test_weight_without_influence_has_norm_zero(detached, expected):
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "spare": nn.Linear(4, 3)})
    model.forward = lambda x: model["used"](x).detach() if detached else model["used"](x)
    norms = probe_gradients(model, torch.randn(2, 4))
    assert list(norms) == ["used", "spare"]
    assert [norm > 0 for norm in norms.values()] == expected


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
    assert trace_shapes(model, x, nn.Conv2d) == []


NO_TARGETS = torch.zeros(0, dtype=torch.long)


@pytest.mark.parametrize("x", [torch.randn(0, 4), torch.tensor(1.0)], ids=["empty", "no batch"])
@pytest.mark.parametrize(
    "probe", [lambda m, x: gradient_norms(m, x, NO_TARGETS), activation_statistics, trace_shapes]
)
def test_batch_without_samples_is_refused(probe, x):
    message = f"inputs must be a batch of at least 1 sample, got {tuple(x.shape)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        probe(nn.Linear(4, 3), x)


@every_probe
def test_inputs_must_be_a_tensor(probe):
    with pytest.raises(TypeError, match=r"^inputs must be a tensor, got ndarray$"):
        probe(nn.Linear(4, 3), np.zeros((2, 4)))


@pytest.mark.parametrize("number", [1, 3])
def test_inputs_and_targets_must_be_as_many(number):
    match = rf"^targets must have one entry per input \(2\), got {number}$"
    with pytest.raises(ValueError, match=match):
        gradient_norms(nn.Linear(4, 3), torch.randn(2, 4), torch.zeros(number, dtype=torch.long))


@pytest.mark.parametrize("wrong", [-1, 3, 255])
def test_labels_out_of_range_are_refused(wrong):
    model = lived_in(nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3)))
    x, before = torch.randn(2, 4), state(model)
    with pytest.raises(ValueError, match=f"^targets must be classes 0 to 2, got {wrong}$"):
        gradient_norms(model, x, torch.tensor([2, wrong]))
    assert state(model) == before


def test_class_probabilities_are_targets_too():
    model, x = build("mlp")
    targets = torch.arange(6) % 3
    one_hot = F.one_hot(targets, 3).float()
    assert gradient_norms(model, x, one_hot) == pytest.approx(gradient_norms(model, x, targets))


def test_default_loss_needs_a_tensor():
    with pytest.raises(TypeError, match=r"^loss_function must be given .* got tuple$"):
        gradient_norms(nn.LSTM(4, 3), torch.randn(6, 4), torch.zeros(6, dtype=torch.long))


@pytest.mark.parametrize(
    "model", [nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3).requires_grad_(False)]
)
def test_model_needs_a_trainable_weight(model):
    with pytest.raises(ValueError, match=r"^model must have a trainable weight .* got none$"):
        gradient_norms(model, torch.randn(2, 4), torch.zeros(2, dtype=torch.long))

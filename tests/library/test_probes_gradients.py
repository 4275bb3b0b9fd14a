"""Gradients of the loss by layer, and of the outputs along a path of inputs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toy_models import MODELS, build, lived_in, mean_square, state

from resnet_lib.nets import PlainStack, ResidualStack
from resnet_lib.probes import gradient_autocorrelation, gradient_norms, layer_gradients

every_model = pytest.mark.parametrize("name", list(MODELS))


def probe_gradients(model, x):
    return gradient_norms(model, x, torch.arange(1.0, len(x) + 1), mean_square)


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


@pytest.mark.parametrize("number", [1, 3])
def test_inputs_and_targets_must_be_as_many(number):
    match = rf"^targets must have one entry per input \(2\), got {number}$"
    with pytest.raises(ValueError, match=match):
        gradient_norms(nn.Linear(4, 3), torch.randn(2, 4), torch.zeros(number, dtype=torch.long))


@pytest.mark.parametrize("wrong", [-1, 3, 255])
def test_labels_out_of_range_are_refused(wrong):
    model = lived_in(nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3)))
    x, before = torch.randn(2, 4), state(model)
    with pytest.raises(ValueError, match=f"^targets must be classes 0 to 2, .* got {wrong}$"):
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


@every_model
def test_layer_gradients_are_those_of_backward(name):
    model, x = build(name)
    targets = torch.arange(1.0, len(x) + 1)
    torch.manual_seed(1)  # the same dropout in both passes
    vectors = layer_gradients(model, x, targets, mean_square)
    torch.manual_seed(1)
    mean_square(model(x), targets).backward()
    for layer, vector in vectors.items():
        weights = model.get_submodule(layer).parameters(recurse=False)
        slopes = [w.grad.to_dense().double().flatten() for w in weights if w.dim() > 1]
        assert vector.dtype is torch.float64
        assert not vector.requires_grad
        torch.testing.assert_close(vector, torch.cat(slopes), rtol=1e-12, atol=0)
    assert {n: v.norm().item() for n, v in vectors.items()} == probe_norms_again(name)


def probe_norms_again(name):
    model, x = build(name)
    torch.manual_seed(1)
    return probe_gradients(model, x)


# Autocorrelation along a path


class Wave(nn.Module):
    """sin(k·x) for each value, or its sum over each input: the derivative is k·cos(k·x)."""

    def __init__(self, k, summed=False):
        super().__init__()
        self.k, self.summed = nn.Parameter(torch.tensor(float(k))), summed

    def forward(self, x):
        wave = torch.sin(self.k * x)
        return wave.flatten(1).sum(1) if self.summed else wave


def autocorrelation(gradient, lags):
    """Of T rows of gradients, by the definition, in numpy."""
    gradient = gradient.reshape(len(gradient), -1)
    deviation = gradient - gradient.mean(axis=0)
    products = deviation @ deviation.T
    return [np.trace(products, offset=lag) / np.trace(products) for lag in range(lags + 1)]


@pytest.mark.parametrize(
    ("shape", "summed"), [((), False), ((1,), True), ((3,), False), ((3,), True), ((2, 4, 5), True)]
)
@pytest.mark.parametrize(("steps", "lags"), [(2, 1), (20, 1), (20, 7), (20, 19)])
def test_autocorrelation_of_a_known_derivative(steps, lags, shape, summed):
    torch.manual_seed(0)
    path = torch.randn(steps, *shape).cumsum(0)
    found = gradient_autocorrelation(Wave(2, summed), path, lags)
    expected = autocorrelation(2 * np.cos(2 * path.double().numpy()), lags)
    assert len(found) == lags + 1
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found[0] == pytest.approx(1)
    assert all(abs(value) <= 1 + 1e-12 for value in found)


def test_autocorrelation_of_a_cosine_is_a_cosine():
    """Over many whole periods, up to the share of the terms that a lag leaves out."""
    path = torch.arange(2400.0).reshape(-1, 1)
    found = gradient_autocorrelation(Wave(2 * np.pi / 24), path, 24)
    by_hand = [np.cos(2 * np.pi * lag / 24) * (1 - lag / 2400) for lag in range(25)]
    assert found == pytest.approx(by_hand, abs=0.005)


def test_autocorrelation_of_noise_is_near_zero():
    torch.manual_seed(0)
    found = gradient_autocorrelation(Wave(1), torch.randn(500, 20), 15)
    assert all(abs(value) < 0.03 for value in found[1:])


def test_autocorrelation_takes_15_lags_by_default():
    assert len(gradient_autocorrelation(Wave(1), torch.randn(30, 2))) == 16


def test_autocorrelation_is_taken_in_double_precision():
    """At 1e4 radians a float32 has lost the fourth digit of the angle."""
    path = torch.linspace(1, 2, 40).reshape(-1, 2)
    model = Wave(1e4)
    expected = autocorrelation(np.cos(1e4 * path.double().numpy()), 10)
    assert gradient_autocorrelation(model, path, 10) == pytest.approx(expected, abs=1e-9)
    assert model.k.dtype is torch.float32
    assert gradient_autocorrelation(model.double(), path, 10) == pytest.approx(expected, abs=1e-9)


def test_batch_norm_in_train_mode_uses_the_path():
    """Its mean and variance depend on every input, and the gradient goes through them too."""
    torch.manual_seed(0)
    path = torch.randn(30, 3).cumsum(0) + 4
    model = nn.Sequential(nn.BatchNorm1d(3, affine=False), Wave(1.5))
    x = path.double().numpy()
    std = np.sqrt(x.var(axis=0) + 1e-5)
    normal = (x - x.mean(axis=0)) / std
    slope = 1.5 * np.cos(1.5 * normal)
    gradient = (slope - slope.mean(0) - normal * (slope * normal).mean(0)) / std
    expected = autocorrelation(gradient, 8)
    assert gradient_autocorrelation(model.train(), path, 8) == pytest.approx(expected, abs=1e-9)
    assert not model[0].running_mean.any(), "the statistics are those of before"
    still = autocorrelation(1.5 * np.cos(1.5 * x / np.sqrt(1 + 1e-5)), 8)
    assert gradient_autocorrelation(model.eval(), path, 8) == pytest.approx(still, abs=1e-9)
    assert still != pytest.approx(expected, abs=0.1)


def test_shattered_gradients_are_seen():
    """Balduzzi et al. 2017: along a line, gradients of a deep plain network are nearer to noise."""
    line = torch.linspace(-1, 1, 64).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    first = []
    for kind in (PlainStack, ResidualStack):
        torch.manual_seed(0)
        first.append(gradient_autocorrelation(kind(26, 16), line, 1)[1])
    assert first[0] < first[1] - 0.1


@pytest.mark.parametrize("lags", [0, -1, 6, 7])
def test_lags_must_fit_the_path(lags):
    match = rf"^lags must be a whole number from 1 to 5, got {lags}$"
    with pytest.raises(ValueError, match=match):
        gradient_autocorrelation(Wave(1), torch.randn(6, 2), lags)


@pytest.mark.parametrize("lags", [2.0, True, "3", None])
def test_lags_must_be_a_whole_number(lags):
    with pytest.raises(TypeError, match=rf"^lags must be a whole number .*, got {lags!r}$"):
        gradient_autocorrelation(Wave(1), torch.randn(6, 2), lags)


class Constant(nn.Module):
    """Does not look at its input."""

    def __init__(self, trainable):
        super().__init__()
        self.value = nn.Parameter(torch.ones(3), requires_grad=trainable)

    def forward(self, x):
        return self.value * 2


@pytest.mark.parametrize(
    "model", [nn.Linear(4, 3), nn.Flatten(), Constant(True), Constant(False)], ids=str
)
def test_path_without_change_is_refused(model):
    model, path = lived_in(model), torch.randn(6, 4)
    before = state(model)
    with pytest.raises(ValueError, match=r"^inputs must have gradients that differ, got the same"):
        gradient_autocorrelation(model, path, 2)
    assert state(model) == before


def test_outputs_of_a_path_must_be_a_tensor():
    with pytest.raises(TypeError, match=r"^model must return a tensor, got tuple$"):
        gradient_autocorrelation(nn.LSTM(4, 3), torch.randn(6, 4), 2)

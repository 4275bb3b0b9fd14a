"""Hooks of your own on networks that work in place: outputs stay, gradients come, nothing moves."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from toy_models import MODELS, build, lived_in, mean_square, state

from resnet_lib.nets import CifarResNet, resnet18, resnet50
from resnet_lib.probes import activation_statistics, gradient_norms, own_outputs

NETWORKS = {
    "resnet18": (lambda: resnet18(5), ["bn1", "layer1.0.bn2", "layer2.0.downsample", "layer1.0"]),
    "resnet50": (lambda: resnet50(5), ["bn1", "layer1.0.bn3", "layer4.2.bn2", "layer2.0"]),
    "cifar": (lambda: CifarResNet(8), ["bn1", "layer1.0.bn1", "layer2.0.downsample", "layer3.0"]),
    "torchvision": (
        lambda: torchvision.models.resnet18(num_classes=5),
        ["bn1", "relu", "layer1.0.bn2", "layer1.0.relu", "layer1.0"],
    ),
}
every_network = pytest.mark.parametrize("name", list(NETWORKS))


def network(name):
    torch.manual_seed(0)
    make, layers = NETWORKS[name]
    return make(), torch.randn(2, 3, 32, 32), layers


@every_network
def test_backward_hooks_see_the_gradient_of_each_output(name):
    model, x, layers = network(name)
    model.eval()
    seen = {}
    for layer in layers:
        model.get_submodule(layer).register_full_backward_hook(
            lambda module, of_inputs, of_outputs, layer=layer: seen.update({layer: of_outputs[0]})
        )
    with pytest.raises(RuntimeError, match="is being modified inplace"):
        model(x).sum().backward()
    seen.clear()
    with own_outputs(model):
        model(x).sum().backward()
    assert set(seen) == set(layers)
    # The oracle: the bias of batch norm has the gradient of its output, summed.
    slope = seen["bn1"].sum(dim=(0, 2, 3))
    torch.testing.assert_close(model.bn1.bias.grad, slope, rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("early", [True, False], ids=["hooked before", "hooked within"])
def test_kept_outputs_are_the_probes(name, training, early):
    model, x, layers = network(name)
    model.train(training)
    once = [layer for layer in layers if not layer.endswith("relu")]  # called twice in torchvision
    kept, hooks = {}, []

    def hook():
        for layer in once:
            module = model.get_submodule(layer)
            hooks.append(
                module.register_forward_hook(lambda m, i, out, n=layer: kept.update({n: out}))
            )

    if early:
        hook()
    with torch.no_grad(), own_outputs(model):
        if not early:
            hook()
        copied = copy.deepcopy(model) if training else model  # each run moves the statistics
        model(x)
    for handle in hooks:
        handle.remove()
    kinds = tuple({type(model.get_submodule(layer)) for layer in once})
    rows = {row.layer: row for row in activation_statistics(copied, x, kinds)}
    for layer in once:
        values = kept[layer].double()
        assert rows[layer].mean == values.mean().item()
        assert rows[layer].std == values.std(correction=0).item()
        assert rows[layer].zeros == (values == 0).double().mean().item()
    assert kept["bn1"].min() < 0, "not what a ReLU has left of it"


@every_network
def test_values_and_gradients_are_the_same(name):
    model, x, _ = network(name)
    again = copy.deepcopy(model)
    scores = model(x)
    scores.square().sum().backward()
    with own_outputs(again) as same:
        assert same is again
        theirs = again(x)
        theirs.square().sum().backward()
    assert torch.equal(scores, theirs)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    for one, other in zip(model.buffers(), again.buffers(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(name, fails):
    model, x = build(name)
    lived_in(model.eval())
    before, classes = state(model), [type(module) for module in model.modules()]
    switches = [getattr(module, "inplace", None) for module in model.modules()]
    try:
        with own_outputs(model):
            with torch.no_grad():
                model(x)
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert [type(module) for module in model.modules()] == classes
    assert [getattr(module, "inplace", None) for module in model.modules()] == switches
    assert state(model) == before


def test_every_way_to_write_over_an_output():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.activation = nn.Linear(4, 4), nn.LeakyReLU(inplace=True)

        def forward(self, x):
            out = self.first(x)
            out += 1
            out.mul_(2)
            out[:, 0] = 7
            torch.relu_(out)
            return self.activation(out)

    torch.manual_seed(0)
    model, x, kept = InPlace(), torch.randn(3, 4), {}
    model.first.register_forward_hook(lambda m, i, out: kept.update(first=out))
    model.activation.register_full_backward_hook(lambda *_: None)
    expected = nn.functional.linear(x, model.first.weight, model.first.bias)
    with own_outputs(model):
        out = model(x)
        out.sum().backward()
    assert torch.equal(kept["first"], expected)
    by_hand = 2 * (expected + 1)
    by_hand[:, 0] = 7
    assert torch.equal(out, by_hand.relu())


def test_probes_work_within():
    model = CifarResNet(8)
    model.bn1.register_full_backward_hook(lambda *_: None)
    x, targets = torch.randn(4, 3, 8, 8), torch.arange(1.0, 5)
    expected = gradient_norms(copy.deepcopy(CifarResNet(8)), x, targets, mean_square)
    with own_outputs(model):
        norms = gradient_norms(model, x, targets, mean_square)
        kinds = {row.kind for row in activation_statistics(model, x)}
    assert list(norms) == list(expected)
    assert kinds == {"Conv2d", "BatchNorm2d", "Identity", "PadShortcut", "Linear"}


def test_a_compiled_model_has_its_hooks_too():
    model, seen = CifarResNet(8), []
    model.compile(backend="eager")
    model.bn1.register_full_backward_hook(lambda *_: seen.append("bn1"))
    with own_outputs(model):
        model(torch.randn(2, 3, 8, 8)).sum().backward()
    assert seen == ["bn1"]
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_torchscript_is_refused():
    model = nn.Sequential(nn.Flatten(), torch.jit.script(nn.Linear(4, 4)))
    with (
        pytest.raises(ValueError, match=r"^model must be in Python .* got TorchScript$"),
        own_outputs(model),
    ):
        pass

"""Switches: all on, the network itself; off, what remains; exported, the same in each state."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resnet_lib import data, export, nets, weights
from resnet_lib.switches import Switched

BOTTLENECK = nets.CONFIGURATIONS[50][0]
NETWORKS = {
    "digits": lambda: (weights.resnet8("digits"), (1, 8, 8)),
    "projections": lambda: (nets.CifarResNet(14, shortcut="C"), (3, 16, 16)),
    "ResNet": lambda: (nets.resnet18(10), (3, 33, 33)),
    "bottlenecks": lambda: (nets.ResNet(BOTTLENECK, (1, 2, 1, 1), 10, stem="small"), (3, 9, 9)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    """A network that is not at its first weights' statistics, in eval mode, and images."""
    torch.manual_seed(0)
    model, shape = NETWORKS[request.param]()
    images = torch.randn(6, *shape)
    model(images)
    return model.eval(), images


def on(switched):
    return torch.ones(len(switched.names))


@torch.no_grad()
def test_all_on_it_is_the_network_to_the_bit(network):
    model, images = network
    switched = Switched(model)
    assert torch.equal(switched(images, on(switched), on(switched))[0], model(images))


@torch.no_grad()
def test_signals_are_those_of_the_blocks(network):
    model, images = network
    switched, seen = Switched(model), {}
    for name in switched.names:
        block = model.get_submodule(name)
        block.register_forward_hook(lambda _, x, y, name=name: seen.update({name: (x[0], y)}))
    model(images)
    signals = switched(images, on(switched), on(switched))[1]
    assert len(signals) == len(seen) == len(switched.names)
    for name, signal in zip(switched.names, signals, strict=True):
        x, output = seen[name]
        assert torch.equal(signal.shortcut, model.get_submodule(name).downsample(x))
        assert torch.equal(signal.output, output)
        assert torch.equal(F.relu(signal.branch + signal.shortcut), output)


@torch.no_grad()
def test_off_it_is_what_remains(network):
    """Without branches the shortcuts alone; without shortcuts the plain twin of these weights."""
    model, images = network
    switched = Switched(model)
    off = torch.zeros(len(switched.names))
    x = switched.maxpool(F.relu(model.bn1(model.conv1(images))))
    alone = x
    for block in switched.blocks:
        alone = F.relu(block.downsample(alone))
    found = switched(images, on(switched), off)[0]
    assert torch.equal(found, model.fc(alone.mean(dim=(2, 3))))
    for block in switched.blocks:
        block.residual = False
    plain = model(images)
    for block in switched.blocks:
        block.residual = True
    assert torch.equal(switched(images, off, on(switched))[0], plain)


def test_gradients_reach_the_switches_and_modes_stay(network):
    model, images = network
    assert not Switched(model).training
    assert not any(part.training for part in Switched(model).modules())
    skips, branches = (torch.ones(len(Switched(model).names), requires_grad=True) for _ in "ab")
    Switched(model)(images, skips, branches)[0].square().sum().backward()
    assert (skips.grad != 0).all()
    assert (branches.grad != 0).all()
    model.train()
    assert Switched(model).training


@torch.no_grad()
def test_exported_it_is_the_same_in_each_state(tmp_path):
    import onnxruntime

    switched = Switched(weights.resnet8("digits").eval())
    found = data.digits()
    images = found.normalize(found.test_images[:7])
    names = [f"{name}.{part}" for name in switched.names for part in ("x", "branch", "output")]
    inputs = {"skips": on(switched), "branches": on(switched)}
    path = export.to_onnx(switched, tmp_path / "a.onnx", images[:1], inputs, names)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["scores", *names]
    states = list(itertools.product((0.0, 1.0), repeat=6))
    for state in states:
        skips, branches = torch.tensor(state[:3]), torch.tensor(state[3:])
        scores, signals = switched(images, skips, branches)
        given = {"images": images, "skips": skips, "branches": branches}
        outputs = session.run(None, {name: value.numpy() for name, value in given.items()})
        wanted = [scores, *(part for signal in signals for part in signal)]
        for name, one, other in zip(["scores", *names], outputs, wanted, strict=True):
            torch.testing.assert_close(
                torch.from_numpy(one), other, rtol=0, atol=1e-4, msg=f"{name} at {state}"
            )


def test_one_tensor_for_two_inputs_does_not_make_them_one(tmp_path):
    """Handed to the exporter as it is, it would."""
    import onnxruntime

    switched = Switched(weights.resnet8("digits").eval())
    images, same = torch.randn(2, 1, 8, 8), torch.ones(3)
    path = export.to_onnx(
        switched, tmp_path / "a.onnx", images, {"skips": same, "branches": same}, ()
    )
    run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run
    given = {"images": images.numpy(), "skips": same.numpy(), "branches": 0 * same.numpy()}
    with torch.no_grad():
        wanted = switched(images, same, 0 * same)[0]
    torch.testing.assert_close(torch.from_numpy(run(None, given)[0]), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(2, 2), "must have conv1, bn1, layer1, ..., fc, got no modules"),
        (nets.PlainStack(4), "got stem, pairs, fc"),
        (nets.CifarResNet(8, residual=False), "but layer1.0 has none"),
    ],
)
def test_what_has_no_switches_is_refused(model, message):
    with pytest.raises(TypeError, match=message):
        Switched(model)


def test_a_wrong_number_of_switches_is_refused():
    switched = Switched(nets.CifarResNet(8))
    images, three = torch.zeros(1, 3, 8, 8), torch.ones(3)
    with pytest.raises(ValueError, match=r"skips must be one number .* 3 blocks, got \(2,\)"):
        switched(images, torch.ones(2), three)
    with pytest.raises(ValueError, match=r"branches must be .* got \(3, 1\)"):
        switched(images, three, three[:, None])
    with pytest.raises(TypeError, match="images must be a tensor"):
        switched(None, three, three)

"""The paths through a residual network add up to its gradient; deleting leaves the others."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resnet_lib import nets, weights
from resnet_lib.paths import (
    gradient_along,
    gradient_by_length,
    pass_blocks,
    without_blocks,
)
from resnet_lib.switches import Switched

BOTTLENECK = nets.CONFIGURATIONS[50][0]
NETWORKS = {
    "identity": lambda: (weights.resnet8("digits"), (1, 8, 8)),
    "projections": lambda: (nets.CifarResNet(14, shortcut="C"), (3, 16, 16)),
    "max pooling": lambda: (nets.ResNet(BOTTLENECK, (1, 1, 1, 1), 10), (3, 33, 33)),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    """A network in eval mode and double precision, images and labels."""
    torch.manual_seed(0)
    model, shape = NETWORKS[request.param]()
    model, images = model.double(), torch.randn(3, *shape, dtype=torch.float64)
    model(images)
    return model.eval(), images, torch.tensor([3, 1, 4])


def gradient_at_the_first_block(model, images, labels):
    seen = []

    def keep(_, inputs):
        seen.append(inputs[0])
        inputs[0].retain_grad()

    with model.layer1[0].register_forward_pre_hook(keep):
        F.cross_entropy(model(images), labels, reduction="sum").backward()
    model.zero_grad()
    return seen[0].grad


def test_all_lengths_together_are_the_gradient(network):
    parts = gradient_by_length(pass_blocks(*network))
    assert len(parts) == len(Switched(network[0]).names) + 1
    torch.testing.assert_close(parts.sum(dim=0), gradient_at_the_first_block(*network))


def test_a_length_is_the_sum_of_its_paths(network):
    passes = pass_blocks(*network)
    parts = gradient_by_length(passes)
    expected = torch.zeros_like(parts)
    for path in itertools.product((0, 1), repeat=len(passes.blocks)):
        expected[sum(path)] += gradient_along(passes, path)
    torch.testing.assert_close(parts, expected)


def test_the_path_of_shortcuts_alone_is_that_of_a_network_without_branches():
    """With identities and one ReLU pattern: the mask of each sum, and nothing else."""
    model = weights.resnet8("digits").double().eval()
    images, labels = torch.randn(2, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1])
    passes = pass_blocks(model, images, labels)
    expected = passes.gradient
    for x, shortcut, branch in reversed(passes.blocks):
        expected = expected * (shortcut + branch > 0)
        if expected.shape != x.shape:  # option A: back to the old channels, at every other position
            wide = torch.zeros_like(x)
            wide[:, :, ::2, ::2] = expected[:, : x.shape[1]]
            expected = wide
    assert torch.equal(gradient_along(passes, [0, 0, 0]), expected)


def test_nothing_of_the_model_changes(network):
    model, images, labels = network
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        gradient_by_length(pass_blocks(model, images, labels))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_what_has_no_paths_is_refused():
    images, labels = torch.randn(2, 1, 8, 8), torch.tensor([0, 1])
    model = nets.CifarResNet(8, in_channels=1)
    with pytest.raises(ValueError, match="eval mode"):
        pass_blocks(model, images, labels)
    with pytest.raises(TypeError, match="shortcuts"):
        pass_blocks(nets.CifarResNet(8, in_channels=1, residual=False).eval(), images, labels)
    with pytest.raises(ValueError, match="equally many"):
        pass_blocks(model.eval(), images, labels[:1])
    passes = pass_blocks(model, images, labels)
    for path in ([0, 1], [0, 1, 2], [0, 1, 0, 1]):
        with pytest.raises(ValueError, match="one 0 or 1 for each of 3 blocks"):
            gradient_along(passes, path)


@torch.no_grad()
def test_without_blocks_their_shortcuts_are_left(network):
    model, images, _ = network
    switched = Switched(model)
    on = torch.ones(len(switched.names), dtype=torch.float64)
    for number, name in enumerate(switched.names):
        branches = on.clone()
        branches[number] = 0
        cut = without_blocks(model, name)
        torch.testing.assert_close(cut(images), switched(images, on, branches)[0])
    assert torch.equal(switched(images, on, on)[0], model(images)), "the model itself is whole"


@torch.no_grad()
def test_a_plain_block_is_bridged_by_option_a():
    torch.manual_seed(0)
    plain = nets.CifarResNet(14, residual=False).eval()
    x = F.relu(torch.randn(2, 16, 8, 8))
    assert torch.equal(without_blocks(plain, "layer1.0").layer1[0](x), x)
    made = without_blocks(plain, "layer2.0", "layer2.1").layer2(x)
    expected = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 16))
    assert torch.equal(made, expected)


def test_modes_are_kept_and_names_are_checked():
    model = nets.CifarResNet(8)
    assert all(m.training for m in without_blocks(model, "layer1.0").modules())
    assert not any(m.training for m in without_blocks(model.eval(), "layer1.0").modules())
    for wrong in ("layer9.0", "layer1", "fc"):
        with pytest.raises(ValueError, match=r"names must be of layer1\.0, .* got"):
            without_blocks(model, wrong)
    assert isinstance(without_blocks(model), nn.Module)

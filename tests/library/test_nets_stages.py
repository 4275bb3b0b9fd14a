"""Features of the stages: equal to torchvision's own, their shapes, gradients, refusals."""

import re

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from resnet_lib import nets

FOUR = {name: name for name in ("layer1", "layer2", "layer3", "layer4")}


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_equal_to_torchvisions_extractor_for_both_libraries_networks(name):
    torch.manual_seed(0)
    ours = getattr(nets, name)().eval()
    theirs = getattr(torchvision.models, name)()
    theirs.load_state_dict(ours.state_dict())
    expected = create_feature_extractor(theirs.eval(), FOUR)
    x = torch.randn(2, 3, 65, 64)
    with torch.no_grad():
        wanted = expected(x)
        for network in (ours, theirs):
            found = nets.stage_features(network, x)
            assert list(found) == list(wanted)
            for stage, maps in found.items():
                scale = wanted[stage].abs().max()
                assert (maps - wanted[stage]).abs().max() <= 1e-5 * scale


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), small=st.booleans())
def test_shapes_and_strides(height, width, small):
    x = torch.zeros(1, 3, height, width)
    if small:
        found = nets.stage_features(nets.CifarResNet(8).eval(), x)
        sizes = {"layer1": (16, 1), "layer2": (32, 2), "layer3": (64, 4)}
    else:
        found = nets.stage_features(nets.resnet18().eval(), x)
        sizes = {f"layer{n}": (64 * 2 ** (n - 1), 2 ** (n + 1)) for n in range(1, 5)}
    shapes = {
        name: (1, channels, -(-height // stride), -(-width // stride))
        for name, (channels, stride) in sizes.items()
    }
    assert {name: tuple(maps.shape) for name, maps in found.items()} == shapes


def test_the_head_on_the_last_stage_gives_the_networks_scores():
    torch.manual_seed(0)
    network = nets.CifarResNet(8, num_classes=5).eval()
    x = torch.randn(3, 3, 16, 16)
    last = nets.stage_features(network, x)["layer3"]
    torch.testing.assert_close(network.fc(last.mean(dim=(2, 3))), network(x))


def test_small_stem_has_no_pooling():
    network = nets.resnet18(stem="small").eval()
    found = nets.stage_features(network, torch.zeros(1, 3, 32, 32))
    assert [maps.shape[-1] for maps in found.values()] == [32, 16, 8, 4]


def test_gradients_reach_the_stem_and_modes_stay():
    network = nets.CifarResNet(8).train()
    network.layer2.eval()
    found = nets.stage_features(network, torch.randn(2, 3, 8, 8))
    found["layer3"].sum().backward()
    assert network.conv1.weight.grad.abs().sum() > 0
    assert network.fc.weight.grad is None
    assert network.training
    assert not network.layer2.training


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (nn.Linear(2, 2), "no modules"),
        (nn.Sequential(nn.Linear(2, 2)), "0"),
        (torchvision.models.vgg11(), "features, avgpool, classifier"),
        (torchvision.models.densenet121(), "features, classifier"),
    ],
)
def test_other_networks_are_refused(model, named):
    words = f"model must have conv1, bn1, layer1, ..., got {named}"
    with pytest.raises(TypeError, match=f"^{re.escape(words)}$"):
        nets.stage_features(model, torch.zeros(1, 3, 8, 8))

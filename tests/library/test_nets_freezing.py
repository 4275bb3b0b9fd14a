"""Frozen parts: nothing in them moves, and what the caller set elsewhere stays."""

import copy
import re
import warnings

import pytest
import torch

from resnet_lib import data, train
from resnet_lib.nets import CifarResNet, freeze, replace_head

BODY = ("conv1", "bn1", "layer1", "layer2", "layer3")


def network():
    torch.manual_seed(0)
    return CifarResNet(8, num_classes=3, in_channels=1).train()


def trained(net):
    """Entries of the state dict that a short training moves."""
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(1)
    images, labels = torch.randint(256, (24, 1, 8, 8), dtype=torch.uint8), torch.arange(24) % 3
    batches = data.Batches(images, labels, 8, transform=data.Normalize((0.5,), (0.5,)))
    config = train.TrainConfig(epochs=1, learning_rate=0.1)
    train.fit(net, batches, config=config, world=train.World(torch.device("cpu")), progress=False)
    return {
        name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])
    }


def test_training_moves_the_rest_alone():
    assert trained(freeze(network(), *BODY)) == {"fc.weight", "fc.bias"}


def test_without_the_mode_batch_norm_would_move():
    net = network()
    for part in BODY:
        net.get_submodule(part).requires_grad_(False)
    with pytest.warns(UserWarning, match="running statistics follow"):
        moved = trained(net)
    assert {"bn1.running_mean", "layer3.0.bn2.running_var"} < moved


def test_without_parts_all_of_it_and_a_new_head_is_free():
    net = freeze(network())
    assert not any(module.training for module in net.modules())
    replace_head(net, 4).fc.train()
    assert [name for name, p in net.named_parameters() if p.requires_grad] == [
        "fc.weight",
        "fc.bias",
    ]


def test_a_new_head_on_a_network_that_is_frozen_as_a_whole_is_all_that_moves():
    net = replace_head(freeze(network()), 3)
    assert not any(module.training for module in net.modules())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained(net) == {"fc.weight", "fc.bias"}


def test_a_network_in_eval_mode_is_trained_and_its_frozen_part_is_not():
    net = network().eval()
    net.layer3.requires_grad_(False)
    moved = trained(net)
    assert "layer2.0.bn1.running_mean" in moved
    assert not [name for name in moved if name.startswith("layer3")]


def test_other_parts_keep_their_mode_and_gradients():
    net = network()
    net.layer3.eval()
    assert freeze(net, "layer1") is net
    assert net.training
    assert net.layer2.training
    assert not net.layer3.training
    assert not net.layer1.training
    assert all(p.requires_grad != name.startswith("layer1") for name, p in net.named_parameters())


@pytest.mark.parametrize(
    ("part", "kind", "words"),
    [
        ("layer4", ValueError, "(conv1, bn1, layer1, layer2, layer3, fc), got 'layer4'"),
        ("", ValueError, "got ''"),
        (1, TypeError, "parts must be names, as 'layer1', got 1"),
    ],
)
def test_what_is_no_part_is_refused_and_nothing_is_frozen(part, kind, words):
    net = network()
    with pytest.raises(kind, match=re.escape(words)):
        freeze(net, "layer1", part)
    assert all(p.requires_grad for p in net.parameters())
    assert all(module.training for module in net.modules())

"""Weights with a card: what is saved is what comes back, network and all."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from resnet_lib import nets, weights
from resnet_lib.weights import load_network, load_weights, read_card, read_weights, save_weights

KNOWN = {
    "classes": ("a", "b", "c"),
    "image": (1, 8, 8),
    "mean": (0.5,),
    "std": (0.25,),
}


def network(name="resnet8", **options):
    torch.manual_seed(1)
    model = nets.by_name(name, 3, 1, **options).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 0.7)
    return model


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet8", {}),
        ("plain8", {}),
        ("resnet8", {"shortcut": "A-both"}),
        ("resnet8", {"shortcut": "B"}),
        ("resnet8", {"shortcut": "C"}),
        ("resnet18", {"stem": "small"}),
        ("plain18", {}),
        ("resnet50", {"stride_in_1x1": True, "shortcut": "A"}),
        ("resnet50", {"shortcut": "C", "stem": "small"}),
    ],
)
def test_network_comes_back_as_it_was(name, options, tmp_path):
    """The same outputs, and so the same function, whatever no name of a tensor tells."""
    model, path = network(name, **options), tmp_path / "w.safetensors"
    random = torch.get_rng_state()
    save_weights(path, model.train(), net=name, **KNOWN)
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    found, card = load_network(path)
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(found(images), model.eval()(images))
    assert not any(module.training for module in found.modules())
    assert card == weights.ModelCard(name, **KNOWN, path=path, options=options)
    assert nets.options_of(found) == nets.options_of(model)


def test_file_says_no_more_than_it_was_told(tmp_path):
    save_weights(tmp_path / "w.safetensors", network(), net="resnet8", mean=(0.5,))
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        metadata = file.metadata()
    assert {name: json.loads(text) for name, text in metadata.items()} == {
        "resnet_lib": {"net": "resnet8", "mean": [0.5]}
    }


def test_files_without_a_card_have_an_empty_one(tmp_path):
    torch.save(network().state_dict(), tmp_path / "w.pth")
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    save_weights(tmp_path / "none.safetensors", network())
    for name in ("w.pth", "w.safetensors", "none.safetensors"):
        card = read_card(tmp_path / name)
        assert card == weights.ModelCard("", (), (), (), (), tmp_path / name)
        with pytest.raises(ValueError, match="does not say of which network its weights are"):
            load_network(tmp_path / name)
        assert load_weights(network(), tmp_path / name) == []


def test_shipped_files_know_the_size_of_their_pictures():
    for net, of, image in (("resnet20", "cifar10", (3, 32, 32)), ("resnet8", "digits", (1, 8, 8))):
        card = weights.model_card(net, of)
        assert card.image == image
        assert read_card(card.path) == card
        found, _ = load_network(card.path)
        assert found(torch.zeros(1, *image)).shape == (1, 10)


def test_what_cannot_be_read(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(FileNotFoundError, match="names no file"):
        read_card(path)
    save_weights(path, network(), net="resnet8")
    path.write_bytes(path.read_bytes()[:-10])
    for read in (read_card, load_network):
        with pytest.raises(ValueError, match=r"w\.safetensors is (damaged|truncated)"):
            read(path)


def strange():
    model = network()
    model.layer2[0].downsample = nn.AvgPool2d(2)
    return model


@pytest.mark.parametrize(
    ("model", "net", "error", "match"),
    [
        (network, "resnet9", ValueError, r"^name must be resnet18"),
        (network, 8, TypeError, r"^name must be a string"),
        (network, "resnet14", ValueError, "and the model is no resnet14"),
        (network, "plain8", ValueError, "and the model is no plain8"),
        (lambda: network("plain8"), "resnet8", ValueError, "and the model is no resnet8"),
        (lambda: nn.Linear(2, 2), "resnet8", ValueError, "and the model is no resnet8"),
        (strange, "resnet8", ValueError, "shortcuts of the library's own, got .*AvgPool2d"),
    ],
)
def test_another_network_than_named_is_not_saved(model, net, error, match, tmp_path):
    with pytest.raises(error, match=match):
        save_weights(tmp_path / "w.safetensors", model(), net=net)
    assert list(tmp_path.iterdir()) == []


TWINS = {
    "plain into residual": ("plain8", {}, "resnet8", {}, "residual True and False"),
    "residual into plain": ("resnet8", {}, "plain8", {}, "residual False and True"),
    "other side": ("resnet8", {"shortcut": "A-both"}, "resnet8", {}, "shortcut 'A' and 'A-both'"),
    "other stride": ("resnet50", {}, "resnet50", {"stride_in_1x1": True}, "stride_in_1x1 True"),
}


@pytest.mark.parametrize("name", TWINS)
def test_weights_of_another_function_are_refused(name, tmp_path):
    saved, options, into, own, words = TWINS[name]
    path, model = tmp_path / "w.safetensors", network(into, **own)
    save_weights(path, network(saved, **options), net=saved)
    for tensor in model.state_dict().values():
        tensor.zero_()
    with pytest.raises(ValueError, match=f"computes something else .*: {words}"):
        load_weights(model, path)
    assert not any(tensor.any() for tensor in model.state_dict().values())
    assert load_weights(model, read_weights(path)) == [], "for who insists"
    assert model.conv1.weight.any()


def test_card_of_no_network_leaves_the_model_alone(tmp_path):
    path, model = tmp_path / "w.safetensors", network()
    state = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    save_file(state, path, {"resnet_lib": json.dumps({"net": "resnet8", "options": {"strid": 2}})})
    with pytest.raises(ValueError, match=r"names no network: .*'strid'"):
        load_weights(model, path)
    assert model.conv1.weight.any()


def test_old_files_know_their_twin():
    """The files that come with the library are older than the options on a card."""
    card = weights.model_card("plain20", "cifar10")
    with pytest.raises(ValueError, match="is of plain20, which computes something else"):
        load_weights(weights.resnet20(), card.path)
    assert load_weights(weights.plain20(), card.path) == []


def test_options_are_only_read_from_networks_that_have_them():
    with pytest.raises(TypeError, match="must be a ResNet or CifarResNet, got Linear"):
        nets.options_of(nn.Linear(2, 2))
    mixed = network(shortcut="A")
    mixed.layer3[0].downsample = network(shortcut="A-both").layer3[0].downsample
    with pytest.raises(ValueError, match="same options throughout"):
        nets.options_of(mixed)

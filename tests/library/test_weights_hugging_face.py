"""A ResNet's weights under transformers' names and back: the same outputs, or an error in words."""

import os
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

import pytest
import torch
import torchvision
from notebooks import ROOT
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from resnet_lib import nets, weights

NETWORKS = {
    "18": lambda: nets.resnet18(7),
    "34": lambda: nets.resnet34(7, in_channels=1),
    "50": lambda: nets.resnet50(7),
    "50, stride in 1x1": lambda: nets.resnet50(7, stride_in_1x1=True),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def stirred(network, seed=0):
    """With batch norms of all kinds: as they begin, many a wrong name would not show."""
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for part, middle in (("weight", 1), ("bias", 0), ("running_mean", 0)):
                    getattr(layer, part).normal_(middle, 0.2, generator=dice)
                layer.running_var.uniform_(0.5, 1.5, generator=dice)
                layer.num_batches_tracked.fill_(3)
    return network.eval()


def build(name, seed=0):
    torch.manual_seed(seed)
    return stirred(NETWORKS[name](), seed)


def theirs_for(network):
    return ResNetForImageClassification(ResNetConfig(**weights.hugging_face_config(network))).eval()


def difference(one, other, channels=3):
    """The largest of the outputs' differences, as a share of the largest output."""
    images = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        a, b = (getattr(out, "logits", out) for out in (one(images), other(images)))
    return ((a - b).abs().max() / a.abs().max()).item()


@every_network
def test_there_and_back_with_the_same_outputs(name, tmp_path):
    network = build(name)
    channels = network.conv1.in_channels
    theirs = theirs_for(network)
    state = weights.to_hugging_face(network.state_dict())
    theirs.load_state_dict(state, strict=True)
    assert difference(network, theirs, channels) < 1e-5

    theirs.save_pretrained(tmp_path)
    for source in (theirs.state_dict(), tmp_path / "model.safetensors"):
        back = build(name, seed=1)
        assert difference(network, back, channels) > 1e-3
        assert weights.load_weights(back, weights.from_hugging_face(source)) == []
        assert difference(network, back, channels) < 1e-5
        for part, tensor in network.state_dict().items():
            assert torch.equal(back.state_dict()[part], tensor), part


def test_torchvisions_own_network_goes_the_same_way():
    torch.manual_seed(0)
    network = stirred(torchvision.models.resnet18())
    theirs = theirs_for(nets.resnet18())
    theirs.load_state_dict(weights.to_hugging_face({"model": network.state_dict()}, "model"))
    assert difference(network, theirs) < 1e-5


@every_network
def test_each_name_has_its_partner(name):
    network = NETWORKS[name]()
    own, theirs = network.state_dict(), theirs_for(network).state_dict()
    renamed = weights.to_hugging_face(own)
    assert {name: v.shape for name, v in renamed.items()} == {n: v.shape for n, v in theirs.items()}
    assert list(weights.from_hugging_face(renamed)) == list(own)


def test_a_deep_stage_has_all_its_blocks():
    with torch.device("meta"):
        own = nets.resnet152().state_dict()
    assert list(weights.from_hugging_face(weights.to_hugging_face(own))) == list(own)


def test_two_names_for_one_layer_are_refused():
    place = "embedder.embedder.convolution.weight"
    with pytest.raises(ValueError, match=r"^source has two names for conv1\.weight$"):
        weights.from_hugging_face({place: TENSOR, f"resnet.{place}": TENSOR})


def test_names_of_the_model_without_a_head():
    network = build("18")
    theirs = ResNetModel(ResNetConfig(**weights.hugging_face_config(network)))
    state = weights.from_hugging_face(theirs.state_dict())
    assert set(weights.load_weights(network, state, ["fc"])) == {"fc.weight", "fc.bias"}


def test_two_names_exchanged_change_the_output():
    """So the tests above see a wrong rule: of two layers of one shape, and of one batch norm."""
    network = build("50")
    state = weights.to_hugging_face(network.state_dict())
    place = "resnet.encoder.stages.0.layers.1.layer.{}.normalization.{}"
    for one, other in (
        (place.format(0, "weight"), place.format(1, "weight")),
        (place.format(0, "bias"), place.format(0, "running_mean")),
    ):
        theirs = theirs_for(network)
        theirs.load_state_dict(state | {one: state[other], other: state[one]})
        assert difference(network, theirs) > 1e-3


def test_stride_elsewhere_shows_in_the_output_alone():
    network = build("50, stride in 1x1")
    config = weights.hugging_face_config(network)
    assert config["downsample_in_bottleneck"] is True
    theirs = ResNetForImageClassification(
        ResNetConfig(**config | {"downsample_in_bottleneck": False})
    )
    theirs.load_state_dict(weights.to_hugging_face(network.state_dict()))
    assert difference(network, theirs.eval()) > 1e-3


def test_configuration():
    assert weights.hugging_face_config(nets.resnet34(7, in_channels=1)) == {
        "num_channels": 1,
        "embedding_size": 64,
        "hidden_sizes": [64, 128, 256, 512],
        "depths": [3, 4, 6, 3],
        "layer_type": "basic",
        "downsample_in_bottleneck": False,
        "num_labels": 7,
    }


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"residual": False}, "^network must have residual=True for transformers, got False$"),
        ({"shortcut": "A"}, "^network must have shortcut='B' for transformers, got 'A'$"),
        ({"shortcut": "C"}, "^network must have shortcut='B' for transformers, got 'C'$"),
        ({"stem": "small"}, "^network must have stem='large' for transformers, got 'small'$"),
    ],
)
def test_networks_that_transformers_has_not(options, match):
    with torch.device("meta"):
        network = nets.resnet18(**options)
    with pytest.raises(ValueError, match=match):
        weights.hugging_face_config(network)


@pytest.mark.parametrize(
    ("part", "other"), [("fc", nn.Identity()), ("conv1", nn.Sequential(nn.Conv2d(3, 64, 3)))]
)
def test_other_stems_and_heads_have_no_configuration(part, other):
    with torch.device("meta"):
        network = nets.resnet18()
    setattr(network, part, other)
    words = "network must begin with a Conv2d and end in a Linear, got "
    with pytest.raises(ValueError, match=f"^{words}{type(other).__name__}$"):
        weights.hugging_face_config(network)


def test_other_modules_have_no_configuration():
    for other in (nets.CifarResNet(8), torchvision.models.resnet18(), "resnet18"):
        with pytest.raises(TypeError, match=r"^network must be a ResNet, got "):
            weights.hugging_face_config(other)


TENSOR = torch.zeros(1)


@pytest.mark.parametrize(
    ("function", "name", "whose"),
    [
        (weights.to_hugging_face, "layer5.0.conv1.weight", "torchvision's"),
        (weights.to_hugging_face, "layer1.0.conv4.weight", "torchvision's"),
        (weights.to_hugging_face, "layer1.0.downsample.2.weight", "torchvision's"),
        (weights.to_hugging_face, "module.conv1.weight", "torchvision's"),
        (weights.to_hugging_face, "conv1", "torchvision's"),
        (weights.from_hugging_face, "resnet.encoder.stages.4.layers.0.shortcut", "transformers'"),
        (
            weights.from_hugging_face,
            "resnet.encoder.stages.0.layers.0.layer.3.convolution.weight",
            "transformers'",
        ),
        (
            weights.from_hugging_face,
            "resnet.encoder.stages.0.layers.0.layer.0.conv.weight",
            "transformers'",
        ),
        (weights.from_hugging_face, "classifier.weight", "transformers'"),
    ],
)
def test_names_of_something_else_are_refused(function, name, whose):
    match = f"^source has names that are not {whose} for a ResNet: {name}\\.$"
    with pytest.raises(ValueError, match=match):
        function({name: TENSOR})


def test_the_wrong_way_is_said():
    with pytest.raises(ValueError, match=r"fc\.bias\. They are what it would be renamed to\.$"):
        weights.from_hugging_face({"fc.bias": TENSOR})
    with pytest.raises(ValueError, match=r"They are what it would be renamed to\.$"):
        weights.to_hugging_face({"classifier.1.bias": TENSOR})


@pytest.mark.parametrize("function", [weights.to_hugging_face, weights.from_hugging_face])
def test_what_is_no_state_dict_is_refused(function):
    with pytest.raises(TypeError, match=r"^source must be a path, a state dict"):
        function(nn.Linear(1, 1))
    with pytest.raises(FileNotFoundError, match=r"^source names no file"):
        function("nowhere.safetensors")
    with pytest.raises(ValueError, match="entry='model'"):
        function({"model": {"fc.bias": TENSOR}, "epoch": 1})


def test_transformers_is_not_imported():
    look = "import sys, resnet_lib.weights; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr

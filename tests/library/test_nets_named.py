"""Networks by name: every name is the network that it says, and nothing else has a name."""

import re
import subprocess
import sys

import pytest
import torch
from notebooks import ROOT

from resnet_lib import nets
from resnet_lib.names import IMAGENET_DEPTHS, default_shape, split_name


def test_names_are_those_of_the_library():
    assert set(IMAGENET_DEPTHS) == set(nets.CONFIGURATIONS)


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "resnet110", "plain8", "plain20"])
def test_other_depths_are_cifars(name):
    residual, depth = name.startswith("resnet"), int(name.lstrip("resntplai"))
    torch.manual_seed(0)
    found = nets.by_name(name, 7, 2)
    torch.manual_seed(0)
    expected = nets.CifarResNet(depth, 7, 2, residual=residual)
    assert str(found) == str(expected)
    assert torch.equal(found.conv1.weight, expected.conv1.weight)
    assert [block.residual for block in found.layer3] == [residual] * len(found.layer3)
    assert default_shape(name) == ((3, 32, 32), 10)


@pytest.mark.parametrize("depth", nets.CONFIGURATIONS)
def test_imagenets_depths_are_imagenets_also_where_they_are_6n_plus_2(depth):
    for kind in ("resnet", "plain"):
        with torch.device("meta"):
            found = nets.by_name(f"{kind}{depth}", 1000, 3)
            expected = getattr(nets, f"resnet{depth}")(residual=kind == "resnet")
        assert str(found) == str(expected)
        assert default_shape(f"{kind}{depth}") == ((3, 224, 224), 1000)


@pytest.mark.parametrize(
    "name", ["resnet2", "resnet19", "resnet0", "resnet08", "resnet", "vgg16", "ResNet20", "20", ""]
)
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"got {name!r}")):
        split_name(name)


def test_what_is_no_name_is_refused():
    with pytest.raises(TypeError, match=r"^name must be a string, got int$"):
        nets.by_name(20, 10, 3)
    with pytest.raises(TypeError, match=r"^residual is said by the name"):
        nets.by_name("plain20", 10, 3, residual=True)
    with pytest.raises(TypeError, match="num_classes must be a whole number"):
        nets.by_name("resnet20", 10.0, 3)


def test_options_go_to_the_network():
    found = nets.by_name("resnet8", 10, 3, shortcut="B")
    assert str(found) == str(nets.CifarResNet(8, shortcut="B"))
    with torch.device("meta"):
        found = nets.by_name("resnet50", 10, 3, stride_in_1x1=True)
    assert found.layer2[0].conv1.stride == (2, 2)


def test_names_need_no_torch():
    script = "import resnet_lib.names, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0

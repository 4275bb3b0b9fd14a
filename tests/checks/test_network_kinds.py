"""Networks asked for by name, with bottleneck blocks too, and makers of the usual signatures."""

import pytest
import torch.nn.functional as F
import torchvision
from torchvision.models import resnet as tv

import resnet_checks as checks
from resnet_lib import nets

BOTTLENECKS = ("resnet50", "resnext50_32x4d", "wide_resnet50_2")


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_network_of_bottlenecks_passes_by_name(name):
    report = checks.network(getattr(torchvision.models, name), name)
    assert report.passed, report.fault
    assert "16 bottleneck blocks, 4 of them with a projection" in report.passed_checks
    assert "49 convolutions on the main path, each with its own weights" in report.passed_checks


@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_stride_may_stand_on_either_convolution(stride_in_1x1):
    make = lambda num_classes: nets.resnet50(num_classes, stride_in_1x1=stride_in_1x1)  # noqa: E731
    report = checks.network(make, "resnet50")
    assert report.passed, report.fault


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_network_of_basic_blocks_passes_by_name(name):
    assert checks.network(getattr(nets, name), name)


class OnlyBranch(tv.Bottleneck):
    def forward(self, x):
        f = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.bn3(self.conv3(F.relu(f))))


class NoMiddleReLU(tv.Bottleneck):
    def forward(self, x):
        s = x if self.downsample is None else self.downsample(x)
        f = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.bn3(self.conv3(f)) + s)


def of(block, layers=(3, 4, 6, 3)):
    return lambda n: tv.ResNet(block, list(layers), num_classes=n)


FAULTS = [
    (torchvision.models.resnet50, (2, 2, 2, 2), "these are bottleneck blocks, not basic blocks"),
    (torchvision.models.resnet50, (3, 4, 6, 3), "these are bottleneck blocks, not basic blocks"),
    (torchvision.models.resnet34, "resnet50", "holds 33 convolutions, not 49: the stem, and three"),
    (torchvision.models.resnet50, "resnet101", "holds 49 convolutions, not 100"),
    (
        torchvision.models.wide_resnet50_2,
        "resnet50",
        "Stage 1, block 1: The first convolution puts out 128 channels, not 64",
    ),
    (
        torchvision.models.resnet50,
        "resnext50_32x4d",
        "Stage 1, block 1: The second convolution has groups=1. It should have groups=32",
    ),
    (of(OnlyBranch), "resnet50", "No block has a shortcut"),
    (
        of(NoMiddleReLU),
        "resnet50",
        "Stage 1, block 1: The ReLU between the second and the third convolution is missing",
    ),
]


@pytest.mark.parametrize(("make", "blocks", "words"), FAULTS)
def test_fault_is_found(make, blocks, words):
    report = checks.network(make, blocks)
    assert not report
    assert words in report.fault


def test_hint_tells_the_name_to_ask_for():
    assert '"resnet50"' in checks.network(torchvision.models.resnet50).hint


def only_keywords(**kwargs):
    return tv.ResNet(tv.BasicBlock, [2, 2, 2, 2], **kwargs)


def pretrained_first(pretrained=False, **kwargs):
    assert pretrained is False
    return tv.ResNet(tv.BasicBlock, [2, 2, 2, 2], **kwargs)


def named_only(*, num_classes):
    return nets.resnet18(num_classes)


def other_name(n_out, zero=False):
    assert zero is False
    return nets.resnet18(n_out)


@pytest.mark.parametrize("make", [only_keywords, pretrained_first, named_only, other_name])
def test_makers_are_called_as_they_are_meant(make):
    report = checks.network(make)
    assert report.passed, report.fault


@pytest.mark.parametrize("wrong", ["resnet50 ", "resnet20", ""])
def test_unknown_name_is_refused(wrong):
    with pytest.raises(ValueError, match="blocks must be one of resnet18, resnet34, resnet50"):
        checks.network(nets.resnet18, wrong)

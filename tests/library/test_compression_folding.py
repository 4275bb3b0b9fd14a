"""Folding batch norm: the same outputs, and nothing folded that must not be."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from resnet_lib import compression, nets


def lived_in(model: nn.Module, size: int = 32) -> nn.Module:
    """Batch norm with statistics, factors and shifts as a training leaves them."""
    torch.manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, -1, 1)
                nn.init.uniform_(part.bias, -1, 1)
    return model.eval()


def far_apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / a.abs().max()).item()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("affine", [False, True])
def test_one_convolution_equals_pytorchs_fusion(bias, groups, affine):
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=groups, bias=bias)
    bn = lived_in(nn.Sequential(nn.BatchNorm2d(6, affine=affine)))[0]
    fused = compression.folded(conv, bn)
    x = torch.randn(2, 4, 7, 7)
    assert far_apart(bn(conv(x)), fused(x)) < 3e-6
    if affine:
        theirs = fuse_conv_bn_eval(copy.deepcopy(conv).eval(), copy.deepcopy(bn))
        assert far_apart(theirs.weight, fused.weight) < 1e-6
        assert far_apart(theirs.bias, fused.bias) < 1e-6


@pytest.mark.parametrize(
    "make",
    [
        lambda: nets.resnet18(10, stem="small"),
        lambda: nets.ResNet(nets.CONFIGURATIONS[50][0], (1, 1, 1, 1), 10, shortcut="C"),
        lambda: nets.CifarResNet(20),
        lambda: nets.CifarResNet(8, residual=False),
        lambda: nets.add_dropout(nets.CifarResNet(8, shortcut="B"), 0.5),
        torchvision.models.resnet18,
    ],
)
def test_a_whole_network_gives_the_same_outputs(make):
    model = lived_in(make())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fused = compression.fold_batch_norm(model)
    x = torch.randn(2, 3, 32, 32)
    assert far_apart(model(x), fused(x)) < 1e-5
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fused.modules())
    assert [name for name, _ in fused.named_modules()] == [n for n, _ in model.named_modules()]
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


class Shared(nn.Module):
    """A convolution that two readers share, one that runs twice, and a batch norm in front."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, x):
        x = self.first(self.bn3(x))
        x = self.bn1(x) + x
        return self.bn2(self.second(self.second(x)))


def test_what_others_read_too_is_left_alone():
    model = lived_in(Shared())
    fused = compression.fold_batch_norm(model)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(model(x), fused(x))
    assert sum(isinstance(part, nn.BatchNorm2d) for part in fused.modules()) == 3


def test_two_names_for_one_convolution_are_two_uses():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 3, 1)
            self.b = self.a
            self.bn = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.bn(self.b(self.a(x)))

    model = lived_in(Twice())
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(model(x), compression.fold_batch_norm(model)(x))


def test_train_mode_and_missing_statistics_are_refused():
    model = nets.CifarResNet(8)
    with pytest.raises(ValueError, match=r"bn must be in eval mode.*is in train mode"):
        compression.fold_batch_norm(model)
    bare = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match="keeps no running statistics"):
        compression.fold_batch_norm(bare)


def test_a_path_that_depends_on_the_input_is_refused():
    class Choosing(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(TypeError, match=r"model must be one that torch\.fx can follow; it says: "):
        compression.fold_batch_norm(Choosing().eval())


def test_layers_may_be_called_by_keyword():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.dropout = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout()
            self.flat = nn.Flatten()

        def forward(self, x):
            return self.flat(input=self.dropout(input=self.bn(input=self.conv(input=x))))

    model = lived_in(Named())
    fused = compression.fold_batch_norm(model)
    x = torch.randn(2, 3, 4, 4)
    assert far_apart(model(x), fused(x)) < 1e-5
    assert isinstance(fused.bn, nn.Identity)

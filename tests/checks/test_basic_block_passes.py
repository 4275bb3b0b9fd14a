"""`checks.basic_block` passes every right block, however it is written."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from plant import Block, conv, forward, layers, replaced
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks


@forward
def modules_only(block, x):
    relu = nn.ReLU()
    return relu(torch.add(block.nb(block.b(relu(block.na(block.a(x))))), block.way(x)))


@forward
def in_place(block, x):
    relu = nn.ReLU(inplace=True)
    out = block.nb(block.b(relu(block.na(block.a(x)))))
    out += block.way(x)
    return relu(out)


@forward
def shortcut_first(block, x):
    shortcut = block.way(x)
    shortcut = shortcut + block.branch(x)
    return shortcut.clamp(min=0)


@forward
def adds_x_last(block, x):
    out = block.branch(x).add_(block.way(x))
    return torch.maximum(out, torch.zeros_like(out))


class InOneSequential(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.f = nn.Sequential(
            conv(c_in, c_out, stride),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
            conv(c_out, c_out),
            nn.BatchNorm2d(c_out),
        )
        same = stride == 1 and c_in == c_out
        self.s = nn.Identity() if same else blocks.make_shortcut(c_in, c_out, stride)

    def forward(self, x):
        return (self.f(x) + self.s(x)).relu()


class Functional(nn.Module):
    """Every layer a function, every weight a parameter."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.stride = stride
        self.w = nn.ParameterList([torch.rand(c_out, c_in, 3, 3), torch.rand(c_out, c_out, 3, 3)])
        norms = 2 if stride == 1 and c_in == c_out else 3
        self.scales = nn.ParameterList([torch.ones(c_out) for _ in range(norms)])
        self.shifts = nn.ParameterList([torch.zeros(c_out) for _ in range(norms)])
        for i in range(norms):
            self.register_buffer(f"mean{i}", torch.zeros(c_out))
            self.register_buffer(f"var{i}", torch.ones(c_out))
        self.p = nn.Parameter(torch.rand(c_out, c_in, 1, 1)) if norms == 3 else None

    def norm(self, i, x):
        mean, var = getattr(self, f"mean{i}"), getattr(self, f"var{i}")
        return F.batch_norm(x, mean, var, self.scales[i], self.shifts[i], self.training)

    def forward(self, x):
        s = x if self.p is None else self.norm(2, F.conv2d(x, self.p, stride=self.stride))
        x = F.relu(self.norm(0, F.conv2d(x, self.w[0], stride=self.stride, padding=1)))
        return F.relu(self.norm(1, F.conv2d(x, self.w[1], padding="same")) + s)


class TwoHalves(nn.Module):
    """Layers inside a module of the reader's own."""

    class Half(nn.Module):
        def __init__(self, c_in, c_out, stride):
            super().__init__()
            self.c, self.n = conv(c_in, c_out, stride), nn.BatchNorm2d(c_out)

        def forward(self, x):
            return self.n(self.c(x))

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.halves = nn.ModuleList([self.Half(c_in, c_out, stride), self.Half(c_out, c_out, 1)])
        self.s = blocks.make_shortcut(c_in, c_out, stride)

    def forward(self, x):
        out = x
        for i, half in enumerate(self.halves):
            out = half(out)
            if i == 0:
                out = F.relu(out)
        return F.relu(out + self.s(x))


def torchvision_block(c_in, c_out, stride):
    same = stride == 1 and c_in == c_out
    downsample = None if same else blocks.make_shortcut(c_in, c_out, stride)
    return torchvision.models.resnet.BasicBlock(c_in, c_out, stride, downsample)


def trained_badly(c_in, c_out, stride):
    """Weights that hide the branch, and statistics that would kill every ReLU."""
    block = blocks.BasicBlock(c_in, c_out, stride)
    nn.init.zeros_(block.bn2.weight)
    nn.init.constant_(block.bn1.weight, -2.0)
    nn.init.constant_(block.bn1.running_mean, -80.0)
    nn.init.zeros_(block.conv2.weight)
    return block.eval()


def frozen(c_in, c_out, stride):
    return blocks.BasicBlock(c_in, c_out, stride).requires_grad_(False)


def lazy(c_in, c_out, stride):
    block = Block(c_in, c_out, stride)
    block.a = nn.LazyConv2d(c_out, 3, stride, padding=1, bias=False)
    return block


def padded_by_hand(c_in, c_out, stride):
    return nn.Sequential(nn.ZeroPad2d(1), conv(c_in, c_out, stride, padding=0))


RIGHT = {
    "the library's": blocks.BasicBlock,
    "torchvision's": torchvision_block,
    "other names": Block,
    "modules only": modules_only,
    "in place where it does no harm": in_place,
    "shortcut first": shortcut_first,
    "add_ and maximum": adds_x_last,
    "one Sequential": InOneSequential,
    "functions only": Functional,
    "layers inside own modules": TwoHalves,
    "hidden by its weights": trained_badly,
    "frozen": frozen,
    "lazy": lazy,
    "zeros padded by hand": replaced(a=padded_by_hand),
    "dropout with p = 0": layers(lambda block, *_: setattr(block.na, "drop", nn.Dropout(0.0))),
    "double precision": lambda *a: blocks.BasicBlock(*a).double(),
    "a closure": lambda *a: (lambda kind: kind(*a))(Block),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT.keys())
def test_right_block_passes(make):
    report = checks.basic_block(make)
    assert report.passed, report.fault
    assert report.fault is None
    assert report.hint is None


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT.keys())
def test_right_block_passes_without_projection(make):
    assert checks.basic_block(make, projection=False)


def test_counts_the_parameters():
    passed = checks.basic_block(blocks.BasicBlock, projection=False).passed_checks
    expected = 2 * 9 * 4 * 4 + 2 * 2 * 4
    assert f"{expected} parameters, all of them used" in passed

"""Faults of a basic block where the shape changes, each planted."""

import pytest
import torch.nn.functional as F
from plant import Block, conv, forward, layers, norm, point, replaced, way
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks


class NoProjection(Block):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        self.way = nn.Sequential()


class OnlyForStride(Block):
    """The projection is built on half of its condition."""

    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        if stride == 1:
            self.way = nn.Sequential()


class OnlyForChannels(Block):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        if c_in == c_out:
            self.way = nn.Sequential()


class BranchOnProjection(Block):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        self.a = conv(c_out, c_out)

    def forward(self, x):
        x = self.way(x)
        return F.relu(self.branch(x) + x)


class ProjectionOnBranch(Block):
    """Its shortcut starts behind the first convolution."""

    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        if len(self.way):
            self.way[0] = conv(c_out, c_out, 1, 1)

    def forward(self, x):
        out = self.half(x)
        return F.relu(self.nb(self.b(out)) + self.way(out if len(self.way) else x))


class Repeated(NoProjection):
    """Its shortcut repeats the channels."""

    def forward(self, x):
        f = self.branch(x)
        step, times = x.shape[2] // f.shape[2], f.shape[1] // x.shape[1]
        return F.relu(f + x[:, :, ::step, ::step].repeat(1, times, 1, 1))


SHORTCUT = [
    (NoProjection, "Where the shape changes: There is no projection on the shortcut. x has 4"),
    (OnlyForStride, "Where only the channels change: There is no projection"),
    (OnlyForChannels, "Where only the stride changes: There is no projection"),
    (lambda *a: blocks.BasicBlock(*a, shortcut="A"), "That is option A: legal"),
    (lambda *a: blocks.BasicBlock(*a, shortcut="C"), "option C: legal"),
    (way(point), "There is no batch norm after the projection"),
    (way(conv, norm), "The projection has a 3×3 kernel"),
    (way(lambda i, o, s: conv(i, o, s, 1, bias=True), norm), "The projection has a bias"),
    (way(lambda i, o, s: conv(i, o, 1, 1), norm), "The projection has stride 1, though stride 2"),
    (way(lambda i, o, s: conv(i, i, s, 1)), "The projection puts out 4 channels, not 8"),
    (way(point, norm, lambda i, o, s: conv(o, o, 1, 1), norm), "A projection has one"),
    (way(point, norm, lambda *_: nn.ReLU()), "A ReLU stands on the shortcut"),
    (
        way(lambda i, o, s: nn.AvgPool2d(s), lambda i, o, s: conv(i, o, 1, 1), norm),
        "The projection has stride 1",
    ),
    (
        layers(lambda block, *_: len(block.way) and block.way.__setitem__(1, block.nb)),
        "The second convolution and the projection share one batch norm",
    ),
    (
        replaced(a=lambda i, o, s: conv(i, o), b=lambda i, o, s: conv(o, o, s)),
        "It belongs on the f",
    ),
    (replaced(b=lambda i, o, s: conv(o, o, s)), "Both convolutions have stride 2"),
    (replaced(a=lambda i, o, s: conv(i, o)), "first convolution has stride 1, though stride 2"),
    (ProjectionOnBranch, "The projection reads a value of the branch. It should read x"),
    (Repeated, "Where the shape changes: There is no projection on the shortcut"),
    (way(lambda i, o, s: nn.BatchNorm2d(i), point), "The batch norm stands before the projection"),
    (way(lambda *_: nn.ReLU(), point, norm), "The projection does not read the block's input x"),
    (BranchOnProjection, "The branch reads what the projection puts out"),
    (
        forward(lambda block, x: F.relu(block.branch(x) + block.way(x).detach())),
        "No gradient passes through the",
    ),
]


@pytest.mark.parametrize(("fault", "words"), SHORTCUT)
def test_fault_is_found(fault, words):
    report = checks.basic_block(fault)
    assert not report
    assert words in report.fault


def test_the_projection_can_be_left_out():
    assert checks.basic_block(NoProjection, projection=False)
    assert "projection=False" in checks.basic_block(NoProjection).hint

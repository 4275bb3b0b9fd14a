"""Blocks that are right for several images and wrong for one, and what is right for one too."""

import pytest
import torch
import torch.nn.functional as F
from plant import Block
from test_blueprints import Gated, Later
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks


class Shortcut(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.way = blocks.make_shortcut(*sizes)

    def forward(self, x):
        return self.way(x)


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.f = branch

    def forward(self, x):
        return self.f(x) + x


def squeezed(kind):
    class Squeezed(kind):
        def forward(self, x):
            return super().forward(x).squeeze()

    return Squeezed


class Alone(Block):
    def forward(self, x):
        return super().forward(x) if len(x) > 1 else F.relu(self.branch(x))


class LaterAlone(Later):
    def forward(self, x):
        out = super().forward(x)
        return out - x if len(x) == 1 and x.shape == out.shape else out


class FormulaAlone(Residual):
    def forward(self, x):
        return self.f(x) if x.dim() == 4 and len(x) == 1 else super().forward(x)


class SqueezedMeans(Gated):
    def factors(self, f):
        means = f.mean((2, 3), keepdim=True).squeeze()
        return torch.sigmoid(self.excite(F.relu(self.squeeze(means))))

    def gate(self, f):
        return self.factors(f)[:, :, None, None]


class SqueezedHarmlessly(SqueezedMeans):
    def gate(self, f):
        return self.factors(f).view(len(f), -1, 1, 1)


SHAPE = "The output has the shape ({0}, 7, 5), not (1, {0}, 7, 5)"
FAULTS = [
    (checks.basic_block, squeezed(Block), SHAPE.format(4)),
    (checks.basic_block, Alone, "The addition is missing"),
    (checks.bottleneck, squeezed(blocks.Bottleneck), SHAPE.format(16)),
    (checks.pre_activation_block, squeezed(Later), SHAPE.format(4)),
    (checks.pre_activation_block, LaterAlone, "The addition is missing"),
    (checks.squeeze_excitation_block, squeezed(Gated), SHAPE.format(16)),
    (checks.squeeze_excitation_block, SqueezedMeans, "The forward pass raises IndexError"),
    (checks.shortcut, squeezed(Shortcut), SHAPE.format(4)),
    (checks.residual_formula, squeezed(Residual), "the shape changed from (1, 3, 4, 5) to (3, 4,"),
    (checks.residual_formula, FormulaAlone, "the result differs from F(x) + x"),
]


@pytest.mark.parametrize(("check", "make", "words"), FAULTS)
def test_fault_with_one_image_is_found_and_named(check, make, words):
    report = check(make)
    assert not report
    assert "or a batch of one image" in report.fault
    assert words in report.fault


def test_squeeze_is_pointed_at():
    assert "squeeze()" in checks.basic_block(squeezed(Block)).hint


def test_squeeze_that_does_no_harm_passes():
    report = checks.squeeze_excitation_block(SqueezedHarmlessly)
    assert report.passed, report.fault


def test_fault_of_the_size_is_not_said_to_be_of_the_number():
    class Even(Block):
        def forward(self, x):
            return super().forward(x) if x.shape[2] % 2 == 0 else F.relu(self.branch(x))

    report = checks.basic_block(Even)
    assert report.fault.startswith("For an input of 7×5: The addition is missing")

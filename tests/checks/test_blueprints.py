"""Kinds of block that are a blueprint and nothing more: what passes, and faults planted in them."""

import pytest
import torch
import torch.nn.functional as F
from plant import conv
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks, variants
from resnet_lib.variants import PreActBlock as PreAct


class Later(nn.Module):
    """A right pre-activation block under names of its own."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.na, self.a = nn.BatchNorm2d(c_in), conv(c_in, c_out, stride)
        self.nb, self.b = nn.BatchNorm2d(c_out), conv(c_out, c_out)
        same = stride == 1 and c_in == c_out
        self.way = nn.Identity() if same else conv(c_in, c_out, stride, 1)

    def forward(self, x):
        h = F.relu(self.na(x))
        s = x if isinstance(self.way, nn.Identity) else self.way(h)
        return self.b(F.relu(self.nb(self.a(h)))) + s


class Gated(blocks.BasicBlock):
    """A right squeeze-and-excitation block, whose gate has linear layers."""

    def __init__(self, c_in, c_out, stride):
        super().__init__(c_in, c_out, stride)
        self.squeeze, self.excite = nn.Linear(c_out, 3), nn.Linear(3, c_out)

    def branch(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def gate(self, f):
        return torch.sigmoid(self.excite(F.relu(self.squeeze(f.mean((2, 3))))))[:, :, None, None]

    def forward(self, x):
        f = self.branch(x)
        return F.relu(f * self.gate(f) + self.downsample(x))


def planted(kind, **methods):
    return type("Planted", (kind,), methods)


def gated(branch):
    """The gated block where F(x) is `branch(block, f, x)`, and f comes without its gate."""

    def forward(block, x):
        return F.relu(branch(block, block.branch(x), x) + block.downsample(x))

    return planted(Gated, forward=forward)


def ending(last):
    """The gated block whose gate ends with `last` in place of the sigmoid."""
    return gated(lambda b, f, x: f * last(b.gate(f).logit()))


def squeezing(factor):
    """Makes the gated block whose gate is `factor` times as narrow in the middle."""

    class Squeezing(Gated):
        def __init__(self, c_in, c_out, stride):
            super().__init__(c_in, c_out, stride)
            self.squeeze = nn.Linear(c_out, c_out // factor)
            self.excite = nn.Linear(c_out // factor, c_out)

    return Squeezing


def gated_sum(block, x):
    f = block.branch(x)
    return block.gate(f) * F.relu(f + block.downsample(x))


def gated_shortcut(block, x):
    f = block.branch(x)
    return F.relu(f + block.gate(f) * block.downsample(x))


def library_gate(*sizes):
    return variants.GatedBlock(*sizes, gate=lambda c: variants.SqueezeExcitation(c, 2))


def projects_x(block, x):
    s = block.way(x)
    return block.b(F.relu(block.nb(block.a(F.relu(block.na(x)))))) + s


LATER = [
    (blocks.BasicBlock, "There is no batch norm before the first convolution"),
    (
        planted(PreAct, forward=lambda b, x: PreAct.forward(b, F.relu(x))),
        "ReLU stands before the first batch norm. The order is batch norm, ReLU, convolution.",
    ),
    (
        planted(Later, forward=lambda b, x: b.b(F.relu(b.nb(b.a(b.na(F.silu(x)))))) + x),
        "SiLU stands before the first batch norm",
    ),
    (
        planted(Later, forward=lambda b, x: Later.forward(b, x + 1)),
        "The batch norm before the first convolution does not read the block's input x",
    ),
    (
        planted(Later, forward=lambda b, x: b.b(b.nb(F.relu(b.a(F.relu(b.na(x)))))) + x),
        "stands behind the ReLU. The order is batch norm, ReLU, convolution.",
    ),
    (
        planted(Later, forward=lambda b, x: F.relu(Later.forward(b, x))),
        "A ReLU stands after the addition. In a pre-activation block nothing does",
    ),
    (planted(Later, forward=lambda b, x: Later.forward(b, x) - x), "The addition is missing"),
    (
        planted(Later, forward=lambda b, x: Later.forward(b, x) - 2 * x),
        "A sign is wrong: the result is F(x) − x",
    ),
    (
        planted(Later, forward=lambda b, x: F.silu(Later.forward(b, x))),
        "SiLU stands after the addition",
    ),
    (
        planted(Later, forward=lambda b, x: b.b(F.relu(b.nb(b.a(b.na(x))))) + x),
        "The first convolution does not read ReLU of the first batch norm",
    ),
    (
        planted(Later, forward=lambda b, x: b.b(b.nb(b.a(F.relu(b.na(x))))) + x),
        "The ReLU in the middle is missing",
    ),
    (
        planted(Later, forward=lambda b, x: b.b(F.relu(b.a(F.relu(b.na(x))))) + x),
        "There is no batch norm after the first convolution",
    ),
    (
        planted(Later, forward=lambda b, x: Later.forward(b, x) + x.detach() - x),
        "No gradient passes through the shortcut",
    ),
    (
        planted(Later, forward=projects_x),
        "Where the shape changes: The projection does not read ReLU of the first batch norm",
    ),
]

GATED = [
    (blocks.BasicBlock, "two convolutions, and the gate's two linear layers"),
    (
        planted(Gated, gate=lambda b, f: Gated.gate(b, f + 1)),
        "The first linear layer does not read the mean over all positions",
    ),
    (
        planted(
            Gated,
            gate=lambda b, f: b.excite(b.squeeze(f.mean((2, 3)))).sigmoid()[:, :, None, None],
        ),
        "The second linear layer does not read ReLU of the first linear layer",
    ),
    (
        planted(Gated, forward=lambda b, x: (lambda f: f * b.gate(f) + x)(b.branch(x))),
        "The ReLU after the addition is missing",
    ),
    (squeezing(32), "The first linear layer puts out no channels where the block has 16"),
    (ending(lambda g: g), "The gate has no sigmoid"),
    (ending(F.hardsigmoid), "The gate ends with hard sigmoid"),
    (ending(lambda g: g.softmax(1)), "The gate ends with softmax"),
    (ending(torch.tanh), "The gate ends with tanh"),
    (gated(lambda b, f, x: (b.gate(f), f)[1]), "The gate is never multiplied in"),
    (gated(lambda b, f, x: f * b.gate(x)), "The gate is computed from x"),
    (gated(lambda b, f, x: f + b.gate(f)), "The gate is added to the branch"),
    (gated(lambda b, f, x: b.gate(f)), "The gate stands in place of the branch"),
    (planted(Gated, forward=gated_sum), "The gate multiplies the sum"),
    (planted(Gated, forward=gated_shortcut), "The gate multiplies the shortcut"),
    (gated(lambda b, f, x: f - f * b.gate(f)), "The output differs from ReLU(F(x) + x)"),
    (
        planted(
            Gated,
            forward=lambda b, x: (lambda f: F.relu(f * b.gate(f).detach() + x))(b.branch(x)),
        ),
        "The gradient at x is not that of the formula",
    ),
]

CASES = [(checks.pre_activation_block, *row) for row in LATER]
CASES += [(checks.squeeze_excitation_block, *row) for row in GATED]


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(("check", "make", "words"), CASES)
def test_fault_is_found(check, make, words):
    report = check(make)
    assert not report
    assert words in report.fault


@pytest.mark.parametrize("make", [Later, variants.PreActBlock])
def test_right_pre_activation_block_passes(make):
    report = checks.pre_activation_block(make)
    assert report.passed, report.fault
    assert "the output is F(x) + x, and x is left as it was" in report.passed_checks


@pytest.mark.parametrize("make", [Gated, library_gate, squeezing(16)])
def test_right_gated_block_passes(make):
    report = checks.squeeze_excitation_block(make)
    assert report.passed, report.fault


def test_unknown_fault_of_a_gate_is_not_looked_for_at_the_end():
    report = checks.squeeze_excitation_block(gated(lambda b, f, x: f - f * b.gate(f)))
    assert report.hint.startswith("Look at the gate.")


def test_other_blocks_are_not_basic_blocks():
    assert "later pre-activation block" in checks.basic_block(Later).fault
    assert not checks.basic_block(Gated)

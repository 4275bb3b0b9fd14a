"""Faults in how a basic block's layers are joined and trained, each planted."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plant import Block, forward, layers, norm, replaced
from torch import nn

import resnet_checks as checks


class NormLast(Block):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        self.last = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return self.last(super().forward(x))


class Frozen(Block):
    """Its second batch norm never leaves eval mode."""

    def train(self, mode=True):
        super().train(mode)
        self.nb.eval()
        return self


class OverwrittenMiddle(Block):
    def forward(self, x):
        h = F.relu(self.na(self.a(x)))
        out = self.nb(self.b(h))
        h += 1
        return F.relu(out + self.way(x))


@forward
def hidden_no_grad(block, x):
    with torch.no_grad():
        f = block.branch(x)
    return F.relu(f + block.way(x))


@forward
def input_grown(block, x):
    shortcut = block.way(x).clone()
    x.add_(1)
    return F.relu(block.branch(x - 1) + shortcut)


@forward
def adds_to_x(block, x):
    f = block.branch(x)
    if len(block.way):
        return F.relu(f + block.way(x))
    x += f
    return F.relu(x)


@forward
def spoiled_early(block, x):
    shortcut, out = x, F.relu(x, inplace=True)
    return F.relu(block.branch(out) + block.way(shortcut))


@forward
def spoiled_late(block, x):
    out = block.half(x)
    x.relu_()
    return F.relu(block.nb(block.b(out)) + block.way(x))


@forward
def shifted(block, x):
    out = block.half(x)
    x += 1
    return F.relu(block.nb(block.b(out)) + x)


@forward
def alias_of_the_norm(block, x):
    out = shortcut = block.na(block.a(x))
    out = F.relu(out)
    return F.relu(block.nb(block.b(out)) + shortcut)


@forward
def alias_of_the_middle(block, x):
    shortcut = out = block.half(x)
    return F.relu(block.nb(block.b(out)) + shortcut)


@forward
def only_in_eval(block, x):
    f = block.branch(x)
    return F.relu(f + block.way(x)) if block.training else F.relu(f)


WIRING = [
    (forward(lambda block, x: F.relu(block.branch(x))), "addition is missing: the result is ReLU("),
    (forward(lambda block, x: block.branch(x)), "addition is missing: the result is F(x) alone"),
    (forward(lambda block, x: F.relu(x + 0 * block.branch(x))), "branch has no part in the result"),
    (forward(lambda block, x: block.branch(x) + block.way(x)), "ReLU after the addition is missin"),
    (forward(lambda block, x: F.relu(block.branch(x)) + x), "comes after the last ReLU"),
    (forward(lambda block, x: F.relu(F.relu(block.branch(x)) + x)), "A ReLU stands on the branch"),
    (
        forward(lambda block, x: F.relu(block.branch(x) + F.relu(x))),
        "A ReLU stands on the shortcut",
    ),
    (forward(lambda block, x: block.branch(x) + F.relu(x)), "and none after the addition"),
    (forward(lambda block, x: F.relu(block.branch(x)) + F.relu(x)), "on both sides"),
    (
        forward(lambda block, x: F.relu(block.branch(x) - x)),
        "sign is wrong: the result is ReLU(F(x) − x",
    ),
    (
        forward(lambda block, x: F.relu(x - block.branch(x))),
        "sign is wrong: the result is ReLU(x − F(x)",
    ),
    (forward(lambda block, x: F.relu(block.branch(x) + 2 * x)), "shortcut is counted twice"),
    (forward(lambda block, x: F.relu(2 * block.branch(x) + x)), "branch is counted twice"),
    (
        forward(lambda block, x: F.relu((block.branch(x) + x) / 2)),
        "weighted: the result is ReLU(0.5·",
    ),
    (forward(lambda block, x: F.relu(block.branch(x) * x)), "multiplied, not added"),
    (forward(lambda block, x: F.gelu(block.branch(x) + x)), "last activation is GELU"),
    (forward(lambda block, x: F.relu(block.branch(x).abs() + x)), "differs from ReLU(F(x) + x)"),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(block.na(block.a(x)))) + x)),
        "ReLU in the middle is missing",
    ),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(F.silu(block.na(block.a(x))))) + x)),
        "activation in the middle is SiLU",
    ),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(block.half(x) + x)) + x)),
        "x is added in the middle too",
    ),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(block.half(x) ** 2)) + x)),
        "does not read ReLU of the first batch norm",
    ),
    (
        forward(lambda block, x: F.relu(block.branch(F.relu(x)) + x)),
        "ReLU is applied to x before the first",
    ),
    (
        forward(lambda block, x: F.relu(block.branch(x.flip(3)) + x)),
        "does not read the block's input",
    ),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(F.relu(block.a(block.na(x))))) + x)),
        "The batch norm stands before the first convolution",
    ),
    (
        layers(
            lambda block, i, o, s: setattr(block, "a", nn.Sequential(nn.BatchNorm2d(i), block.a))
        ),
        "later pre-activation block",
    ),
    (
        layers(lambda block, i, o, s: setattr(block, "way", nn.BatchNorm2d(o))),
        "one batch norm too many, on the shortcut",
    ),
    (
        layers(lambda block, i, o, s: setattr(block, "na", nn.Sequential(block.na, norm(i, o, s)))),
        "There is one batch norm too many.",
    ),
    (NormLast, "one batch norm too many, after the addition"),
    (alias_of_the_norm, "What is added is the output of the batch norm after the first"),
    (alias_of_the_middle, "What is added is the output of the first ReLU"),
    (spoiled_early, "An in-place ReLU overwrites x before x is added"),
    (spoiled_late, "An in-place ReLU overwrites x before x is added"),
    (adds_to_x, "The block overwrites its input x"),
    (input_grown, "The block overwrites its input x"),
    (shifted, "Something in place overwrites x before x is added"),
]


TRAINING = [
    (only_in_eval, "In eval mode: The addition is missing"),
    (
        replaced(na=lambda i, o, s: nn.BatchNorm2d(o, track_running_stats=False)),
        "In eval mode the batch norm after the first convolution still uses the batch's own",
    ),
    (Frozen, "In train mode the batch norm after the second convolution uses running"),
    (forward(lambda block, x: F.relu(block.branch(x) + x.detach())), "through the shortcut"),
    (forward(lambda block, x: F.relu(block.branch(x).detach() + x)), "through the branch"),
    (
        forward(lambda block, x: F.relu(block.branch(x) + (x + x.detach()) / 2)),
        "The gradient at x is not that of the formula",
    ),
    (hidden_no_grad, "No gradient passes through the branch"),
    (forward(lambda block, x: Block.forward(block, x).detach()), "No gradient reaches x at all"),
    (OverwrittenMiddle, "A training step raises RuntimeError: one of the variables needed"),
    (
        forward(lambda block, x: torch.from_numpy(np.asarray(Block.forward(block, x)))),
        "A training step raises RuntimeError: Can't call numpy()",
    ),
]


@pytest.mark.parametrize(("fault", "words"), WIRING + TRAINING)
def test_fault_is_found(fault, words):
    first, second = (checks.basic_block(fault, projection=False) for _ in range(2))
    assert not first
    assert words in first.fault
    assert repr(first) == repr(second)
    assert "0x" not in repr(first)

"""Faults that `checks.basic_block` finds in the layers where the shapes agree, each planted."""

import pytest
import torch
import torch.nn.functional as F
from plant import Block, conv, forward, layers, norm, point, replaced, way
from torch import nn

import resnet_checks as checks


class NoSuper(nn.Module):
    def __init__(self, c_in, c_out, stride):
        self.a = conv(c_in, c_out, stride)


class NoForward(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()


class Unfinished(Block):
    """Its padding is wrong too, but what stops it is the name."""

    def forward(self, x):
        self.a.padding = (0, 0)
        return self.nothing(self.branch(x))


class Concatenated(Block):
    def forward(self, x):
        return F.relu(torch.cat([self.branch(x), self.way(x)], dim=1))


class Cast(Block):
    def forward(self, x):
        return super().forward(x).double()


class Listed(Block):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        self.parts = [self.b, self.nb]
        del self.b, self.nb

    def branch(self, x):
        return self.parts[1](self.parts[0](self.half(x)))


class Functional(Block):
    """Weights in plain tensors."""

    def __init__(self, c_in, c_out, stride=1):
        super().__init__(c_in, c_out, stride)
        weight = self.a.weight.detach()
        del self.a
        self.a = lambda x: F.conv2d(x, weight, stride=stride, padding=1)


def two_kernels(c_in, c_out, stride):
    return nn.Sequential(conv(c_in, c_out, stride), conv(c_out, c_out))


RUNS = [
    (lambda a: a, "make(4, 4, 1) raises TypeError"),
    (lambda *a: 1 / 0, "raises ZeroDivisionError: division by zero (in <lambda>"),
    (NoSuper, "cannot assign module before Module.__init__() call"),
    (NoForward, 'missing the required "forward" function'),
    (lambda *a: None, "returned None"),
    (lambda *a: torch.relu, "not an nn.Module"),
    (forward(lambda block, x: None), "The forward pass returned None"),
    (forward(lambda block, x: (x, x)), "object of type tuple, not a tensor"),
    (forward(lambda block, x: block.missing(x)), "AttributeError"),
    (Unfinished, "The forward pass raises AttributeError"),
    (replaced(na=lambda i, o, s: nn.BatchNorm2d(3)), "running_mean should contain 4 elements"),
    (replaced(a=lambda i, o, s: conv(64, o, s)), "to have 64 channels, but got 4 channels"),
    (forward(lambda block, x: F.relu(block.branch(x) + x).mean(1)), "shape (3, 6, 8), not"),
    (Cast, "The type of the values changed from torch.float32 to torch.float64"),
    (Concatenated, "concatenated, not added"),
    (forward(lambda block, x: Block.forward(block, x) / 0), "NaN or infinite"),
    (forward(lambda block, x: F.dropout(Block.forward(block, x))), "something random is inside"),
    (replaced(nb=lambda i, o, s: nn.Sequential(nn.BatchNorm2d(o), nn.Dropout(0.1))), "random"),
]


LAYERS = [
    (forward(lambda block, x: F.relu(x)), "No convolution was seen"),
    (forward(lambda block, x: F.relu(block.half(x) + x)), "only one convolution"),
    (replaced(b=lambda *_: nn.Identity(), way=point), "only one convolution"),
    (replaced(b=lambda i, o, s: two_kernels(o, o, 1)), "The branch has 3 convolutions"),
    (layers(lambda block, *_: setattr(block, "b", block.a)), "One convolution is used twice"),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(x)) + 0 * block.half(x) + x)),
        "The second convolution does not read what the first one puts out",
    ),
    (replaced(a=lambda i, o, s: conv(i, o, s, 5)), "first convolution has a 5×5 kernel"),
    (replaced(b=lambda i, o, s: conv(o, o, 1, 1)), "second convolution has a 1×1 kernel"),
    (replaced(b=lambda i, o, s: conv(o, o, padding=2, dilation=2)), "second convolution is dil"),
    (replaced(b=lambda i, o, s: conv(o, o, groups=2)), "second convolution is split into groups"),
    (replaced(a=lambda i, o, s: conv(i, o, s, padding=0)), "first convolution has padding 0"),
    (replaced(b=lambda i, o, s: conv(o, o, padding=0)), "second convolution has padding 0"),
    (replaced(b=lambda i, o, s: conv(o, o, padding=2)), "second convolution has padding 2"),
    (replaced(a=lambda i, o, s: conv(i, o, 2)), "first convolution has stride 2. It should have"),
    (
        replaced(
            a=lambda i, o, s: conv(i, 2 * o, s),
            na=lambda i, o, s: nn.BatchNorm2d(2 * o),
            b=lambda i, o, s: conv(2 * o, o),
        ),
        "first convolution puts out 8 channels, not 4",
    ),
    (replaced(a=lambda i, o, s: conv(i, 2 * o, s)), "first convolution puts out 8 channels"),
    (
        replaced(b=lambda i, o, s: conv(o, 2 * o), nb=lambda i, o, s: nn.BatchNorm2d(2 * o)),
        "second convolution puts out 8 channels, not 4",
    ),
    (replaced(a=lambda i, o, s: conv(i, o, s, bias=True)), "The first convolution has a bias"),
    (replaced(b=lambda i, o, s: conv(o, o, bias=True)), "The second convolution has a bias"),
    (replaced(na=lambda i, o, s: nn.Identity()), "no batch norm after the first convolution"),
    (replaced(nb=lambda i, o, s: nn.Identity()), "no batch norm after the second convolution"),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(block.na(F.relu(block.a(x))))) + x)),
        "batch norm after the first convolution stands behind the ReLU",
    ),
    (
        forward(lambda block, x: F.relu(block.nb(F.relu(block.b(block.half(x)))) + x)),
        "batch norm after the second convolution stands behind the ReLU",
    ),
    (
        forward(lambda block, x: F.relu(block.nb(block.b(block.half(x)) + x))),
        "The addition comes before the batch norm of the second convolution",
    ),
    (replaced(na=lambda i, o, s: nn.GroupNorm(2, o)), "Group norm follows the first conv"),
    (replaced(nb=lambda i, o, s: nn.InstanceNorm2d(o)), "Instance norm follows the second"),
    (replaced(na=lambda i, o, s: nn.BatchNorm2d(o, affine=False)), "no scale and shift to learn"),
    (layers(lambda block, *_: setattr(block, "nb", block.na)), "share one batch norm"),
    (way(point, norm, always=True), "option C: legal"),
    (way(conv, always=True), "The shortcut holds a convolution although the shapes agree"),
    (Listed, "parameters of the second convolution are not registered"),
    (Functional, "parameters of the first convolution are not registered"),
    (layers(lambda block, i, o, s: setattr(block, "more", conv(i, o))), "`more.weight`"),
    (
        layers(lambda block, i, o, s: setattr(block, "more", conv(i, o))),
        "The block has 448 parameters. 144 of them belong to no convolution",
    ),
]


@pytest.mark.parametrize(("fault", "words"), RUNS + LAYERS)
def test_fault_is_found(fault, words):
    first, second = (checks.basic_block(fault, projection=False) for _ in range(2))
    assert not first
    assert words in first.fault
    assert repr(first) == repr(second)
    assert "0x" not in repr(first)


def test_layers_in_a_list_get_their_hint():
    assert "list" in checks.basic_block(Listed).hint
    assert "list" not in checks.basic_block(Functional).hint

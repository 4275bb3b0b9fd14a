"""Faults in a whole network's blocks and in its training, each planted."""

import pytest
import torch
import torch.nn.functional as F
from plant import Block, Net, conv, forward, net, replaced, way
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import resnet_checks as checks
from resnet_lib import blocks

BLOCKS = (2, 1, 1, 1)


def at(number, function):
    """The network in which one block computes something else."""

    def change(made):
        made.body[number].__class__ = forward(function)

    return net(change)


def plain(c_in, c_out, stride):
    return blocks.BasicBlock(c_in, c_out, stride, residual=False)


def no_relu(block, x):
    return block.branch(x) + block.way(x)


def detached(block, x):
    return F.relu(block.branch(x) + block.way(x).detach())


def cut_branch(block, x):
    return F.relu(block.branch(x).detach() + block.way(x))


def detached_where_shapes_agree(block, x):
    way = block.way(x) if len(block.way) else x.detach()
    return F.relu(block.branch(x) + way)


def detached_projection(block, x):
    way = block.way(x).detach() if len(block.way) else x
    return F.relu(block.branch(x) + way)


def frozen_trunk(made, x):
    with torch.no_grad():
        x = made.stem(x)
        for block in made.body[:3]:
            x = block(x)
    for block in made.body[3:]:
        x = block(x)
    return made.head(x)


def frozen_stem(made, x):
    with torch.no_grad():
        x = made.stem(x)
    return made.head(made.trunk(x))


def pre_activation(c_in, c_out, stride):
    """The later order: batch norm and ReLU stand before each convolution."""

    class Later(Block):
        def __init__(self):
            super().__init__(c_in, c_out, stride)
            self.na = nn.BatchNorm2d(c_in)

        def forward(self, x):
            return self.b(F.relu(self.nb(self.a(F.relu(self.na(x)))))) + self.way(x)

    return Later()


class NeverTrains(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(False)


WIRING = [
    (net(block=plain), "No block has a shortcut: this is the plain network"),
    (
        at(1, lambda block, x: F.relu(block.branch(x))),
        "There is no shortcut in stage 1, block 2: it puts out ReLU(F(x)) alone",
    ),
    (at(2, lambda block, x: F.relu(block.branch(x))), "There is no shortcut in stage 2, block 1"),
    (at(4, lambda block, x: F.relu(block.branch(x))), "There is no shortcut in stage 4, block 1"),
    (net(block=forward(no_relu)), "Stage 1, block 1: The ReLU after the addition is missing"),
    (at(4, no_relu), "Stage 4, block 1: The ReLU after the addition is missing"),
    (
        at(4, lambda block, x: F.relu(block.branch(x)) + block.way(x)),
        "Stage 4, block 1: The addition comes after the last ReLU",
    ),
    (
        at(0, lambda block, x: F.relu(block.branch(x) - x)),
        "Stage 1, block 1: A sign is wrong: the result is ReLU(F(x) − x)",
    ),
    (at(1, lambda block, x: F.relu(block.branch(x) + 2 * x)), "shortcut is counted twice"),
    (
        at(4, lambda block, x: F.relu(block.branch(x) + 2 * block.way(x))),
        "Stage 4, block 1: The shortcut is counted twice",
    ),
    (
        at(1, lambda block, x: F.relu(block.nb(block.b(block.na(block.a(x)))) + x)),
        "Stage 1, block 2: The ReLU in the middle is missing",
    ),
    (at(1, lambda block, x: F.gelu(block.branch(x) + x)), "The last activation is GELU"),
]

LAYERS = [
    (net(block=pre_activation), "A second norm stands before the first block's first convolution"),
    (
        net(lambda net: setattr(net.body[1].a, "padding_mode", "reflect")),
        "Stage 1, block 2: The first convolution pads with other values than zeros",
    ),
    (
        net(lambda net: weight_norm(net.body[0].b)),
        "Stage 1, block 1: The weight of the second convolution is computed anew in each run",
    ),
    (net(block=way(lambda i, o, s: conv(i, o, s, 1))), "no batch norm after the projection"),
    (
        net(block=way(lambda i, o, s: conv(i, o, s), lambda i, o, s: nn.BatchNorm2d(o))),
        "Stage 2, block 1: The projection has a 3×3 kernel",
    ),
    (
        net(lambda net: setattr(net.body[1], "way", blocks.make_shortcut(64, 64, shortcut="C"))),
        "Stage 1, block 2: The shortcut holds a convolution although the shapes agree",
    ),
    (
        net(block=lambda *a: blocks.BasicBlock(*a, shortcut="A")),
        "Stage 2, block 1: The shortcut takes every second value and pads with zeros",
    ),
    (
        net(lambda net: setattr(net.body[3], "b", conv(256, 256, bias=True))),
        "Stage 3, block 1: The second convolution has a bias",
    ),
    (
        net(lambda net: setattr(net.body[1], "na", nn.Identity())),
        "Stage 1, block 2: There is no batch norm after the first convolution",
    ),
    (
        net(block=replaced(a=lambda i, o, s: conv(i, o), b=lambda i, o, s: conv(o, o, s))),
        "Stage 2, block 1: The stride stands on the second convolution",
    ),
    (
        net(block=replaced(a=lambda i, o, s: conv(i, o, s, 5))),
        "Stage 1, block 1: The first convolution has a 5×5 kernel",
    ),
]


def still(made):
    made.body[1].nb.momentum = 0.0


def copied_statistics(block, x):
    n = block.na
    mean, var = n.running_mean.clone(), n.running_var.clone()
    h = F.batch_norm(block.a(x), mean, var, n.weight, n.bias, block.training)
    return F.relu(block.nb(block.b(F.relu(h))) + block.way(x))


def written_in_eval(made, x):
    scores = Net.forward(made, x)
    if not made.training:
        made.nstart.running_mean.mul_(0.9)
    return scores


TRAINING = [
    (
        net(still),
        "Stage 1, block 2: The running statistics of the batch norm after the second convolution "
        "do not move in train mode",
    ),
    (
        at(2, copied_statistics),
        "Stage 2, block 1: The running statistics of the batch norm after the first convolution "
        "are copies",
    ),
    (
        net(forward=written_in_eval),
        "In eval mode: Stem: The running statistics of the batch norm after the first convolution "
        "change in eval mode",
    ),
    (net(lambda net: setattr(net, "spare", nn.Linear(3, 3))), "12 of them belong to no convolu"),
    (
        net(lambda net: setattr(net.body[1], "na", NeverTrains(64))),
        "Stage 1, block 2: In train mode the batch norm after the first convolution uses running",
    ),
    (
        net(lambda net: setattr(net, "nstart", nn.BatchNorm2d(64, track_running_stats=False))),
        "In eval mode the batch norm after the first convolution still uses the batch's own",
    ),
    (
        net(
            forward=lambda net, x: Net.forward(net, x) if net.training else net.head(net.stem(x)),
        ),
        "In eval mode: ",
    ),
    (net(block=forward(detached)), "No gradient passes through the shortcuts."),
    (at(1, detached), "No gradient passes through the shortcut in stage 1, block 2"),
    (at(3, detached), "No gradient passes through the projection in stage 3, block 1"),
    (net(block=forward(detached_projection)), "No gradient passes through the projections"),
    (
        net(block=forward(detached_where_shapes_agree)),
        "No gradient passes through the shortcuts where the shapes agree",
    ),
    (at(1, cut_branch), "No gradient passes through the branch in stage 1, block 2"),
    (net(block=forward(cut_branch)), "No gradient passes through the branches"),
    (
        net(forward=frozen_trunk),
        "No gradient reaches the layers in the stem to stage 2, block 1",
    ),
    (net(forward=frozen_stem), "No gradient reaches the layers in the stem: they would not"),
    (net(forward=lambda net, x: Net.forward(net, x).detach()), "reaches any parameter"),
    (
        net(trunk=lambda net, x: (lambda y: (y + y.detach()) / 2)(Net.trunk(net, x))),
        "The gradient is not that of the network's formula",
    ),
]


@pytest.mark.parametrize(("make", "words"), WIRING + LAYERS + TRAINING)
def test_fault_is_found(make, words):
    report = checks.network(make, BLOCKS)
    assert not report
    assert words in report.fault


def test_unregistered_classifier_is_found():
    def change(made):
        layer = made.out
        del made.out
        made.out = lambda x: layer(x)

    assert "classifier's weights are not registered" in checks.network(net(change), BLOCKS).fault


def test_block_class_is_the_right_one():
    assert checks.network(lambda n: Net(n, (1, 1, 1, 1), Block), (1, 1, 1, 1))

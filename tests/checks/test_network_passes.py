"""`checks.network` passes every right network, however it is written, and leaves it as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from plant import WIDTHS, Block, Net, conv, net
from torch import nn
from torch.utils.checkpoint import checkpoint

import resnet_checks as checks
from resnet_lib import blocks, nets

RESNET34 = (3, 4, 6, 3)


def one_sequential(n):
    body, before = [], 64
    for width in WIDTHS:
        for stride in (2 if width > 64 else 1, 1):
            body.append(blocks.BasicBlock(before, width, stride))
            before = width
    return nn.Sequential(
        conv(3, 64, 2, 7),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        *body,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, n),
    )


class Functional(nn.Module):
    """Weights in a list of parameters, every layer a function."""

    def __init__(self, n):
        super().__init__()
        self.w = nn.ParameterList()
        for width, before in zip(WIDTHS, (64, *WIDTHS), strict=False):
            step = 1 if width == 64 else 2
            self.add(width, before, 3, step)
            self.add(width, width, 3, 1)
            if step == 2:
                self.add(width, before, 1, step)
        self.first = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.weight, self.bias = nn.Parameter(torch.rand(n, 512)), nn.Parameter(torch.rand(n))

    def add(self, c_out, c_in, k, step):
        self.w.extend([torch.rand(c_out, c_in, k, k), torch.ones(c_out), torch.zeros(c_out)])
        number = len(self.w) - 3
        self.register_buffer(f"m{number}", torch.zeros(c_out))
        self.register_buffer(f"v{number}", torch.ones(c_out))

    def layer(self, i, x, step=1):
        weight, scale, shift = self.w[3 * i], self.w[3 * i + 1], self.w[3 * i + 2]
        x = F.conv2d(x, weight, stride=step, padding=weight.shape[-1] // 2)
        mean, var = getattr(self, f"m{3 * i}"), getattr(self, f"v{3 * i}")
        return F.batch_norm(x, mean, var, scale, shift, self.training)

    def forward(self, x):
        x = F.max_pool2d(self.norm(self.first(x)), 3, 2, 1).relu()
        x = F.relu(self.layer(1, F.relu(self.layer(0, x))) + x)
        for i in (2, 5, 8):
            s = self.layer(i + 2, x, 2)
            x = F.relu(self.layer(i + 1, F.relu(self.layer(i, x, 2))) + s)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return F.linear(torch.flatten(x, 1), self.weight, self.bias)


def by_keyword(depth):
    return lambda n: getattr(torchvision.models, f"resnet{depth}")(num_classes=n)


def zeroed(n):
    """Starts as if every block were the identity."""
    return nets.zero_gamma(nets.resnet18(n))


def frozen(n):
    return nets.resnet18(n).requires_grad_(False)


def second_argument(in_channels=3, num_classes=10):
    return nets.resnet18(num_classes, in_channels)


class Checkpointed(Block):
    """Its branch is computed again in the backward pass, by the older kind of checkpoint."""

    def branch(self, x):
        return checkpoint(super().branch, x, use_reentrant=True)


def linear_first(made, x):
    return made.out(x.permute(0, 2, 3, 1)).mean((1, 2))


def rows_first(made, x):
    rows = made.out(x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]))
    return rows.reshape(len(x), -1, rows.shape[1]).mean(1)


RIGHT = {
    "checkpoints": (net(block=Checkpointed), (2, 1, 1, 1)),
    "linear before the mean": (net(head=linear_first), (2, 1, 1, 1)),
    "linear before the mean, in rows": (net(head=rows_first), (2, 1, 1, 1)),
    "torchvision's": (by_keyword(18), (2, 2, 2, 2)),
    "torchvision's, called directly": (torchvision.models.resnet18, (2, 2, 2, 2)),
    "the library's": (nets.resnet18, (2, 2, 2, 2)),
    "torchvision's 34": (by_keyword(34), RESNET34),
    "the library's 34": (nets.resnet34, RESNET34),
    "other names": (lambda n: Net(n, (2, 2, 2, 2)), (2, 2, 2, 2)),
    "one Sequential": (one_sequential, (2, 2, 2, 2)),
    "functions only": (Functional, (1, 1, 1, 1)),
    "other stages": (lambda n: Net(n, (1, 2, 1, 3)), [1, 2, 1, 3]),
    "hidden by its weights": (zeroed, (2, 2, 2, 2)),
    "frozen": (frozen, (2, 2, 2, 2)),
    "double precision": (lambda n: Net(n).double(), (2, 1, 1, 1)),
    "classes as the second argument": (second_argument, (2, 2, 2, 2)),
    "the image is detached": (
        net(forward=lambda net, x: Net.forward(net, x.detach())),
        (2, 1, 1, 1),
    ),
    "pooled by the size": (
        net(head=lambda net, x: net.out(F.avg_pool2d(x, x.shape[2:]).flatten(1))),
        (2, 1, 1, 1),
    ),
    "channels last": (lambda n: Net(n).to(memory_format=torch.channels_last), (2, 1, 1, 1)),
    "in eval mode": (lambda n: Net(n).eval(), (2, 1, 1, 1)),
}


@pytest.mark.parametrize(("make", "blocks"), RIGHT.values(), ids=RIGHT.keys())
def test_right_network_passes(make, blocks):
    report = checks.network(make, blocks)
    assert report.passed, report.fault
    assert report.hint is None


def test_report_says_what_was_seen():
    said = "\n".join(checks.network(nets.resnet18).passed_checks)
    parameters = sum(p.numel() for p in nets.resnet18(7).parameters())
    assert "17 convolutions on the main path" in said
    assert "8 basic blocks, 3 of them with a projection" in said
    assert "64 channels of 16×24, 128 of 8×12, 256 of 4×6, 512 of 2×3" in said
    assert f"{parameters} parameters, all of them used" in said


@pytest.mark.parametrize("fault", [False, True])
def test_network_is_left_as_it_was(fault):
    made = Net(7).train(False)
    made.nstart.train()
    made.out.bias.requires_grad_(False)
    made.out.weight.grad = torch.ones_like(made.out.weight)
    before, modes = copy.deepcopy(made.state_dict()), [m.training for m in made.modules()]
    random = torch.get_rng_state()
    if fault:
        made.body[4].__class__ = type("Raises", (Block,), {"forward": lambda block, x: x.nothing})
    assert bool(checks.network(lambda _: made, (2, 1, 1, 1))) is not fault
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert [m.training for m in made.modules()] == modes
    assert made.start.weight.requires_grad
    assert not made.out.bias.requires_grad
    assert torch.equal(made.out.weight.grad, torch.ones_like(made.out.weight))
    assert made.start.weight.grad is None
    assert torch.equal(torch.get_rng_state(), random)


def test_verdict_is_the_same_twice():
    one, two = checks.network(Net), checks.network(Net)
    assert repr(one) == repr(two)

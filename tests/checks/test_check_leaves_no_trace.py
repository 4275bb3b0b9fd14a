"""A check changes neither what it checks nor the surroundings, and always says the same."""

import copy
import random

import pytest
import torch
from plant import Block, Net, forward
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks

ALL = [
    checks.basic_block,
    checks.bottleneck,
    checks.network,
    checks.residual_formula,
    checks.shortcut,
]


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return self.branch(x) + x


@forward
def raises_late(block, x):
    block.branch(x)
    raise RuntimeError(f"no such thing as {object()}")


def state(block):
    tensors = {name: t.clone() for name, t in block.state_dict().items()}
    return tensors, [module.training for module in block.modules()]


@pytest.mark.parametrize("make", [Block, raises_late, forward(lambda block, x: block.branch(x))])
@pytest.mark.parametrize("training", [True, False])
def test_block_is_left_as_it_was(make, training):
    block = make(4, 4, 1).train(training)
    block.na.eval()
    block.a.weight.grad = torch.ones_like(block.a.weight)
    tensors, modes = copy.deepcopy(state(block))
    versions = {name: id(t) for name, t in block.named_buffers()}
    checks.basic_block(lambda *_: block, projection=False)
    assert state(block)[1] == modes
    for name, value in state(block)[0].items():
        assert torch.equal(value, tensors[name]), name
    assert versions == {name: id(t) for name, t in block.named_buffers()}
    assert torch.equal(block.a.weight.grad, torch.ones_like(block.a.weight))
    assert block.b.weight.grad is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in block.modules())


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("make", [Block, Residual, raises_late, Net, blocks.make_shortcut])
def test_surroundings_are_left_as_they_were(check, make):
    before, python = torch.get_rng_state(), random.getstate()
    threads = torch.get_num_threads()
    with torch.no_grad():
        check(make)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("check", ALL)
def test_prints_of_the_reader_do_not_bury_the_report(check, capsys):
    def make(*arguments):
        print("here")
        return forward(lambda block, x: print("there"))(4, 4)

    assert not check(make)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("grad", [True, False])
def test_verdict_does_not_depend_on_the_surroundings(grad):
    torch.manual_seed(1)
    first = checks.basic_block(Block)
    torch.manual_seed(2)
    with torch.set_grad_enabled(grad):
        assert checks.basic_block(Block) == first


@pytest.mark.parametrize("make", [Block, raises_late])
def test_verdict_is_the_same_twice(make):
    first, second = checks.basic_block(make), checks.basic_block(make)
    assert repr(first) == repr(second)
    assert "0x" not in repr(first)

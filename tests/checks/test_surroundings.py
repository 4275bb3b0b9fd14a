"""Blocks run as in training, and whatever they raise, or put out, becomes a report."""

import threading
import time

import pytest
import torch
import torch.nn.functional as F
from plant import Block, conv, forward, layers, replaced, way
from torch import nn
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

import resnet_checks as checks
from resnet_checks import limits


@forward
def keeps_gradient(block, x):
    f = block.branch(x)
    if block.training:
        f.retain_grad()
    return F.relu(f + block.way(x))


@forward
def hooked(block, x):
    f = block.branch(x)
    if block.training:
        f.register_hook(lambda gradient: None)
    return F.relu(f + block.way(x))


@forward
def reentrant(block, x):
    return F.relu(checkpoint(block.branch, x, use_reentrant=True) + block.way(x))


@forward
def mixed_precision(block, x):
    with torch.autocast("cpu", torch.bfloat16):
        return F.relu(block.branch(x) + block.way(x))


class Convolution(nn.Conv2d):
    def forward(self, x):
        two = self.stride, self.padding, self.dilation
        return torch.convolution(x, self.weight, None, *two, False, (0, 0), 1)


def with_convolution(c_in, c_out, stride):
    return Convolution(c_in, c_out, 3, stride, 1, bias=False)


RIGHT = {
    "keeps a gradient": keeps_gradient,
    "hooked": hooked,
    "reentrant checkpoint": reentrant,
    "mixed precision": mixed_precision,
    "half": lambda *a: Block(*a).to(torch.float16),
    "bfloat16": lambda *a: Block(*a).bfloat16(),
    "torch.convolution": replaced(a=with_convolution),
    "compiled": lambda *a: torch.compile(Block(*a)),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT.keys())
def test_right_block_passes(make):
    report = checks.basic_block(make)
    assert report.passed, report.fault


def test_autocast_around_the_check_changes_nothing():
    with torch.autocast("cpu", torch.bfloat16):
        assert checks.basic_block(Block)


def cropped(height, width):
    """Right where height and width are multiples of these."""

    @forward
    def crop(block, x):
        out = Block.forward(block, x)
        return out[..., : x.shape[2] // height * height, : x.shape[3] // width * width]

    return crop


@pytest.mark.parametrize("crop", [cropped(2, 1), cropped(1, 2), cropped(2, 2)])
def test_block_that_is_right_for_even_sizes_alone_is_found(crop):
    fault = checks.basic_block(crop, projection=False).fault
    assert fault.startswith("For an input of 7×5: The output has the shape")


def momentum_zero(block, *_):
    block.nb.momentum = 0.0


def on_copies(block, x):
    n = block.na
    mean, var = n.running_mean.clone(), n.running_var.clone()
    h = F.batch_norm(block.a(x), mean, var, n.weight, n.bias, block.training)
    return F.relu(block.nb(block.b(F.relu(h))) + block.way(x))


def swapped(block, x):
    n = block.na
    h = F.batch_norm(block.a(x), n.running_var, n.running_mean, n.weight, n.bias, block.training)
    return F.relu(block.nb(block.b(F.relu(h))) + block.way(x))


def built_anew(block, x):
    way = conv(4, 8, 2, 1) if x.shape[1] == 4 and block.a.stride == (2, 2) else None
    if way is None:
        return Block.forward(block, x)
    return F.relu(block.branch(x) + block.way[1](way(x)))


def built_late(block, x):
    if not hasattr(block, "late"):
        block.late = conv(4, 4)
    return F.relu(block.nb(block.late(block.half(x))) + block.way(x))


def cut_weight(block, x):
    h = F.conv2d(block.half(x), block.b.weight.detach(), padding=1)
    return F.relu(block.nb(h) + block.way(x))


def cut_scale(block, x):
    n = block.nb
    h = F.batch_norm(
        block.b(block.half(x)), n.running_mean, n.running_var, n.weight.detach(), n.bias, n.training
    )
    return F.relu(h + block.way(x))


def standardised(block, x):
    w = block.b.weight
    h = F.conv2d(block.half(x), (w - w.mean()) / w.std(), padding=1)
    return F.relu(block.nb(h) + block.way(x))


def pruned(*sizes):
    block = Block(*sizes)
    prune.random_unstructured(block.a, "weight", 0.3)
    return block


def written_in_eval(block, x):
    if not block.training:
        block.nb.running_mean.mul_(0.9)
    f = block.branch(x)
    if not block.training:
        block.nb.running_var.mul_(0.9)
    return F.relu(f + block.way(x))


STATE = [
    (forward(written_in_eval), "second convolution change in eval mode"),
    (layers(momentum_zero), "statistics of the batch norm after the second convolution do not mo"),
    (forward(on_copies), "statistics of the batch norm after the first convolution are copies"),
    (forward(swapped), "running mean and its running variance in the wrong order"),
    (forward(built_anew), "A convolution is built anew in each forward pass"),
    (forward(built_late), "The parameter `late.weight` is created in the first forward pass"),
    (forward(cut_weight), "weight of the second convolution is cut off from its parameter"),
    (forward(cut_scale), "weight of the batch norm after the second convolution is cut off"),
    (forward(standardised), "weight of the second convolution is computed anew in each run"),
    (pruned, "weight of the first convolution is computed anew in each run"),
    (way(lambda i, o, s: conv(i, o, s, 1, bias=True)), "no batch norm after the projection"),
]


class Unspeakable(Exception):
    def __str__(self):
        raise ValueError


def raising(error):
    def raises(*_):
        raise error

    return raises


HOSTILE = [
    (raising(SystemExit("bye")), "make(4, 4, 1) raises SystemExit: bye"),
    (raising(Unspeakable()), "make(4, 4, 1) raises Unspeakable: its message cannot be read"),
    (forward(raising(SystemExit(3))), "The forward pass raises SystemExit: 3"),
    (forward(raising(Unspeakable())), "The forward pass raises Unspeakable: its message cannot"),
    (lambda *a: Block(*a).to("meta"), "parameters are on the meta device"),
    (forward(lambda block, x: Block.forward(block, x).to("meta")), "tensor that is on the meta d"),
    (forward(lambda block, x: torch.nested.nested_tensor([x[0], x[1]])), "a tensor that is nested"),
    (forward(lambda block, x: Block.forward(block, x).to_sparse()), "a tensor that is sparse"),
    (lambda *a: torch.jit.script(nn.Conv2d(4, 4, 3)), "returned TorchScript"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "words"), STATE + HOSTILE)
def test_fault_is_found(make, words):
    report = checks.basic_block(make)
    assert not report
    assert words in report.fault
    assert words in repr(report)


SUMS = [
    (lambda f, s: F.relu((f + s) / 2**0.5), "the result is ReLU(0.707·F(x) + 0.707·x)"),
    (lambda f, s: F.relu(f / 3 + s), "the result is ReLU(0.333·F(x) + x)"),
    (lambda f, s: f / 3 + s / 7, "the result is 0.333·F(x) + 0.143·x"),
    (lambda f, s: F.relu(1.0005 * f + s), "the result is ReLU(1.0005·F(x) + x)"),
    (lambda f, s: F.relu(f + f), "x has no part in the result, which is ReLU(2·F(x))"),
    (lambda f, s: F.leaky_relu(f + s, 0.3), "The last activation is leaky ReLU with slope 0.3"),
    (lambda f, s: F.gelu(f + s, approximate="tanh"), "is GELU, approximated by tanh"),
    (lambda f, s: F.prelu(f + s, torch.tensor([0.1, 0.2, 0.3, 0.4])), "activation is PReLU"),
]


@pytest.mark.parametrize(("total", "words"), SUMS)
def test_end_of_the_block_is_explained(total, words):
    make = forward(lambda block, x: total(block.branch(x), block.way(x)))
    assert words in checks.basic_block(make, projection=False).fault


def never_ends(*_):
    while True:
        pass


def waits(*_):
    time.sleep(600)


@pytest.mark.parametrize("code", [never_ends, waits])
@pytest.mark.parametrize("where", ["make", "forward"])
def test_code_that_does_not_end_is_stopped(code, where, monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.3)
    monkeypatch.setattr(limits, "LONG", 0.3)
    report = checks.basic_block(code if where == "make" else forward(code))
    assert "takes longer than 0.3 seconds: it does not seem to end" in report.fault


def test_other_threads_have_the_limit_too(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.3)
    reports = []
    thread = threading.Thread(
        target=lambda: reports.append(checks.basic_block(forward(never_ends)))
    )
    thread.start()
    thread.join()
    assert "does not seem to end" in reports[0].fault


def test_loop_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.3)
    for check in (checks.evaluation_loop, checks.training_step, checks.accumulation):
        assert "The call takes longer than 0.3 seconds" in check(never_ends).fault


def test_step_that_sets_the_default_device_passes_twice():
    def step(model, optimizer, images, labels):
        torch.set_default_device("cpu")
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    try:
        for _ in range(2):
            report = checks.training_step(step)
            assert report.passed, report.fault
    finally:
        torch.set_default_device(None)


def test_bottleneck_that_takes_every_second_value_first_passes():
    from test_bottleneck import Narrow

    class Subsampled(Narrow):
        strided = None

        def __init__(self, c_in, c_out, stride):
            super().__init__(c_in, c_out, stride)
            self.step_size = stride

        def projection(self, c_in, c_out, stride):
            return super().projection(c_in, c_out, 1)

        def forward(self, x):
            return super().forward(x[:, :, :: self.step_size, :: self.step_size])

    report = checks.bottleneck(Subsampled)
    assert report.passed, report.fault

"""Evaluation: sums by hand, and a network that is as it was."""

from dataclasses import astuple

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from toy_models import MODELS, build, state
from toy_training import BATCH, cnn, held_out, task

from resnet_lib.data import Batches
from resnet_lib.train import Evaluation, World, evaluate

WITHOUT_SCORES = {"transformer", "lstm", "dictionary"}  # their outputs are no (N, K)


def by_hand(model, images, labels):
    """Mean of -log softmax at the label, and the share of right answers, in double precision."""
    with torch.no_grad():
        scores = model.eval()(images).double()
    losses = scores.exp().sum(1).log() - scores[torch.arange(len(labels)), labels]
    return losses.mean().item(), (scores.argmax(1) == labels).double().mean().item()


def numbers(found):
    return found.loss, found.accuracy, found.samples


class Scores(nn.Module):
    """Hands on its input, (N, K, 1, 1), as scores."""

    def forward(self, x):
        return x.flatten(1)


@pytest.mark.parametrize("size", [1, 4, 5, 9, 10, 100])
def test_averages_are_over_samples(size):
    net = cnn(seed=4)
    net.train()(task()[0])  # gives batch norm statistics of its own
    found = evaluate(net, held_out(size))
    loss, accuracy = by_hand(net, *task(10, seed=1))
    assert 0 < accuracy < 1
    assert found == Evaluation(pytest.approx(loss, rel=1e-6), accuracy, 10)


def test_short_last_batch_counts_for_what_it_holds():
    """Three right answers, then one wrong: the mean over the two batches would be one half."""
    scores = torch.tensor([[4.0, 0], [4, 0], [4, 0], [4, 0]]).view(4, 2, 1, 1)
    labels = torch.tensor([0, 0, 0, 1])
    found = evaluate(Scores(), Batches(scores, labels, 3))
    right, wrong = torch.tensor([-4.0, 4.0]).exp().log1p().tolist()
    assert found == Evaluation(pytest.approx((3 * right + wrong) / 4, rel=1e-6), 0.75, 4)
    assert [type(value) for value in astuple(found)[:3]] == [float, float, int]


def test_batches_may_come_from_anywhere():
    net, (images, labels) = cnn(), task()
    expected = evaluate(net, Batches(images, labels, BATCH))
    pairs = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    loader = DataLoader(TensorDataset(images, labels), BATCH)
    shuffled = DataLoader(TensorDataset(images, labels), 5, shuffle=True)
    assert evaluate(net, pairs) == expected
    assert evaluate(net, (pair for pair in pairs)) == expected
    assert evaluate(net, loader) == expected
    assert numbers(evaluate(net, shuffled)) == pytest.approx(numbers(expected), rel=1e-6)


@pytest.mark.parametrize("name", [n for n in MODELS if n not in WITHOUT_SCORES])
def test_network_is_as_it_was(name):
    model, inputs = build(name)
    model.train()
    for module in list(model.modules())[1::2]:
        module.training = False  # some frozen in eval mode
    before = state(model)
    outputs = model.eval()(inputs)
    model.train()
    for module, mode in zip(model.modules(), before["modes"], strict=True):
        module.training = mode
    labels = torch.zeros(len(outputs), dtype=torch.int64)
    evaluate(model, [(inputs, labels), (inputs, labels)])
    assert state(model) == before


class Fails(nn.Module):
    """Fails at its second batch."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls = cnn(), 0
        self.inner[1].eval()

    def forward(self, x):
        assert not self.training
        assert not self.inner.training
        assert not torch.is_grad_enabled()
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("broken on purpose")
        return self.inner(x)


def test_modes_come_back_after_an_error():
    model = Fails()
    before = state(model)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        evaluate(model, held_out())
    assert state(model) == before


def test_modes_come_back_after_an_error_in_the_loader():
    def broken():
        yield task()
        raise OSError("the disk is gone")

    model = cnn()
    before = state(model)
    with pytest.raises(OSError, match="the disk is gone"):
        evaluate(model, broken())
    assert state(model) == before


def test_no_sample_is_an_error():
    for empty in ([], iter(()), [(torch.rand(0, 1, 6, 6), torch.zeros(0, dtype=torch.int64))]):
        with pytest.raises(ValueError, match="batches must hold at least one sample, got none"):
            evaluate(cnn(), empty)


def test_unknown_precision_is_an_error():
    with pytest.raises(ValueError, match="precision must be one of auto, fp32, bf16, fp16, got 'half'"):
        evaluate(cnn(), held_out(), precision="half")


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.half)])
def test_half_precision_is_that_of_autocast(precision, dtype):
    net = cnn(seed=4)
    images, labels = task()
    found = evaluate(net, [(images, labels)], precision=precision)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        scores = net.eval()(images)
    assert scores.dtype == dtype
    loss, accuracy = by_hand(nn.Identity(), scores, labels)
    assert found == Evaluation(pytest.approx(loss, rel=1e-6), accuracy, 22)
    assert found.loss != evaluate(net, [(images, labels)]).loss


def test_channels_last_lays_the_images_out():
    seen = []

    class Looks(nn.Sequential):
        def forward(self, x):
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return super().forward(x)

    torch.manual_seed(0)
    net = Looks(nn.Conv2d(3, 3, 4), nn.Flatten())
    pair = torch.rand(5, 3, 4, 4), torch.arange(5) % 3
    plain = evaluate(net, [pair])
    laid_out = evaluate(net, [pair], channels_last=True)
    assert seen == [False, True]
    assert numbers(laid_out) == pytest.approx(numbers(plain), rel=1e-6)


def test_double_precision_is_kept():
    """Scores that float32 cannot tell apart: the second class wins by 1e-12."""
    scores = torch.tensor([[1.0, 1.0 + 1e-12]], dtype=torch.float64).view(1, 2, 1, 1)
    found = evaluate(Scores(), [(scores, torch.tensor([1]))])
    assert found.accuracy == 1
    loss, _ = by_hand(Scores(), scores, torch.tensor([1]))
    assert found.loss == pytest.approx(loss, rel=1e-14, abs=0)


def test_infinite_loss_is_reported_not_hidden():
    scores = torch.tensor([[0.0, torch.inf], [1, 0]]).view(2, 2, 1, 1)
    found = evaluate(Scores(), Batches(scores, torch.tensor([0, 0]), 1))
    assert found.loss != found.loss or found.loss == float("inf")
    assert found.accuracy == 0.5


def test_world_may_be_given():
    world = World(torch.device("cpu"))
    assert evaluate(cnn(), held_out(), world=world) == evaluate(cnn(), held_out())

"""Networks of one kind, depth, seed and training, for the experiment on the loss surface."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count, islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from bench.numbers import significant
from resnet_lib import data, nets

BATCH = 128
TRIES = 4  # of numbers of updates, for a training loss


def matched(
    network: str,
    seed: int,
    most: int,
    rate: float,
    loss: Callable[[nn.Module], float],
    target: float,
) -> tuple[nn.Module, int]:
    """The network and its number of updates, up to `most`, with a loss near to the target.

    The number is halved in, on a logarithmic scale; of what was tried, the nearest is taken.
    """
    low, high, tried = min(4, most), most, {}
    for _ in range(TRIES):
        updates = round(math.sqrt(low * high))
        model, _ = learned(network, seed, updates, rate)
        found = loss(model)
        tried[abs(math.log(found / target))] = model, updates
        low, high = (updates, high) if found > target else (low, updates)
    return tried[min(tried)]


@lru_cache(maxsize=2)  # one that is matched to another comes next but one after it
def learned(network: str, seed: int, updates: int, rate: float) -> tuple[nn.Module, list[Tensor]]:
    """The network trained on the digits, and its weights at the start and after each epoch."""
    model, found = new(network, seed), data.digits()
    batches = data.Batches(
        found.train_images,
        found.train_labels,
        BATCH,
        shuffle=True,
        transform=found.normalize,
        seed=seed,
    )
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    plan, way = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates), [flat(model)]
    for update, (x, labels) in enumerate(islice(endless(batches), updates), start=1):
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        plan.step()
        if update % len(batches) == 0:
            way.append(flat(model))
    return model, way


def new(network: str, seed: int) -> nn.Module:
    """The network at its start, for the digits."""
    torch.manual_seed(seed)
    kind, depth = network[:-2], int(network[-2:])
    return nets.CifarResNet(depth, in_channels=1, residual=kind == "resnet")


@torch.no_grad()
def with_lengths_of(model: nn.Module, start: nn.Module) -> nn.Module:
    """A copy, each filter of each convolution as long as that of `start`.

    Batch norm makes up for it, so that the copy is the same function in other units.
    """
    model = copy.deepcopy(model)
    for part, first in zip(model.modules(), start.modules(), strict=True):
        if isinstance(part, nn.Conv2d):
            lengths = [one.weight.flatten(1).norm(dim=1) for one in (first, part)]
            part.weight *= (lengths[0] / lengths[1])[:, None, None, None]
    return model


def endless(batches: data.Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch."""
    for epoch in count():
        batches.set_epoch(epoch)
        yield from batches


def flat(model: nn.Module) -> Tensor:
    """All weights of convolutions and the classifier, without biases and batch norm's."""
    return parameters_to_vector(p.detach().clone() for p in model.parameters() if p.dim() > 1)


def trajectory(way: list[Tensor]) -> dict:
    """The way by its principal components."""
    rows = torch.stack(way).double()
    rows = rows - rows.mean(dim=0)
    values, vectors = torch.linalg.eigh(rows @ rows.T)  # as many as rows, smallest first
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    points = vectors[:, :2] * values[:2].sqrt()
    shares = values[:5] / values.sum()
    steps = rows.diff(dim=0).norm(dim=1)
    return {
        "steps": [significant(step) for step in steps.tolist()],
        "shares": [significant(share) for share in shares.tolist()],
        "points": [[significant(value) for value in point] for point in points.tolist()],
    }

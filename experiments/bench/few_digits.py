"""A small, hard task: few of scikit-learn's 8 × 8 digits to learn, many to be judged by.

Half of the digits, always the same ones, are tested on and serve for nothing else. From the other
half a seed draws those to learn from; what is left of it is held out, to choose by. So choosing and
testing never see the same digit, and every network that has a seed learns the same digits.
"""

import math
from collections.abc import Iterator
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib import data, train

IN_CHANNELS, SIZE = 1, 8
BATCH, TEST_BATCH = 50, 512
GUESSING = 90.0  # percent wrong
DECAY, MOMENTUM = 1e-4, 0.9


@cache
def digits() -> data.ImageData:
    """898 digits to learn from and choose by, 899 to test on."""
    return data.digits(test_fraction=0.5)


def parts(seed: int, pictures: int) -> tuple[Tensor, Tensor]:
    """The rows to learn from and those held out."""
    rows = torch.randperm(len(digits().train_images), generator=torch.Generator().manual_seed(seed))
    return rows[:pictures], rows[pictures:]


def training(
    model: nn.Module, rate: float, epochs: int, seed: int, pictures: int
) -> Iterator[float]:
    """Train in place, epoch by epoch, and yield each one's training error in percent.

    SGD with momentum, a rate that falls along a cosine over all epochs, digits shifted by up to a
    pixel. A loss that is not finite ends the training.
    """
    found, (rows, _) = digits(), parts(seed, pictures)
    images, labels, crop = found.train_images[rows], found.train_labels[rows], data.RandomCrop(1)
    optimizer = torch.optim.SGD(model.parameters(), rate, MOMENTUM, weight_decay=DECAY)
    steps = epochs * math.ceil(pictures / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        wrong = 0
        model.train()
        for batch in torch.randperm(pictures, generator=order).split(BATCH):
            scores = model(found.normalize(crop(images[batch])))  # (B, 10)
            loss = F.cross_entropy(scores, labels[batch])
            if not math.isfinite(loss.item()):
                return
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            wrong += (scores.argmax(dim=1) != labels[batch]).sum().item()
        yield round(100 * wrong / pictures, 2)


def held_out_error(model: nn.Module, seed: int, pictures: int) -> float:
    """Errors on the digits held out, in percent."""
    found, (_, rows) = digits(), parts(seed, pictures)
    return _error(model, found.train_images[rows], found.train_labels[rows])


def test_error(model: nn.Module) -> float:
    """Errors on the digits that are only tested on, in percent."""
    return _error(model, digits().test_images, digits().test_labels)


def _error(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        return GUESSING
    batches = data.Batches(images, labels, TEST_BATCH, transform=digits().normalize)
    return round(100 * (1 - train.evaluate(model, batches).accuracy), 2)

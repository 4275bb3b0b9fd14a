"""CIFAR-10 in place of the digits of few_digits.py, with the same names.

Its test images serve for nothing else. From its training images a seed draws those to learn from;
what is left of them is held out, to choose by.
"""

from contextlib import suppress
from functools import cache

import torch
from torch import Tensor, nn

from resnet_lib import data, train

IN_CHANNELS, SIZE = 3, 32
BATCH, TEST_BATCH = 128, 500
GUESSING = 90.0  # percent wrong
CPU = train.World(torch.device("cpu"))


@cache
def photographs() -> data.ImageData:
    """50,000 to learn from and choose by, 10,000 to test on."""
    return data.cifar10(download=False)


def parts(seed: int, pictures: int) -> tuple[Tensor, Tensor]:
    """The rows to learn from and those held out."""
    dice = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(photographs().train_images), generator=dice)
    return rows[:pictures], rows[pictures:]


def training(model: nn.Module, rate: float, epochs: int, seed: int, pictures: int) -> list[float]:
    """Train in place; return each epoch's training error in percent.

    As the short schedule of degradation.py: SGD with momentum, weight decay 0.0001, a one-cycle
    rate over all epochs, images shifted by up to four pixels and mirrored; bfloat16, channels-last.
    A loss that is not finite ends the training.
    """
    found, (rows, _) = photographs(), parts(seed, pictures)
    steps = nn.Sequential(data.RandomCrop(4), data.RandomFlip(), found.normalize)
    batches = data.Batches(
        found.train_images[rows], found.train_labels[rows], BATCH, shuffle=True, transform=steps,
        seed=seed,
    )  # fmt: skip
    config = train.TrainConfig(
        epochs=epochs, learning_rate=rate, schedule="onecycle", precision="bf16",
        channels_last=True, seed=seed,
    )  # fmt: skip
    course: list[float] = []

    def keep(epoch: dict) -> None:
        course.append(round(100 * (1 - epoch["train_accuracy"]), 2))

    with suppress(train.NonFiniteLoss):
        train.fit(model, batches, config=config, world=CPU, on_epoch=keep, progress=False)
    return course


def held_out_error(model: nn.Module, seed: int, pictures: int) -> float:
    """Errors on the photographs held out, in percent."""
    found, (_, rows) = photographs(), parts(seed, pictures)
    return _error(model, found.train_images[rows], found.train_labels[rows])


def test_error(model: nn.Module) -> float:
    """Errors on the photographs that are only tested on, in percent."""
    return _error(model, photographs().test_images, photographs().test_labels)


def _error(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        return GUESSING
    batches = data.Batches(images, labels, TEST_BATCH, transform=photographs().normalize)
    return round(100 * (1 - train.evaluate(model, batches).accuracy), 2)

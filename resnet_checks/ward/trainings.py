"""One training on the digits, taken apart so that each part can be exchanged for a faulty one."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib import data, nets, probes

__all__ = ["Course", "Parts", "Recipe", "digits_parts", "evaluate", "normalised", "step"]

FRESH = 360
"""Digits that no training sees and no test asks for: what a network is really worth."""


class Parts(NamedTuple):
    """Pixels (N, 1, 8, 8) as bytes and labels (N,): to train on, to test on, and kept fresh."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    fresh_images: Tensor
    fresh_labels: Tensor


@cache
def _digits() -> data.ImageData:
    return data.digits()


def digits_parts(number: int = 512) -> Parts:
    """The first `number` training digits, the 360 test digits, and 360 others."""
    digits = _digits()
    images, labels = digits.train_images, digits.train_labels
    test = digits.test_images, digits.test_labels
    return Parts(images[:number], labels[:number], *test, images[-FRESH:], labels[-FRESH:])


def normalised(pixels: Tensor) -> Tensor:
    """Bytes to numbers of mean 0 and deviation 1 over the training digits."""
    return _digits().normalize(pixels)


def resnet8() -> nn.Module:
    """ResNet-8 for one channel."""
    return nets.CifarResNet(8, in_channels=1)


def shuffled(labels: Tensor) -> Tensor:
    """Another order of the rows, (N,), for each epoch."""
    return torch.randperm(len(labels))


def unchanged(labels: Tensor) -> Tensor:
    """The labels as they came."""
    return labels


def step(model: nn.Module, optimizer, images: Tensor, labels: Tensor) -> float:
    """One step; returns the mean loss of the batch."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def evaluate(model: nn.Module, batches) -> tuple[float, float]:
    """Mean loss and accuracy over all samples, in eval mode; each module keeps its mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        found = scored(model, batches)
    for module, mode in modes:
        module.training = mode
    return found


def scored(model: nn.Module, batches) -> tuple[float, float]:
    """Mean loss and accuracy over all samples, in the mode the model is in."""
    loss, right, samples = 0.0, 0, 0
    for images, labels in batches:
        scores = model(images)
        loss += F.cross_entropy(scores, labels, reduction="sum").item()
        right += (scores.argmax(dim=1) == labels).sum().item()
        samples += len(labels)
    return loss / samples, right / samples


@dataclass(frozen=True)
class Recipe:
    """Every part of a training; the defaults are sound, and a fault replaces one of them.

    Attributes:
        build: makes the network; torch's global seed is set before.
        parts: what there is to train and to test on.
        prepare: from bytes (N, 1, 8, 8) to what the network is trained on.
        prepare_test: the same for the test.
        read: from the labels to those the training uses.
        order: from the labels to the order of the rows in an epoch, (N,).
        update: `update(model, optimizer, images, labels)` moves the weights, returns the loss.
        evaluate: `evaluate(model, batches)` returns loss and accuracy.
        rate: learning rate of SGD with a momentum of 0.9.
        epochs: passes over the training digits.
        batch: digits in a batch of the training.
        test_batch: digits in a batch of the test.
    """

    # Factories: a function as the default itself would stand as a method on the API page.
    build: Callable[[], nn.Module] = field(default_factory=lambda: resnet8)
    parts: Callable[[], Parts] = field(default_factory=lambda: digits_parts)
    prepare: Callable[[Tensor], Tensor] = field(default_factory=lambda: normalised)
    prepare_test: Callable[[Tensor], Tensor] = field(default_factory=lambda: normalised)
    read: Callable[[Tensor], Tensor] = field(default_factory=lambda: unchanged)
    order: Callable[[Tensor], Tensor] = field(default_factory=lambda: shuffled)
    update: Callable[..., float] = field(default_factory=lambda: step)
    evaluate: Callable[..., tuple[float, float]] = field(default_factory=lambda: evaluate)
    rate: float = 0.05
    epochs: int = 4
    batch: int = 32
    test_batch: int = 360

    def run(self, seed: int) -> "Course":
        """Train from this seed; torch's own generator stays as it was.

        An error of the model ends the training and is kept; so does a loss that is no number.
        """
        course = Course(self, self.parts(), seed, nn.Identity())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            course.model = self.build()
            try:
                _train(course)
            except RuntimeError as error:
                course.error = str(error)
        return course


@dataclass
class Course:
    """What a training has left.

    Attributes:
        recipe: what was done.
        parts: the digits it was done with.
        seed: what weights and order were drawn with.
        model: the network, in the mode the training left it in.
        losses: the loss of each batch.
        training: accuracy on the training digits, with the labels and pixels of the training.
        test: accuracy as the recipe's own evaluation says.
        test_loss: the same for the loss.
        error: what Python said where the training broke off, or None.
    """

    recipe: Recipe
    parts: Parts
    seed: int
    model: nn.Module
    losses: list[float] = field(default_factory=list)
    training: float = math.nan
    test: float = math.nan
    test_loss: float = math.nan
    error: str | None = None

    def at_the_start(self) -> nn.Module:
        """The network as it was before its training."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.recipe.build()

    @property
    def test_batch(self) -> tuple[Tensor, Tensor]:
        """The test digits as the recipe gives them to the network, and their labels."""
        return self.recipe.prepare_test(self.parts.test_images), self.parts.test_labels


def _train(course: Course) -> None:
    recipe, parts, model = course.recipe, course.parts, course.model
    images, labels = recipe.prepare(parts.images), recipe.read(parts.labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.rate, momentum=0.9)
    for _ in range(recipe.epochs):
        for rows in recipe.order(labels).split(recipe.batch):
            course.losses.append(recipe.update(model, optimizer, images[rows], labels[rows]))
            if not math.isfinite(course.losses[-1]):
                return
    _, course.training = evaluate(model, [(images, labels)])
    test, answers = course.test_batch
    batches = zip(test.split(recipe.test_batch), answers.split(recipe.test_batch), strict=True)
    with probes.preserved(model):  # a faulty test must not change what the probes find later
        course.test_loss, course.test = recipe.evaluate(model, batches)

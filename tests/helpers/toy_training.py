"""A task so small that a step takes a millisecond, and what the training tests look at."""

import os
import signal
import warnings

import torch
from torch import Tensor, nn

from resnet_lib.data import Batches, RandomCrop, RandomFlip
from resnet_lib.train import Checkpoints, TrainConfig, World, fit

CPU = World(torch.device("cpu"))
CLASSES = 3
# 22 images in batches of 8: the last one holds 6.
IMAGES, BATCH = 22, 8


def task(count: int = IMAGES, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 6, 6) with a bright row, whose number modulo 3 is the label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    images = torch.rand(count, 1, 6, 6, generator=generator)
    images[torch.arange(count), 0, labels] += 1
    return images, labels


def cnn(*, norm: bool = True, dropout: float = 0.2, seed: int = 0) -> nn.Sequential:
    """Two convolutions and a classifier, (N, 1, 6, 6) to (N, 3)."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3)]
    layers += [nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, CLASSES)]
    return nn.Sequential(*(one for one in layers if norm or not isinstance(one, nn.BatchNorm2d)))


def batches(*, augmented: bool = True, size: int = BATCH, count: int = IMAGES) -> Batches:
    transform = nn.Sequential(RandomCrop(1), RandomFlip()) if augmented else None
    return Batches(*task(count), size, shuffle=True, transform=transform)


def held_out(size: int = 4) -> Batches:
    return Batches(*task(10, seed=1), size)


def bits(model: nn.Module) -> dict[str, bytes]:
    """The weights and statistics, to the last bit."""
    return {
        name: value.detach().contiguous().view(-1).numpy().tobytes()
        for name, value in model.state_dict().items()
    }


def rows(history) -> list[dict]:
    """The history without its times."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]


def trained(config: TrainConfig | None = None, net: nn.Module | None = None, **options):
    """A network after training on the task, and the history."""
    net = cnn() if net is None else net
    given = {"train": batches(), "validation": held_out(), "progress": False} | options
    return net, fit(net, config=config or TrainConfig(epochs=2), **given)


def killed_and_resumed(folder, config: TrainConfig, at: int, make=cnn, **options):
    """The same, but the run dies in the middle of update `at` and is begun a second time."""

    class Killed(Exception):
        pass

    class Dying(Batches):
        seen = 0

        def __iter__(self):
            for batch in super().__iter__():
                self.seen += 1
                if self.seen == at:
                    raise Killed
                yield batch

    dying = batches()
    dying.__class__ = Dying
    checkpoints = Checkpoints(folder, **options)
    try:
        trained(config, make(), train=dying, checkpoints=checkpoints)
    except Killed:
        pass
    else:
        raise AssertionError(f"the run ended before update {at}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return trained(config, make(seed=99), checkpoints=checkpoints)


def interrupt(number: int = signal.SIGINT) -> None:
    """What Ctrl-C does, in the middle of what runs."""
    os.kill(os.getpid(), number)

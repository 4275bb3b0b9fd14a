"""What does each refinement of the training loop bring? One at a time, on few digits, many seeds.

The base is SGD with momentum, with a rate that falls along a cosine, and nothing else. Each row of
the record changes one thing in it. A seed draws the split of scikit-learn's 8 × 8 digits (300 to
train on, 1,497 to test on), the starting weights and the order of the images, so that a row and
the base can be compared seed by seed. Row by row:

  choosing   test errors by learning rate, with seeds that count nowhere else: at three rates, then
             at lower or higher ones, until the best has a worse neighbour on both sides
  rate       the one with the lowest mean; the base and the rows choose in the same way
  errors     the test error in percent after the last epoch, in eval mode, seed by seed
  settled    the same with batch norm's running statistics taken anew from the training images
  training   the training error of the last epoch, of the images as augmented
  epochs     how many epochs were trained

The last rows put refinements together. They were chosen after the others had been seen. So they,
and the base once more, are tested with seeds of their own. Of these, "crop, averaged" was added
after a first look at those seeds, and so were `settled` and the search for the rate.

A killed run goes on with the same command: each finished row is kept beside the record.
"""

import argparse
import sys
from itertools import product

import torch
from bench import case_by_case, digits_training
from torch import Tensor, nn

from resnet_lib import data, nets, train

SEED = 0
BATCH = 64
TEST_FRACTION = 0.833  # leaves 300 images to train on
CHOOSING = range(1000, 1008)  # seeds that choose the learning rate
AGAIN = 500  # added to the seeds of the rows that were chosen after the others

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
MIDDLE = {"sgd": 0.1, "adam": 0.01, "adamw": 0.01}  # this one and its neighbours are tried first
BASE = {"schedule": "cosine", "weight_decay": 0.0}
AUGMENTATIONS = {
    "crop": lambda: data.RandomCrop(1),
    "flip": lambda: data.RandomFlip(),
    "jitter": lambda: data.ColorJitter(brightness=0.4, contrast=0.4),
}
# What each row changes in the base: settings of TrainConfig, and those that `one_run` knows.
ROWS = {
    "base": {},
    "no momentum": {"momentum": 0.0},
    "Adam": {"optimizer": "adam"},
    "AdamW, decay 0.05": {"optimizer": "adamw", "weight_decay": 0.05},
    "constant rate": {"schedule": "constant"},
    "step schedule": {"schedule": "step"},
    "one-cycle schedule": {"schedule": "onecycle"},
    "warm-up, 3 epochs": {"warmup_epochs": 3.0},
    "weight decay 0.0001": {"weight_decay": 1e-4},
    "weight decay 0.0005": {"weight_decay": 5e-4},
    "weight decay 0.005": {"weight_decay": 5e-3},
    "0.005, not batch norm, biases": {"weight_decay": 5e-3, "decay_norm_and_bias": False},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "clipping at 1": {"clip_norm": 1.0},
    "averaged weights": {"ema_decay": 0.98},
    "constant rate, averaged": {"schedule": "constant", "ema_decay": 0.98},
    "crop by a pixel": {"augment": ["crop"]},
    "flip": {"augment": ["flip"]},
    "brightness and contrast": {"augment": ["jitter"]},
    "60 images held out": {"held_out": 60},
    "early stopping on those": {"held_out": 60, "patience": 5},
}
CROP, DECAY, SMOOTH = {"augment": ["crop"]}, {"weight_decay": 5e-3}, {"label_smoothing": 0.1}
CONSTANT, AVERAGED = {"schedule": "constant"}, {"ema_decay": 0.98}
COMBINED = {
    "base again": {},
    "crop": CROP,
    "crop, decay": CROP | DECAY,
    "crop, decay, smoothing": CROP | DECAY | SMOOTH,
    "crop, averaged": CROP | AVERAGED,
    "crop, constant rate": CROP | CONSTANT,
    "crop, constant rate, averaged": CROP | CONSTANT | AVERAGED,
}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "refinements",
        options,
        SEED,
        cases(options),
        lambda case: measure(case, options),
        "{name:32}",
        lambda row: f" rate {row['rate']:<6} test error {mean(row['errors']):5.2f} %",
    )


def cases(options: argparse.Namespace) -> list[dict]:
    """Return what distinguishes each row, in the order in which they are measured."""
    rows = [{"name": name, "settings": settings} for name, settings in (ROWS | COMBINED).items()]
    return [{"depth": depth} | row for depth, row in product(options.depths, rows)]


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Choose the row's learning rate, then train with it, seed by seed."""
    choosing = try_rates(case, options.epochs)
    rate = min(choosing, key=lambda one: mean(choosing[one]))
    first = AGAIN if case["name"] in COMBINED else 0
    seeds = range(first, first + options.seeds)
    runs = [one_run(case, rate, seed, options.epochs) for seed in seeds]
    names = ("errors", "settled", "training", "epochs")
    columns = dict(zip(names, map(list, zip(*runs, strict=True)), strict=True))
    tried = {str(one): choosing[one] for one in sorted(choosing)}
    return {"choosing": tried, "rate": rate, "seeds": list(seeds)} | columns


def try_rates(case: dict, epochs: int) -> dict[float, list[float]]:
    """Test errors by learning rate, at least at the best rate and at its neighbours."""
    found: dict[float, list[float]] = {}
    best = RATES.index(MIDDLE[case["settings"].get("optimizer", "sgd")])
    while missing := [r for r in RATES[max(0, best - 1) : best + 2] if r not in found]:
        for rate in missing:
            found[rate] = [one_run(case, rate, seed, epochs)[0] for seed in CHOOSING]
        best = RATES.index(min(found, key=lambda rate: mean(found[rate])))
    return found


def one_run(case: dict, rate: float, seed: int, epochs: int) -> tuple[float, float, float, int]:
    """Test error, the same with settled statistics, training error, and the number of epochs.

    Errors are in percent.
    """
    settings = BASE | case["settings"] | {"learning_rate": rate, "seed": seed, "epochs": epochs}
    dropout, augment = settings.pop("dropout", 0.0), settings.pop("augment", [])
    held_out = settings.pop("held_out", 0)
    model = build(case["depth"], seed, dropout)
    batches, validation, test = loaders(seed, augment, held_out)
    config = train.TrainConfig(**settings)
    world = train.World(torch.device("cpu"))
    history = train.fit(model, batches, validation, config, world=world, progress=False)
    error = percent_wrong(train.evaluate(model, test).accuracy)
    torch.optim.swa_utils.update_bn(batches, model)
    settled = percent_wrong(train.evaluate(model, test).accuracy)
    return error, settled, percent_wrong(history["train_accuracy"][-1]), len(history.epochs)


def build(depth: int, seed: int, dropout: float) -> nn.Module:
    """Return the network at its start; dropout is put before its last layer."""
    torch.manual_seed(seed)
    model = nets.CifarResNet(depth, in_channels=1)
    return nets.add_dropout(model, dropout) if dropout else model


def loaders(
    seed: int, augment: list[str], held_out: int
) -> tuple[data.Batches, data.Batches | None, data.Batches]:
    """Return training, validation and test batches; validation has the last training images."""
    digits = data.digits(test_fraction=TEST_FRACTION, seed=seed)
    transform = nn.Sequential(*(AUGMENTATIONS[name]() for name in augment), digits.normalize)

    def batches(images: Tensor, labels: Tensor, size: int, shuffle: bool = False) -> data.Batches:
        return data.Batches(images, labels, size, shuffle=shuffle, transform=transform, seed=seed)

    images, labels = digits.train_images, digits.train_labels
    kept = len(images) - held_out
    validation = batches(images[kept:], labels[kept:], 512) if held_out else None
    return (
        batches(images[:kept], labels[:kept], BATCH, shuffle=True),
        validation,
        batches(digits.test_images, digits.test_labels, 512),
    )


def percent_wrong(accuracy: float) -> float:
    return round(100 * (1 - accuracy), 3)


def mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 3)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    epilog = "The defaults take about twenty minutes on one CPU core."
    shared = {"depths": [8], "epochs": 30, "seeds": 20}
    return digits_training.parse("refinements", __doc__, epilog, words, **shared)


if __name__ == "__main__":
    sys.exit(main())

"""How much does a trained network help where pictures are few?

Two tasks, and for each a ResNet-20 that was trained on something else:

  cats-dogs   cats against dogs, at 32 x 32 pixels. The source was trained here, on the eight other
              classes of CIFAR-10, for a few epochs: it has seen no cat and no dog.
  digits      scikit-learn's digits, enlarged to 16 x 16, the grey repeated for each colour. The
              source is the library's ResNet-20 for CIFAR-10.

From each class a seed draws so many training pictures. Three ways to learn from them, each with as
many updates on pictures that are drawn again and again, a little shifted (and mirrored where they
are photographs), under a rate that falls along a cosine:

  scratch     random weights, all of them trained
  head        the source's weights with a new head; only that is trained, and batch norm uses the
              statistics that the source kept
  all         the source's weights with a new head; everything is trained

  errors      test error in percent, seed by seed; the test pictures are always the same

The highest rates, RATES, were chosen beforehand by the error on the test digits, one for each way,
with --rates and with pictures that the seeds 100 and 101 drew. CIFAR-10 is taken from the folder in
RESNET_LIB_DATA. A killed run goes on with the same command; the source is kept in runs/few_shot.
"""

import argparse
import sys
from functools import cache
from pathlib import Path

import torch
from bench import case_by_case, record
from bench.options import at_least, json_file, positive
from torch import nn

from resnet_lib import data, nets, train, weights
from resnet_lib.data.image_data import channel_statistics

SEED = 0
CPU = train.World(torch.device("cpu"))
TASKS = ("digits", "cats-dogs")
RATES = {"scratch": 0.03, "head": 1.0, "all": 0.03}
BATCH, TEST_BATCH = 32, 250
PAIR = ("cat", "dog")
SOURCE_CONFIG = {"learning_rate": 0.1, "schedule": "onecycle"}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [
        {"task": task, "pictures": pictures, "way": way}
        for task in options.tasks
        for pictures in options.pictures
        for way in options.ways
    ]
    return case_by_case.carry_out(
        "few_shot",
        options,
        SEED,
        cases,
        lambda case: measure(case, options),
        "{task:9} {pictures:3} of a class, {way:7}",
        lambda row: f"  test errors {row['errors']}",
    )


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Train once with each seed."""
    found = task(case["task"])
    rate = options.rates[options.ways.index(case["way"])]
    errors = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        batches = drawn(found, case["task"], case["pictures"], seed, options.steps)
        model = prepared(case, len(found.classes), seed, options.source_epochs)
        config = train.TrainConfig(epochs=1, learning_rate=rate)
        train.fit(model, batches, config=config, world=CPU, progress=False)
        test = data.Batches(
            found.test_images, found.test_labels, TEST_BATCH, transform=found.normalize
        )
        errors.append(round(100 * (1 - train.evaluate(model, test).accuracy), 2))
    return {"errors": errors}


def prepared(case: dict, classes: int, seed: int, epochs: int) -> nn.Module:
    """The network as this way begins."""
    torch.manual_seed(seed)
    model = nets.CifarResNet(20)
    head = nn.Linear(model.fc.in_features, classes)
    if case["way"] != "scratch":
        shipped = weights.model_card("resnet20", "cifar10").path
        source = source_file(epochs) if case["task"] == "cats-dogs" else shipped
        weights.load_weights(model, weights.read_weights(source), leave_out=["fc"])
    if case["way"] == "head":
        model.requires_grad_(False).eval()
    model.fc = head
    return model


def drawn(found: data.ImageData, task: str, pictures: int, seed: int, steps: int) -> data.Batches:
    """Batches of the seed's pictures, each drawn anew out of all of them."""
    dice = torch.Generator().manual_seed(seed)
    rows = [(found.train_labels == c).nonzero()[:, 0] for c in range(len(found.classes))]
    kept = torch.cat([row[torch.randperm(len(row), generator=dice)[:pictures]] for row in rows])
    places = kept[torch.randint(len(kept), (steps * BATCH,), generator=dice)]
    side = found.train_images.shape[-1]
    steps_of = [data.RandomCrop(side // 8), found.normalize]
    if task == "cats-dogs":
        steps_of.insert(0, data.RandomFlip())
    return data.Batches(
        found.train_images[places],
        found.train_labels[places],
        BATCH,
        augment=True,
        transform=nn.Sequential(*steps_of),
        seed=seed,
    )


@cache
def task(name: str) -> data.ImageData:
    """Pictures in three channels, normalised as those of the source were."""
    if name == "digits":
        found, card = data.digits(16), weights.model_card("resnet20", "cifar10")
        train_images, test_images = (
            images.expand(-1, 3, -1, -1).contiguous()
            for images in (found.train_images, found.test_images)
        )
        labels = found.train_labels, found.test_labels
        return data.ImageData(
            train_images, labels[0], test_images, labels[1], found.classes, card.mean, card.std
        )
    return split()[1]


@cache
def split() -> tuple[data.ImageData, data.ImageData]:
    """CIFAR-10 without the pair of classes, and the pair alone; with the others' mean."""
    cifar = data.cifar10()
    pair = [cifar.classes.index(name) for name in PAIR]
    others = [label for label in range(len(cifar.classes)) if label not in pair]
    parts = []
    for kept in (others, pair):
        new = torch.full((len(cifar.classes),), -1)
        new[kept] = torch.arange(len(kept))
        images, labels = [], []
        for pixels, old in (
            (cifar.train_images, cifar.train_labels),
            (cifar.test_images, cifar.test_labels),
        ):
            here = new[old] >= 0
            images.append(pixels[here])
            labels.append(new[old[here]])
        names = tuple(cifar.classes[label] for label in kept)
        parts.append((images[0], labels[0], images[1], labels[1], names))
    mean, std = channel_statistics(parts[0][0])
    found = [data.ImageData(*part, mean, std) for part in parts]
    return found[0], found[1]


@cache
def source_file(epochs: int) -> Path:
    """Weights of the network for the eight other classes; trained where they are not kept."""
    path = record.ROOT / "runs" / "few_shot" / f"source-{epochs}.safetensors"
    if not path.is_file():
        others = split()[0]
        torch.manual_seed(SEED)
        model = nets.CifarResNet(20, len(others.classes))
        chances = data.RandomFlip(), data.RandomCrop(4)
        batches = data.Batches(
            others.train_images,
            others.train_labels,
            128,
            shuffle=True,
            drop_last=True,
            transform=nn.Sequential(*chances, others.normalize),
            seed=SEED,
        )
        config = train.TrainConfig(epochs=epochs, **SOURCE_CONFIG)
        history = train.fit(model, batches, config=config, world=CPU, progress=False)
        test = data.Batches(
            others.test_images, others.test_labels, TEST_BATCH, transform=others.normalize
        )
        wrong = 100 * (1 - train.evaluate(model, test).accuracy)
        print(f"\nsource: {wrong:.1f} % wrong, training loss {history['train_loss'][-1]:.3f}")
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.save_weights(path, model)
    return path


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="few_shot.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--ways", nargs="+", choices=tuple(RATES), default=list(RATES), help="ways (all three)")
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="tasks (both)")
    add("--pictures", nargs="+", type=at_least(1), default=[1, 5, 20, 100],
        metavar="N", help="training pictures of a class (1 5 20 100)")  # fmt: skip
    add("--steps", type=at_least(1), default=100, metavar="N", help="updates (100)")
    add("--source-epochs", type=at_least(1), default=5, metavar="N",
        help="epochs of the source for cats-dogs (5)")  # fmt: skip
    add("--seeds", type=at_least(1), default=4, metavar="N", help="seeds (4)")
    add("--first-seed", type=at_least(0), default=0, metavar="N", help="the first of them (0)")
    add("--rates", nargs="+", type=positive, metavar="R",
        help="the highest rate of each way, in their order (0.03 1.0 0.03)")  # fmt: skip
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "few_shot.json",
        metavar="FILE.json", help="the record (results/few_shot.json)")  # fmt: skip
    options = parser.parse_args(words)
    options.rates = options.rates or [RATES[way] for way in options.ways]
    if len(options.rates) != len(options.ways):
        parser.error("--rates wants as many numbers as there are --ways")
    return options


if __name__ == "__main__":
    sys.exit(main())

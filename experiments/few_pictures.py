"""How many pictures does it take? The test error of a small network, by pictures, with seeds.

The pictures are drawn by `data.draw_shape`: four shapes, a class each, read at 16 × 16 pixels. Each
training takes equally many steps, so that few pictures are seen often and many only a few times. A
seed draws the pictures to train on, the starting weights and the order; all are tested on the same
1,000 others. Row by row:

  pictures    how many there are to train on, of all classes together
  augmented   whether they are mirrored by chance and shifted by up to two pixels
  errors      the test error in percent after the last step, seed by seed
  training    the training error of the last epoch, of the pictures as augmented

A killed run goes on with the same command: each finished row is kept beside the record.
"""

import argparse
import sys
from functools import cache
from itertools import product

import numpy as np
import torch
from bench import case_by_case, record
from bench.options import at_least, json_file
from torch import Tensor, nn

from resnet_lib import data, nets, train
from resnet_lib.data.image_data import channel_statistics

SEED = 0
DRAWN, SIZE = 32, 16  # pixels of the side: as drawn, and as the network sees it
CLASSES = tuple(data.SHAPES)
TESTED, TEST_SEED = 1000, 1_000_000
BATCH = 16


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    rows = product(options.pictures, (False, True))
    return case_by_case.carry_out(
        "few_pictures",
        options,
        SEED,
        [{"pictures": number, "augmented": augmented} for number, augmented in rows],
        lambda case: measure(case, options),
        "{pictures:5} pictures, augmented: {augmented!s:5}",
        lambda row: f" test errors {row['errors']}",
    )


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Train once with each seed."""
    runs = [one_run(**case, seed=seed, steps=options.steps) for seed in range(options.seeds)]
    errors, training = (list(column) for column in zip(*runs, strict=True))
    return {"errors": errors, "training": training}


def one_run(pictures: int, augmented: bool, seed: int, steps: int) -> tuple[float, float]:
    """Test error and training error in percent."""
    images, labels = drawn(pictures, seed)
    normalize = data.Normalize(*channel_statistics(images))
    chances = (data.RandomFlip(), data.RandomCrop(2)) if augmented else ()
    transform = nn.Sequential(*chances, normalize)
    # A last batch of two pictures would be noise to batch norm, most often where there are few.
    how = {"shuffle": True, "drop_last": True, "transform": transform, "seed": seed}
    batches = data.Batches(images, labels, BATCH, **how)
    torch.manual_seed(seed)
    model = nets.CifarResNet(8, len(CLASSES))
    config = train.TrainConfig(epochs=max(1, round(steps / len(batches))), learning_rate=0.05)
    world = train.World(torch.device("cpu"))
    history = train.fit(model, batches, config=config, world=world, progress=False)
    test = data.Batches(*drawn(TESTED, TEST_SEED), 250, transform=normalize)
    shares = train.evaluate(model, test).accuracy, history["train_accuracy"][-1]
    return tuple(round(100 * (1 - share), 1) for share in shares)


@cache
def drawn(number: int, seed: int) -> tuple[Tensor, Tensor]:
    """As many pictures of each class, one after the other, as the network sees them."""
    dice = np.random.default_rng(seed)
    labels = torch.arange(number) % len(CLASSES)
    pictures = (data.draw_shape(CLASSES[label], DRAWN, dice) for label in labels)
    return torch.stack([data.read_picture(one, SIZE) for one in pictures]), labels


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="few_pictures.py",
        description=__doc__,
        epilog="The defaults took four minutes on one core of a busy machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--pictures", nargs="+", type=at_least(BATCH), default=[50, 500, 5000],
        metavar="N", help="pictures to train on (50 500 5000)")  # fmt: skip
    add("--steps", type=at_least(1), default=300, metavar="N", help="updates (300)")
    add("--seeds", type=at_least(1), default=3, metavar="N", help="seeds (3)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "few_pictures.json",
        metavar="FILE.json", help="the record (results/few_pictures.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

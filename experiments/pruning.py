"""What do removed channels cost, what does training on win back, and was the large network needed?

ResNet-8 learns 360 of scikit-learn's digits (those that are otherwise for testing) and is judged on
the other 1,437: so errors are large enough to compare. Each seed's network then loses a share of
every block's inner channels, see resnet_lib.compression.prune_channels:

  l1, gamma, random   chosen by that criterion; the rest is trained on
  scratch             a network of the pruned shape with new random weights. It gets as many updates
                      as the others had in all, in one go
  short               the same, with as many updates as the others' training on

  errors_before       test error in percent as cut, seed by seed; with new weights there is none
  errors_statistics   as cut, but with batch norm's running statistics estimated anew from the 360
                      digits, as they are; no weight is changed
  errors              after the training on, or from new weights

A share of 0 is the whole network, trained on like the others or longer. Batches of 32 digits,
shifted by up to one pixel; rates fall along a cosine, from 0.1 and for the training on, and for
short, from --rate. That one was chosen beforehand, out of 0.01, 0.03, 0.1 and 0.3, by the seeds 100
to 103, l1 and a share of 0.75, on the same 1,437 digits.
"""

import argparse
import copy
import sys
from functools import cache

import torch
from bench import case_by_case, record
from bench.options import at_least, json_file, positive
from torch import nn

from resnet_lib import compression, data, nets, train

SEED = 0
CPU = train.World(torch.device("cpu"))
WAYS = (*compression.CRITERIA, "scratch", "short")
BATCH, TEST_BATCH = 32, 479
RATE = 0.1


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [{"share": 0.0, "way": way} for way in ("l1", "scratch")]
    cases += [{"share": share, "way": way} for share in options.shares for way in options.ways]
    return case_by_case.carry_out(
        "pruning",
        options,
        SEED,
        cases,
        lambda case: measure(case, options),
        "{share:4g} by {way:7}",
        lambda row: f"  test errors {row['errors_statistics']} -> {row['errors']}",
    )


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Cut and train on, or train from scratch, with each seed."""
    before, anew, after = [], [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        if case["way"] in ("scratch", "short"):
            torch.manual_seed(seed)
            model = compression.prune_channels(new(), case["share"], "random")
            if case["way"] == "scratch":
                fit(model, options.epochs + options.more_epochs, RATE, seed)
            else:
                fit(model, options.more_epochs, options.rate, seed)
        else:
            dice = torch.Generator().manual_seed(seed)
            whole = trained(seed, options.epochs)
            model = compression.prune_channels(whole, case["share"], case["way"], dice)
            before.append(error(model))
            anew.append(error(with_statistics_anew(model)))
            fit(model, options.more_epochs, options.rate, seed)
        after.append(error(model))
    return {"errors_before": before, "errors_statistics": anew, "errors": after}


def with_statistics_anew(model: nn.Module) -> nn.Module:
    """A copy whose running statistics are those of the 360 digits."""
    digits, model = data.digits(), copy.deepcopy(model)
    batches = data.Batches(
        digits.test_images, digits.test_labels, len(digits.test_images), transform=digits.normalize
    )
    torch.optim.swa_utils.update_bn(batches, model)
    return model


@cache
def _trained(seed: int, epochs: int) -> nn.Module:
    torch.manual_seed(seed)
    return fit(new(), epochs, RATE, seed)


def trained(seed: int, epochs: int) -> nn.Module:
    """The whole network of that seed."""
    return copy.deepcopy(_trained(seed, epochs))


def new() -> nn.Module:
    """The whole network, with random weights."""
    return nets.CifarResNet(8, in_channels=1)


def fit(model: nn.Module, epochs: int, rate: float, seed: int) -> nn.Module:
    """Train the model on the 360 digits."""
    digits = data.digits()
    batches = data.Batches(
        digits.test_images,
        digits.test_labels,
        BATCH,
        shuffle=True,
        transform=nn.Sequential(data.RandomCrop(1), digits.normalize),
        seed=seed,
    )
    config = train.TrainConfig(epochs=epochs, learning_rate=rate, seed=seed)
    train.fit(model, batches, config=config, world=CPU, progress=False)
    return model


def error(model: nn.Module) -> float:
    """Errors on the 1,437 digits, in percent."""
    digits = data.digits()
    images, labels = digits.train_images, digits.train_labels
    batches = data.Batches(images, labels, TEST_BATCH, transform=digits.normalize)
    return round(100 * (1 - train.evaluate(model, batches).accuracy), 2)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="pruning.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="ways (all five)")
    add("--shares", nargs="+", type=positive, default=[0.25, 0.5, 0.75, 0.9],
        metavar="S", help="shares removed, below 1 (0.25 0.5 0.75 0.9)")  # fmt: skip
    add("--epochs", type=at_least(1), default=40, metavar="N", help="of the whole network (40)")
    add("--more-epochs", type=at_least(1), default=20, metavar="N",
        help="of training on (20)")  # fmt: skip
    add("--rate", type=positive, default=0.1, metavar="R", help="highest, of that (0.1)")
    add("--seeds", type=at_least(1), default=8, metavar="N", help="seeds (8)")
    add("--first-seed", type=at_least(0), default=0, metavar="N", help="the first of them (0)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "pruning.json",
        metavar="FILE.json", help="the record (results/pruning.json)")  # fmt: skip
    options = parser.parse_args(words)
    if max(options.shares) >= 1:
        parser.error("--shares wants numbers below 1")
    return options


if __name__ == "__main__":
    sys.exit(main())

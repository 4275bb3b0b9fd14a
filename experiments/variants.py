"""What does each variant of the residual block bring, under one recipe and each at its own rate?

Each network learns 300 of scikit-learn's 8 × 8 digits for 15 epochs, in batches of 50, by SGD with
momentum; fewer or more with the options. See bench/few_digits.py for the split and the recipe,
bench/variant_networks.py for the networks. --data cifar10 puts photographs in the digits' place:
bench/part_of_cifar10.py. Row by row:

  choosing       errors on held-out pictures by learning rate, with seeds that count nowhere else:
                 at three rates, then at lower or higher ones, until the best has a worse neighbour
                 on both sides, or the list ends
  rate           the one with the lowest mean
  errors         test error in percent after the last epoch, seed by seed; with a seed all networks
                 learn the same pictures, in the same order
  training       the training error of the last epoch
  parameters, multiply_adds    of the network, for one picture

Variants, recipe and seeds were settled beforehand, after runs of 3 epochs that showed what they
cost. A loss that explodes counts as guessing. With --what time the record holds, in place of
errors, milliseconds of a training step: all networks take turns.
"""

import argparse
import sys
from statistics import fmean
from types import ModuleType

import torch
import torch.nn.functional as F
from bench import case_by_case, few_digits, measure, part_of_cifar10, record
from bench.numbers import ratio_spread, significant
from bench.options import at_least, json_file
from bench.variant_networks import NETWORKS
from torch import nn

from resnet_lib import probes

SEED = 0
MOMENTUM = 0.9
CHOOSING = range(1000, 1003)  # seeds that choose the learning rate
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
TASKS = {"digits": few_digits, "cifar10": part_of_cifar10}
FIRST = 4  # the rate that is tried first, with its neighbours


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [{"network": name, "n": n} for n in options.blocks for name in options.networks]
    if options.what == "time":
        cases = [{"network": "all", "n": n} for n in options.blocks]
    return case_by_case.carry_out(
        "variants",
        options,
        SEED,
        cases,
        lambda case: (times if options.what == "time" else errors)(case, options),
        "{network:18} n = {n}",
        lambda row: f" rate {row['rate']:<5} errors {row['errors']}" if "rate" in row else "",
    )


def errors(case: dict, options: argparse.Namespace) -> dict:
    """Choose the rate, then train with it and test, seed by seed."""
    task, choosing = TASKS[options.data], try_rates(case, options)
    rate = min(choosing, key=lambda one: fmean(choosing[one]))
    tested, learned = [], []
    for seed in range(options.seeds):
        model, last = trained(case, rate, seed, options)
        tested.append(task.test_error(model))
        learned.append(last)
    model = new(case, SEED, task)
    picture = torch.zeros(1, task.IN_CHANNELS, task.SIZE, task.SIZE)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "multiply_adds": sum(row.multiply_adds for row in probes.layer_costs(model, picture)),
        "choosing": {str(one): choosing[one] for one in sorted(choosing)},
        "rate": rate,
        "errors": tested,
        "training": learned,
    }


def try_rates(case: dict, options: argparse.Namespace) -> dict[float, list[float]]:
    """Held-out errors by rate, at least at the best rate and at its neighbours."""
    found: dict[float, list[float]] = {}
    best = FIRST
    while missing := [r for r in RATES[max(0, best - 1) : best + 2] if r not in found]:
        for rate in missing:
            found[rate] = [
                TASKS[options.data].held_out_error(
                    trained(case, rate, seed, options)[0], seed, options.pictures
                )
                for seed in CHOOSING[: options.choosing_seeds]
            ]
        best = RATES.index(min(found, key=lambda rate: fmean(found[rate])))
    return found


def new(case: dict, seed: int, task: ModuleType) -> nn.Module:
    """The network at its start."""
    torch.manual_seed(seed)
    return NETWORKS[case["network"]](case["n"], task.IN_CHANNELS)


def trained(
    case: dict, rate: float, seed: int, options: argparse.Namespace
) -> tuple[nn.Module, float]:
    """The network after its training, and the training error of the last epoch."""
    task = TASKS[options.data]
    model = new(case, seed, task)
    course = list(task.training(model, rate, options.epochs, seed, options.pictures))
    return model, course[-1] if course else task.GUESSING


def times(case: dict, options: argparse.Namespace) -> dict:
    """Milliseconds of a training step of each network, and its ratio to the base's."""
    measure.keep_freed_memory()
    task = TASKS[options.data]
    images = torch.randn(task.BATCH, task.IN_CHANNELS, task.SIZE, task.SIZE)
    labels = torch.arange(task.BATCH) % 10

    def step_of(model: nn.Module):
        optimizer = torch.optim.SGD(model.parameters(), 0.01, MOMENTUM)

        def step() -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()

        return step

    names = ["residual", *(name for name in options.networks if name != "residual")]
    steps = {name: step_of(new({"network": name, "n": case["n"]}, SEED, task)) for name in names}
    measure.alternate(steps, 3, "cpu")
    found = measure.alternate(steps, options.turns, "cpu")
    base = found["residual"]
    return {
        "milliseconds": {name: [significant(t) for t in found[name]] for name in names},
        "ratios": {name: ratio_spread(found[name], base) for name in names},
    }


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="variants.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--what", choices=("errors", "time"), default="errors", help="what to measure (errors)")
    add("--data", choices=TASKS, default="digits", help="pictures (digits)")
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME",
        help=f"networks (all: {', '.join(NETWORKS)})")  # fmt: skip
    add("--blocks", nargs="+", type=at_least(1), default=[2], metavar="N",
        help="blocks in each of three stages (2, which is 14 layers)")  # fmt: skip
    add("--pictures", type=at_least(few_digits.BATCH), default=300, metavar="N",
        help="pictures to learn from (300)")  # fmt: skip
    add("--epochs", type=at_least(1), default=15, metavar="N", help="epochs (15)")
    add("--seeds", type=at_least(1), default=6, metavar="N", help="seeds that are tested (6)")
    add("--choosing-seeds", type=at_least(1), default=2, metavar="N",
        help="seeds that choose the rate, at most 3 (2)")  # fmt: skip
    add("--turns", type=at_least(2), default=40, metavar="N", help="turns of the timing (40)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "variants.json",
        metavar="FILE.json", help="the record (results/variants.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

"""What batch size and learning rate do to a training: the best rate, and the steps that it takes.

CifarResNet(8) on scikit-learn's 8 × 8 digits, SGD with momentum 0.9, weight decay 0.0001. Two kinds
of cases, each for every batch size and every learning rate, over the same seeds:

  steps    a constant rate. The number of updates until the test error is at most --target percent,
           seed by seed; null where that does not happen within --longest epochs. It is looked at
           after each of the first 20 updates, then whenever 5 % more are done. Batch norm then
           works with the statistics of the test images, because its running ones lag behind.
  epochs   a fixed number of epochs, with a rate that falls along a cosine, with and without
           warm-up. At the end, seed by seed: the test error as it is and with batch norm's
           statistics settled on the training images, and the training loss; null where the loss
           stopped being finite.

A killed run goes on with the same command: each finished case is kept beside the record.
"""

import argparse
import copy
import math
import sys
from itertools import product

import torch
from bench import case_by_case, record
from bench.numbers import significant
from bench.options import at_least, json_file, positive
from torch import nn

from resnet_lib import data, nets, train

SEED = 0
DEPTH = 8
BATCHES = [16, 32, 64, 128, 256, 512]
RATES = [0.00625, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
CPU = train.World(torch.device("cpu"))


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "batch_size",
        options,
        SEED,
        cases(options),
        lambda case: measure(options, **case),
        "{kind:6} batch {batch:3}  rate {rate:<8}  warm-up {warmup}",
        summary,
    )


def cases(options: argparse.Namespace) -> list[dict]:
    """Return what distinguishes each case, in the order in which they are measured."""
    names = ["kind", "warmup", "batch", "rate"]
    kinds = [("steps", 0), ("epochs", 0), ("epochs", options.warmup)]
    found = product(kinds, options.batches, options.rates)
    return [dict(zip(names, [*kind, batch, rate], strict=True)) for kind, batch, rate in found]


def measure(options: argparse.Namespace, kind: str, **case) -> dict:
    """Train with each seed."""
    seeds = range(options.seeds)
    if kind == "steps":
        return {"steps": [steps_to_target(options, seed, **case) for seed in seeds]}
    ends = [end_of_training(options, seed, **case) for seed in seeds]
    errors, settled, losses = (list(column) for column in zip(*ends, strict=True))
    return {"errors": errors, "settled": settled, "losses": losses}


def summary(result: dict) -> str:
    found = result.get("settled", result.get("steps"))
    return "  " + "  ".join("-" if value is None else f"{value:g}" for value in found)


def end_of_training(
    options: argparse.Namespace, seed: int, batch: int, rate: float, warmup: int
) -> tuple[float | None, float | None, float | None]:
    """After a fixed number of epochs: test error in percent, the same settled, training loss."""
    config = train.TrainConfig(
        epochs=options.epochs, learning_rate=rate, warmup_epochs=warmup, seed=seed
    )
    net, batches, test = network_and_data(seed, batch)
    try:
        history = train.fit(net, batches, test, config, world=CPU, progress=False)
    except train.NonFiniteLoss:
        return None, None, None
    last = history.epochs[-1]
    torch.optim.swa_utils.update_bn(batches, net)
    settled = percent_wrong(train.evaluate(net, test).accuracy)
    return percent_wrong(last["validation_accuracy"]), settled, significant(last["train_loss"])


def steps_to_target(
    options: argparse.Namespace, seed: int, batch: int, rate: float, warmup: int
) -> int | None:
    """The number of updates after which the test error is at most the target; None: too many."""
    net, batches, test = network_and_data(seed, batch)
    config = train.TrainConfig(epochs=options.longest, learning_rate=rate, schedule="constant")
    state = train.TrainState(net, config, CPU)
    look = 1
    for epoch in range(options.longest):
        batches.set_epoch(epoch)
        for images, labels in batches:
            train.training_step(state, images, labels)
            if state.step < look:
                continue
            look = max(look + 1, math.ceil(1.05 * look))
            if not state.is_finite():
                return None
            if error_with_own_statistics(net, test) <= options.target:
                return state.step
    return None


def error_with_own_statistics(net: nn.Module, test: data.Batches) -> float:
    """Test error in percent; batch norm takes its statistics from the test images."""
    with torch.no_grad():  # in train mode a network changes its buffers, so a copy is asked
        scores = copy.deepcopy(net).train()(test.images)  # (N, 10)
    return percent_wrong((scores.argmax(dim=1) == test.labels).double().mean().item())


def network_and_data(seed: int, batch: int) -> tuple[nn.Module, data.Batches, data.Batches]:
    """The network at its start, training batches, and all test images as one batch."""
    torch.manual_seed(seed)
    net, digits = nets.CifarResNet(DEPTH, in_channels=1), data.digits()
    images, labels = digits.normalize(digits.train_images), digits.train_labels
    return (
        net,
        data.Batches(images, labels, batch, shuffle=True, seed=seed),
        data.Batches(
            digits.normalize(digits.test_images), digits.test_labels, len(digits.test_labels)
        ),
    )


def percent_wrong(accuracy: float) -> float:
    return round(100 * (1 - accuracy), 2)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="batch_size.py",
        description=__doc__,
        epilog="The defaults take about a quarter of an hour on one idle CPU core.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--batches", nargs="+", type=at_least(1), default=BATCHES, metavar="N",
        help=f"images per update ({' '.join(map(str, BATCHES))})")  # fmt: skip
    add("--rates", nargs="+", type=positive, default=RATES, metavar="X",
        help=f"learning rates ({' '.join(map(str, RATES))})")  # fmt: skip
    for name, default, text in (
        ("seeds", 3, "seeds"),
        ("epochs", 8, "epochs of the trainings of fixed length"),
        ("warmup", 2, "epochs of warm-up where there is one"),
        ("longest", 20, "most epochs of the trainings to a target"),
    ):
        add(f"--{name}", type=at_least(1), default=default, metavar="N", help=f"{text} ({default})")
    add("--target", type=positive, default=5.0, metavar="X", help="test error in percent (5)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--device", choices=["cpu"], default="cpu", help="cpu: the networks are too small for more")
    add("--out", type=json_file, default=record.ROOT / "results" / "batch_size.json",
        metavar="FILE.json", help="the record (results/batch_size.json)")  # fmt: skip
    options = parser.parse_args(words)
    if options.warmup > options.epochs:
        parser.error("argument --warmup: must be at most --epochs")
    return options


if __name__ == "__main__":
    sys.exit(main())

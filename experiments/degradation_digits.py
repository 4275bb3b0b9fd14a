"""Is a deeper plain network worse at every learning rate? The small question, with statistics.

Networks of the paper's CIFAR family, plain and residual, learn scikit-learn's 8 × 8 digits by SGD
with momentum 0.9 and weight decay 0.0001, with a rate that falls along a cosine. Each row has a
kind, a depth and a highest learning rate, and over the same seeds:

  training   the training error of the last epoch in percent, seed by seed: what the network got
             wrong while it went through the images; null where the loss stopped being finite
  test       the test error after it, in eval mode, with batch norm's statistics taken anew from
             all training images (`torch.optim.swa_utils.update_bn`); null likewise

So the best rate of each network can be looked up, and each network judged at its own. The seeds
are the same for both, which flatters every network a little.

A killed run goes on with the same command: each finished row is kept beside the record.
"""

import argparse
import sys
from itertools import product

import torch
from bench import case_by_case, digits_training

from resnet_lib import data, nets, train

SEED = 0
KINDS = ("plain", "residual")
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
BATCH = 128
CPU = train.World(torch.device("cpu"))


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = product(options.depths, options.kinds, options.rates)
    return case_by_case.carry_out(
        "degradation_digits",
        options,
        SEED,
        [{"depth": depth, "kind": kind, "rate": rate} for depth, kind, rate in cases],
        lambda case: measure(case, options),
        "{kind:8} {depth:3} layers  rate {rate:<5}",
        lambda row: f"  training error {shown(row['training'])}  test error {shown(row['test'])}",
    )


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Train with each seed."""
    ends = [one_run(**case, seed=seed, epochs=options.epochs) for seed in range(options.seeds)]
    training, test = (list(column) for column in zip(*ends, strict=True))
    return {"training": training, "test": test}


def one_run(
    depth: int, kind: str, rate: float, seed: int, epochs: int
) -> tuple[float | None, float | None]:
    """Training and test error in percent; None where the loss stopped being finite."""
    torch.manual_seed(seed)
    net = nets.CifarResNet(depth, in_channels=1, residual=kind == "residual")
    digits = data.digits()
    how = {"transform": digits.normalize, "seed": seed}
    batches = data.Batches(digits.train_images, digits.train_labels, BATCH, shuffle=True, **how)
    config = train.TrainConfig(epochs=epochs, learning_rate=rate, seed=seed)
    try:
        history = train.fit(net, batches, config=config, world=CPU, progress=False)
    except train.NonFiniteLoss:
        return None, None
    torch.optim.swa_utils.update_bn(batches, net)
    test = data.Batches(digits.test_images, digits.test_labels, 512, **how)
    accuracies = history["train_accuracy"][-1], train.evaluate(net, test).accuracy
    training, tested = (round(100 * (1 - accuracy), 2) for accuracy in accuracies)
    return training, tested


def shown(errors: list[float | None]) -> str:
    finite = [error for error in errors if error is not None]
    return f"{min(finite):.1f} to {max(finite):.1f} %" if finite else "not finite"


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    epilog = "The defaults take about half an hour on one CPU core."
    shared = {"depths": [8, 20, 32, 44, 56], "epochs": 15, "seeds": 5}
    parts = {"kinds": KINDS, "rates": RATES}
    return digits_training.parse(
        "degradation_digits", __doc__, epilog, words, parts=parts, **shared
    )


if __name__ == "__main__":
    sys.exit(main())

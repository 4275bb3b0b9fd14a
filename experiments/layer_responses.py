"""How strongly do the layers of plain and residual networks respond, before and after training?

After Fig. 7 of He et al. 2015: the response of a layer is what its batch norm puts out, before the
ReLU or the addition; its standard deviation is taken over a batch, all positions and channels.
Networks of the paper's CIFAR family learn scikit-learn's 8 × 8 digits by SGD with momentum. The
weight decay is 50 times the paper's, because the training is about 200 times as short.

Beside each response stands the root mean square of the layer's scale γ, which batch norm learns.

A killed run goes on with the same command: each finished network is kept beside the record.
"""

import argparse
import sys
from itertools import islice, product

import torch
from bench import case_by_case, digits_training
from torch import nn

from resnet_lib import data, nets, probes

SEED = 0
RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.005
KINDS = ("plain", "residual")


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = product(range(options.seeds), options.depths, KINDS)
    return case_by_case.carry_out(
        "layer_responses",
        options,
        SEED,
        [{"seed": seed, "depth": depth, "kind": kind} for seed, depth, kind in cases],
        lambda case: measure(**case, epochs=options.epochs),
        "{kind:8} {depth:3} layers  seed {seed}",
        lambda result: f" error {result['errors'][-1]:4.1f} %",
    )


def measure(seed: int, depth: int, kind: str, epochs: int) -> dict:
    """Train one network; return its errors, and responses and scales before and after."""
    torch.manual_seed(seed)
    net = nets.CifarResNet(depth, in_channels=1, residual=kind == "residual")
    before = responses(net)
    errors = train(net, seed, epochs)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    scales = [round(norm.weight.square().mean().sqrt().item(), 4) for norm in norms]
    return {"errors": errors, "before": before, "after": responses(net), "scales": scales}


def responses(net: nn.Module) -> list[float]:
    """Standard deviation behind each batch norm, from the stem on, in train mode."""
    digits = data.digits()
    batch = digits.normalize(digits.train_images[:128])
    rows = probes.activation_statistics(net.train(), batch, nn.BatchNorm2d)
    return [round(row.std, 4) for row in rows]


def train(net: nn.Module, seed: int, epochs: int) -> list[float]:
    """Train in place; return each epoch's training error in percent."""
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    return list(islice(digits_training.training_errors(net, optimizer, seed), epochs))


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    epilog = "The defaults take about three minutes on one CPU core."
    shared = {"depths": [20, 56], "epochs": 25}
    return digits_training.parse("layer_responses", __doc__, epilog, words, **shared)


if __name__ == "__main__":
    sys.exit(main())

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
from itertools import product
from pathlib import Path

import record
import torch
import torch.nn.functional as F
from torch import nn

from resnet_lib import data, nets, probes

SEED = 0
RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.005
KINDS = ("plain", "residual")


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    configuration = {k: v for k, v in vars(options).items() if k != "out"}
    torch.set_num_threads(options.threads)
    try:
        run = record.Run(options.out, record.describe("layer_responses", configuration, SEED))
    except (record.RecordError, OSError) as error:
        print(f"layer_responses.py: error: {error}", file=sys.stderr)
        return 2
    done = [(result["seed"], result["depth"], result["kind"]) for result in run.results]
    try:
        for seed, depth, kind in product(range(options.seeds), options.depths, KINDS):
            if (seed, depth, kind) in done:
                continue
            print(f"{kind:8} {depth:3} layers  seed {seed} ...", end="", flush=True)
            result = measure(seed, depth, kind, options.epochs)
            run.keep({"seed": seed, "depth": depth, "kind": kind} | result)
            print(f" error {result['errors'][-1]:4.1f} %", flush=True)
    except KeyboardInterrupt:
        print(f"\nStopped. {len(run.results)} finished networks are kept in {run.part}.")
        print("The same command goes on from there.")
        return 130
    run.finish()
    print(f"The record is {run.path}.")
    return 0


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
    batch = data.digits().train_images[:128]
    rows = probes.activation_statistics(net.train(), batch, nn.BatchNorm2d)
    return [round(row.std, 4) for row in rows]


def train(net: nn.Module, seed: int, epochs: int) -> list[float]:
    """Train in place; return each epoch's training error in percent."""
    digits = data.digits()
    images, labels = digits.train_images, digits.train_labels
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    order = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(epochs):
        wrong = 0
        for batch in torch.randperm(len(images), generator=order).split(128):
            scores = net(images[batch])  # (B, 10)
            loss = F.cross_entropy(scores, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wrong += (scores.argmax(dim=1) != labels[batch]).sum().item()
        errors.append(round(100 * wrong / len(labels), 2))
    return errors


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="layer_responses.py",
        description=__doc__,
        epilog="The defaults take about five minutes on one CPU core.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--depths", nargs="+", type=depth, default=[20, 56], help="layers (20 56)")
    add("--seeds", type=int, choices=range(1, 101), default=3, metavar="N", help="seeds (3)")
    add("--epochs", type=int, choices=range(1, 1001), default=25, metavar="N", help="epochs (25)")
    add("--threads", type=int, choices=range(1, 257), default=1, metavar="N",
        help="CPU threads (1: the networks are small)")  # fmt: skip
    add("--device", choices=["cpu"], default="cpu", help="cpu: the networks are too small for more")
    add("--out", type=Path, default=record.ROOT / "results" / "layer_responses.json",
        metavar="FILE.json", help="the record (results/layer_responses.json)")  # fmt: skip
    options = parser.parse_args(words)
    if options.out.suffix != ".json" or options.out.is_dir():
        parser.error(f"argument --out: must be a file ending in .json, got {options.out}")
    return options


def depth(text: str) -> int:
    if not text.isdecimal() or int(text) < 8 or int(text) % 6 != 2:
        raise argparse.ArgumentTypeError(f"must be 6n + 2, from 8 up, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

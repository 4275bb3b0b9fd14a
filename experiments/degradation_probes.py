"""A closer look at the networks of `degradation.py`, before and after their training.

Each row has a network, a seed, and `when`: "start", with random weights, or "end", with those that
`degradation.py --schedule short` has left in --runs. Gradients are taken in train mode, in double
precision, with two batches of 128 training images that are not augmented:

  norms        length of the loss gradient for each layer's weights, on the first batch
  lengths      length of each layer's weights
  cosine       of the gradients of the two batches, mean over the convolutions
  after_step   cosine of the first batch's gradient before and after a small step down it, mean
               likewise; the step is a thousandth of each layer's length
  bf16, fp32   cosine of the first batch's gradient with the one under autocast to bfloat16, in
               which the networks were trained, and with that in single precision; mean likewise
  clean_error  percent of wrong answers on the first 10,000 training images, not augmented, in eval
               mode; null at the start

The probes are those of `gradient_regimes.py`. A killed run goes on with the same command.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import degradation
import torch
from bench import case_by_case, record
from bench.numbers import significant
from bench.options import at_least
from gradient_regimes import ONE, OTHER, mean_cosine, moved
from torch import Tensor, nn

from resnet_lib import data, probes, train, weights

SEED = 0
NETWORKS = ["plain20", "plain56", "resnet20", "resnet56"]
CLEAN = 10_000


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    runs = options.runs
    del options.runs  # a folder of this machine, which the record need not know
    pairs = list(product(options.networks, options.seeds))
    missing = [trained(runs, *pair) for pair in pairs if not trained(runs, *pair).exists()]
    try:
        images = data.cifar10(download=False)
        if missing:
            raise FileNotFoundError(
                f"{missing[0]} is not there. Train it first, with degradation.py."
            )
    except (OSError, ValueError) as error:
        print(f"degradation_probes.py: error: {error}", file=sys.stderr)
        return 2
    return case_by_case.carry_out(
        "degradation_probes",
        options,
        SEED,
        [
            {"network": network, "seed": seed, "when": when}
            for network, seed in pairs
            for when in ("start", "end")
        ],
        lambda case: probe(images, runs, **case),
        "{network:9} seed {seed} {when:5}",
        lambda row: (
            f" cosine {row['cosine']:5.2f}  after a step {row['after_step']:5.2f}"
            f"  bf16 {row['bf16']:5.2f}"
        ),
    )


def trained(runs: Path, network: str, seed: int) -> Path:
    """Where `degradation.py` leaves the weights."""
    return runs / f"degradation-short-{network}-{seed}" / "model.safetensors"


def probe(images: data.ImageData, runs: Path, network: str, seed: int, when: str) -> dict:
    """The measures of one network."""
    net = degradation.build(network, seed)
    if when == "end":
        weights.load_weights(net, trained(runs, network, seed))
    normalize = data.Normalize(images.mean, images.std)
    one, other = (
        (normalize(images.train_images[part]), images.train_labels[part]) for part in (ONE, OTHER)
    )
    single = gradients(net, *one)
    with torch.autocast("cpu", torch.bfloat16):
        half = gradients(net, *one)
    clean = clean_error(net, images, normalize) if when == "end" else None
    net = net.double()
    first, second = (gradients(net, inputs.double(), labels) for inputs, labels in (one, other))
    stepped = gradients(moved(net, first), one[0].double(), one[1])
    lengths = [net.get_submodule(name).weight.norm().item() for name in first]
    return {
        "norms": [significant(gradient.norm().item()) for gradient in first.values()],
        "lengths": [significant(length) for length in lengths],
        "cosine": mean_cosine(first, second),
        "after_step": mean_cosine(first, stepped),
        "bf16": mean_cosine(first, half),
        "fp32": mean_cosine(first, single),
        "clean_error": clean,
    }


def gradients(net: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The loss gradient for each layer, in train mode, as numbers of double precision."""
    found = probes.layer_gradients(net.train(), inputs, labels)
    return {name: gradient.double() for name, gradient in found.items()}


def clean_error(net: nn.Module, images: data.ImageData, normalize: nn.Module) -> float:
    """Percent of wrong answers on training images, in single precision."""
    shown = images.train_images[:CLEAN], images.train_labels[:CLEAN]
    batches = data.Batches(*shown, 500, transform=normalize)
    return round(100 * (1 - train.evaluate(net, batches).accuracy), 2)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="degradation_probes.py",
        description=__doc__,
        epilog="On one CPU core it takes about ten minutes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NAME",
        help=f"of {', '.join(NETWORKS)} (all)")  # fmt: skip
    add("--seeds", nargs="+", type=at_least(0), default=[0, 1], metavar="N", help="seeds (0 1)")
    add("--threads", type=at_least(1), default=1, help="CPU threads (1)")
    add("--device", choices=["cpu"], default="cpu", help="cpu: it is short enough")
    add("--runs", type=Path, default=record.ROOT / "runs" / "degradation", metavar="FOLDER",
        help="what degradation.py has left (runs/degradation)")  # fmt: skip
    add("--out", type=Path, default=record.ROOT / "results" / "degradation_probes.json",
        metavar="FILE.json", help="the record (results/degradation_probes.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

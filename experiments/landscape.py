"""Is the loss surface around a residual network smoother than around its plain twin?

--data digits: networks of the paper's CIFAR family learn scikit-learn's 8 × 8 digits by SGD with
momentum 0.9 and weight decay 0.0001, in batches of 128, at a rate that falls along a cosine from
--rate. Plain and residual begin alike and see the same batches. `resnet56-matched` is ResNet-56
trained for as few updates as it takes to end with about the training loss of plain56.

--data cifar10: the library's trained networks, one seed each, on CIFAR-10 from the folder in
RESNET_LIB_DATA. There is no plain one of 56 layers among them. With --runs, those that
`degradation.py` left in that folder with its short schedule, four with each seed.

Losses are means over the first --images training images, in batches of --batch. Batch norm
normalises by each batch's own statistics, at each point anew, but for `slices_running`.

  training_loss, training_error   of these images; the error in percent
  test_error      in percent, with running statistics of all training images (digits only)
  slices          loss along filter-normalised directions, --points steps from -reach to reach;
                  direction d is drawn with seed d, the same for all networks
  slices_running  the same with running statistics: those of these images at the centre
  plane           loss over the first two directions, --plane-points a side; null for 0
  eigenvalue      the largest one of the Hessian by all weights, to --tolerance
  length          of all weights of convolutions and the classifier together
  rescaled        the same function in the units of its start: loss, eigenvalue and length once each
                  filter of a convolution is as long as it was before training (digits only)
  trajectory      the weights after each epoch by their first two principal components, in the
                  units of the weights, the share of variance of the first five, and how far it
                  went in each epoch

A killed run goes on with the same command: each finished network is kept beside the record.
"""

import argparse
import sys
from functools import cache, partial
from pathlib import Path

import torch
from bench import case_by_case, record
from bench.landscape_networks import (
    BATCH,
    flat,
    learned,
    matched,
    new,
    trajectory,
    with_lengths_of,
)
from bench.numbers import significant
from bench.options import at_least, json_file, positive
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from resnet_lib import data, landscape, nets, train, weights

NETWORKS = {
    "digits": ("plain20", "resnet20", "plain56", "resnet56", "resnet56-matched"),
    "cifar10": ("plain20", "resnet20", "resnet56"),
}
LIBRARY = "library"
OF_RUNS = ("plain20", "resnet20", "plain56", "resnet56")
EVERY = (*NETWORKS["digits"], "resnet20-matched")


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    usual = NETWORKS[options.data] if options.runs == LIBRARY else OF_RUNS
    names = options.networks or usual
    return case_by_case.carry_out(
        "landscape",
        options,
        options.seeds[0],
        [{"network": name, "seed": seed} for seed in options.seeds for name in names],
        lambda case: measure(**case, options=options),
        "{network:16} seed {seed}",
        lambda row: f"  loss {row['training_loss']}  eigenvalue {row['eigenvalue']}",
    )


def measure(network: str, seed: int, options: argparse.Namespace) -> dict:
    """Look around one trained network."""
    found, batches = images(options), some(options)
    model, updates, way = trained(network, seed, options)
    error = test_error(model, found) if options.data == "digits" else None
    update_bn(batches, model, device=None)
    reach = torch.linspace(-options.reach, options.reach, options.points).tolist()
    ways = [direction(model, number) for number in range(options.directions)]

    def slices(some_ways: list[dict[str, Tensor]], statistics: str) -> list[list[float]]:
        how = {"steps": reach, "statistics": statistics}
        return [rounded(landscape.loss_along(model, batches, one, **how)) for one in some_ways]

    return {
        "updates": updates,
        "training_loss": significant(loss(model, options)),
        "training_error": training_error(model, batches),
        "test_error": error,
        "slices": slices(ways, "batch"),
        "slices_running": slices(ways, "running"),
        "plane": plane(model, options) if options.plane_points else None,
        "eigenvalue": eigenvalue(model, options),
        "length": significant(flat(model).norm().item()),
        "rescaled": rescaled(model, network, seed, options) if options.data == "digits" else None,
        "trajectory": way,
    }


def trained(
    network: str, seed: int, options: argparse.Namespace
) -> tuple[nn.Module, int, dict | None]:
    """The network, how many updates it had, and its way."""
    if options.runs != LIBRARY:
        return degraded(network, seed, options), 0, None
    if options.data == "cifar10":
        return getattr(weights, network)("cifar10"), 0, None
    if network.endswith("-matched"):
        network = network.removesuffix("-matched")
        plain, most, _ = trained(network.replace("resnet", "plain"), seed, options)
        target, own = loss(plain, options), partial(loss, options=options)
        return *matched(network, seed, most, options.rate, own, target), None
    updates = options.epochs * -(-len(data.digits().train_images) // BATCH)
    model, way = learned(network, seed, updates, options.rate)
    return model, updates, trajectory(way)


def degraded(network: str, seed: int, options: argparse.Namespace) -> nn.Module:
    """The network that `degradation.py` trained."""
    model = nets.CifarResNet(int(network[-2:]), residual=network.startswith("resnet"))
    folder = Path(options.runs) / f"degradation-short-{network}-{seed}"
    weights.load_weights(model, weights.read_weights(folder / "model.safetensors"))
    return model


@cache
def _images(name: str) -> data.ImageData:
    return data.digits() if name == "digits" else data.cifar10()


def images(options: argparse.Namespace) -> data.ImageData:
    """The data set."""
    return _images(options.data)


def some(options: argparse.Namespace) -> list[tuple[Tensor, Tensor]]:
    """The first training images."""
    found, first = images(options), slice(options.images)
    chosen = found.normalize(found.train_images[first]), found.train_labels[first]
    return list(zip(*(part.split(options.batch) for part in chosen), strict=True))


def loss(model: nn.Module, options: argparse.Namespace) -> float:
    """The training loss on these images, by their own statistics."""
    standing = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    return landscape.loss_along(model, some(options), standing, [0])[0].item()


def training_error(model: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    """Errors in percent, by the running statistics."""
    return round(100 * (1 - train.evaluate(model, batches).accuracy), 2)


def test_error(model: nn.Module, found: data.ImageData) -> float:
    """Errors on the test images in percent, with statistics of all training images."""
    every = [(found.normalize(found.train_images), found.train_labels)]
    update_bn(every, model)
    test = [(found.normalize(found.test_images), found.test_labels)]
    return round(100 * (1 - train.evaluate(model, test).accuracy), 2)


def direction(model: nn.Module, number: int) -> dict[str, Tensor]:
    """The direction with that number."""
    return landscape.filter_normalised_direction(model, torch.Generator().manual_seed(number))


def eigenvalue(model: nn.Module, options: argparse.Namespace) -> float:
    """The largest one."""
    (found,) = landscape.hessian_eigenvalues(model, some(options), tolerance=options.tolerance)
    return significant(found)


def rescaled(model: nn.Module, network: str, seed: int, options: argparse.Namespace) -> dict:
    """What its filters' lengths do not change, and what they do."""
    model = with_lengths_of(model, new(network.removesuffix("-matched"), seed))
    return {
        "training_loss": significant(loss(model, options)),
        "eigenvalue": eigenvalue(model, options),
        "length": significant(flat(model).norm().item()),
    }


def plane(model: nn.Module, options: argparse.Namespace) -> list[list[float]]:
    """The loss over the first two directions."""
    steps = torch.linspace(-options.reach, options.reach, options.plane_points).tolist()
    ways = direction(model, 0), direction(model, 1)
    return [rounded(row) for row in landscape.loss_plane(model, some(options), *ways, steps)]


def rounded(values: Tensor) -> list[float]:
    return [significant(value) for value in values.tolist()]


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="landscape.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", choices=sorted(NETWORKS), default="digits", help="data set (digits)")
    add("--networks", nargs="*", choices=EVERY, default=[], metavar="NET",
        help="networks (those of the data set, but for resnet20-matched)")  # fmt: skip
    add("--runs", default=LIBRARY, metavar="FOLDER",
        help=f"for cifar10, networks of degradation.py ({LIBRARY}: its own ones)")  # fmt: skip
    add("--epochs", type=at_least(1), default=40, metavar="N", help="of the training (40)")
    add("--rate", type=positive, default=0.03, metavar="R", help="highest rate (0.03)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of weights and batches (0)")
    add("--seeds", nargs="+", type=at_least(0), metavar="N", help="several, in place of --seed")
    add("--images", type=at_least(2), default=256, metavar="N", help="images (256)")
    add("--batch", type=at_least(2), default=512, metavar="N", help="images a batch (512)")
    add("--directions", type=at_least(2), default=3, metavar="N", help="directions (3)")
    add("--points", type=at_least(2), default=17, metavar="N", help="points of a slice (17)")
    add("--plane-points", type=at_least(0), default=13, metavar="N", help="of a side (13)")
    add("--reach", type=positive, default=1.0, metavar="R", help="how far to go (1)")
    add("--tolerance", type=positive, default=0.02, metavar="T", help="of eigenvalues (0.02)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "landscape.json",
        metavar="FILE.json", help="the record (results/landscape.json)")  # fmt: skip
    options = parser.parse_args(words)
    options.seeds = options.seeds or [options.seed]
    if options.runs != LIBRARY and options.data != "cifar10":
        parser.error("argument --runs: is for --data cifar10")
    return options


if __name__ == "__main__":
    sys.exit(main())

"""What does a trained network lose with a block, and along which paths does its gradient come?

Networks: the library's ResNet-20, ResNet-56 and plain-20 on CIFAR-10; and on scikit-learn's digits,
for each seed, a ResNet-20, a plain-20 and an ensemble of nine ResNet-8 (ResNet-20 has nine blocks),
which learn the 360 digits that are otherwise for testing and are judged on the other 1,437.
A block that is deleted leaves its shortcut, see resnet_lib.paths. Of each network:

  whole    test error in percent as it is, and with the running statistics of batch norm estimated
           anew, from training images that are cropped at random as they were in training
  one      both with each single block deleted; of residual networks also how large the branch is,
           |F(x)| over |shortcut|, a mean over images
  many     both with several random blocks deleted at once, in --draws different draws; for the
           ensemble, with several members left out
  swapped  test errors after so many swaps of two random blocks of the same shape, no block in
           two of them, so that twice as many blocks have left their place
  paths    the gradient at the first block's input by the number of branches it came through:
           shares, the product of a part with the whole over the square of the whole (they add up to
           1); norms, of a part over the whole's; and single, the norm of a random path over the
           whole's, a mean over --draws paths of each length that are drawn for each image anew.
           Means over training images, each with its own gradient. total_error is the standard
           error, over images, of single times the number of paths, added up over the lengths.
           `start` is the network before training, with statistics as in `whole`

CIFAR-10 is taken from the folder in RESNET_LIB_DATA, and the first test images of it. The networks
for the digits learn with the highest rate of --rate and a cosine, 60 epochs. Each seed has draws of
its own, the same ones for all its networks. Nothing is chosen by what comes out.
"""

import argparse
import math
import random
import sys
from functools import partial

import torch
from bench import case_by_case, record
from bench.lesion_draws import (
    different,
    most_swaps,
    own_paths,
    reordered,
    subset,
    swaps,
    turns_of,
)
from bench.lesion_subjects import (
    MEMBERS,
    NETWORKS,
    Ensemble,
    Pictures,
    block_names,
    error,
    fresh,
    network_of,
    pictures_of,
)
from bench.numbers import significant
from bench.options import at_least, json_file, positive
from torch import Tensor, nn

from resnet_lib import nets
from resnet_lib.paths import gradient_by_length, pass_blocks, without_blocks
from resnet_lib.switches import Switched

SEED = 0
ALL = ["resnet20", "resnet56", "plain20", "ensemble"]
KINDS = ("whole", "one", "many", "swapped", "paths")
PATH_BATCH = 32


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "lesions",
        options,
        SEED,
        [case for kind in options.kinds for case in cases(kind, options)],
        lambda case: measure(case, options),
        "{data:7} {network:8} seed {seed} {kind}",
        lambda row: f"  {str(row.get('errors', row.get('shares')))[:60]}",
    )


def cases(kind: str, options: argparse.Namespace) -> list[dict]:
    """The networks of which this is asked."""
    asked = {
        "whole": ("resnet20", "resnet56", "plain20"),
        "one": ("resnet20", "resnet56", "plain20"),
        "many": ("resnet20", "resnet56", "plain20", "ensemble"),
        "swapped": ("resnet20", "resnet56", "plain20"),
        "paths": ("resnet20", "resnet56"),
    }[kind]
    return [
        {"data": name, "network": network, "seed": seed, "kind": kind}
        for name in options.data
        for network in NETWORKS[name]
        if network in asked and network in options.networks
        for seed in (range(options.seeds) if name == "digits" else (0,))
    ]


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Lesion the network in one way."""
    model = network_of(case["data"], case["network"], case["seed"], options.rate, options.epochs)
    pictures = pictures_of(case["data"], options.images, options.known)
    ways = {"whole": whole, "one": one, "many": many, "swapped": swapped}
    if case["kind"] == "paths":
        torch.manual_seed(case["seed"])
        start = nets.by_name(case["network"], 10, pictures.images.shape[1])
        found = {"start": paths(fresh(start, pictures), pictures, options, case["seed"])}
        return found | paths(model, pictures, options, case["seed"])
    dice = random.Random(case["seed"])
    return {"error": error(model, pictures)} | ways[case["kind"]](model, pictures, options, dice)


def whole(model: nn.Module, pictures: Pictures, *_: object) -> dict:
    """Delete nothing: what new statistics do by themselves."""
    return {"error_fresh": error(fresh(model, pictures), pictures)}


def one(model: nn.Module, pictures: Pictures, *_: object) -> dict:
    """Delete each block in turn."""
    names = block_names(model)
    found = {"blocks": names, "errors": [], "errors_fresh": []}
    for name in names:
        cut = without_blocks(model, name)
        found["errors"].append(error(cut, pictures))
        found["errors_fresh"].append(error(fresh(cut, pictures), pictures))
    if model.layer1[0].residual:
        found["sizes"] = branch_sizes(model, pictures)
    return found


def many(
    model: nn.Module, pictures: Pictures, options: argparse.Namespace, dice: random.Random
) -> dict:
    """Delete several random blocks, or members of an ensemble, at once."""
    together = isinstance(model, Ensemble)
    parts = list(range(MEMBERS)) if together else block_names(model)
    most = len(parts) - together
    numbers = range(1, most + 1, 1 if len(parts) < 20 else 2)
    found = {"numbers": list(numbers), "errors": [], "errors_fresh": []}
    for number in numbers:
        rows: tuple[list[float], list[float]] = ([], [])
        for gone in different(partial(subset, parts, number, dice), options.draws):
            cut = model.without(gone) if together else without_blocks(model, *gone)
            rows[0].append(error(cut, pictures))
            if not together:
                rows[1].append(error(fresh(cut, pictures), pictures))
        found["errors"].append(rows[0])
        found["errors_fresh"].append(rows[1])
    return found


def swapped(
    model: nn.Module, pictures: Pictures, options: argparse.Namespace, dice: random.Random
) -> dict:
    """Swap random pairs of blocks within a stage; those that change the shape stay."""
    numbers = [number for number in options.swaps if number <= most_swaps(model)]
    drawn = [different(partial(swaps, model, n, dice), options.draws) for n in numbers]
    errors = [[error(reordered(model, pairs), pictures) for pairs in each] for each in drawn]
    return {"numbers": numbers, "errors": errors}


def rounded(values: Tensor) -> list[float]:
    """Four significant digits of each."""
    return [significant(value) for value in values.tolist()]


def paths(model: nn.Module, pictures: Pictures, options: argparse.Namespace, seed: int) -> dict:
    """The gradient by the length of its paths: means over images, in double precision."""
    model, count = without_blocks(model), len(block_names(model))
    model.to(torch.double, memory_format=torch.contiguous_format)
    dice, found = random.Random(seed), []
    images, labels = pictures.known.double()[: options.path_images], pictures.known_labels
    for rows in torch.arange(len(images)).split(PATH_BATCH):
        passes = pass_blocks(model, images[rows], labels[rows])
        parts = gradient_by_length(passes).flatten(2)  # (blocks + 1, N, C·H·W)
        single = torch.zeros(parts.shape[:2])
        for length in range(count + 1):
            for _ in range(options.draws):
                path = own_paths(passes, turns_of(len(rows), count, length, dice))
                single[length] += path.flatten(1).norm(dim=1) / options.draws
        whole = parts.sum(dim=0)  # (N, C·H·W)
        size = whole.norm(dim=1)
        shares = (parts * whole).sum(dim=2) / size.square()
        found.append(torch.stack([shares, parts.norm(dim=2) / size, single / size]))
    values = torch.cat(found, dim=2)  # (3, blocks + 1, images)
    many = torch.tensor([math.comb(count, length) for length in range(count + 1)]).double()
    spread = (many @ values[2]).std().item() / len(images) ** 0.5
    means = dict(zip(("shares", "norms", "single"), map(rounded, values.mean(dim=2)), strict=True))
    return means | {"total_error": significant(spread)}


@torch.no_grad()
def branch_sizes(model: nn.Module, pictures: Pictures) -> list[float]:
    """|F(x)| over |shortcut| of each block, a mean over 500 images."""
    switched = Switched(model)
    on = torch.ones(len(switched.names))
    signals = switched(pictures.images[:500], on, on)[1]
    sizes = [s.branch.flatten(1).norm(dim=1) / s.shortcut.flatten(1).norm(dim=1) for s in signals]
    return [significant(size.mean().item()) for size in sizes]


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="lesions.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="pictures (all)")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what is asked (all)")
    add("--networks", nargs="+", choices=ALL, default=ALL, help="networks (all)")
    add("--images", type=at_least(1), default=2000, metavar="N",
        help="test images of CIFAR-10 (2000)")  # fmt: skip
    add("--known", type=at_least(2), default=1000, metavar="N",
        help="training images of CIFAR-10 for statistics and gradients (1000)")  # fmt: skip
    add("--path-images", type=at_least(2), default=64, metavar="N",
        help="images whose gradients are taken apart (64)")  # fmt: skip
    add("--draws", type=at_least(1), default=5, metavar="N", help="random draws (5)")
    add("--swaps", nargs="+", type=at_least(1), default=[1, 2, 3, 4, 8, 12], metavar="N",
        help="swaps of two blocks (1 2 3 4 8 12)")  # fmt: skip
    add("--rate", type=positive, default=0.1, metavar="R", help="learning rate (0.1)")
    add("--epochs", type=at_least(1), default=60, metavar="N", help="epochs on the digits (60)")
    add("--seeds", type=at_least(1), default=5, metavar="N", help="seeds on the digits (5)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "lesions.json",
        metavar="FILE.json", help="the record (results/lesions.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

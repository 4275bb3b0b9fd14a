"""Training small networks on scikit-learn's 8 × 8 digits, and the options such scripts share."""

import argparse
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from bench import record
from bench.options import json_file
from resnet_lib import data

BATCH = 128


def training_errors(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> Iterator[float]:
    """Train in place, epoch after epoch, and yield each one's training error in percent.

    The error of an epoch is the share of images that the network got wrong while it went through
    them once. A loss that is not finite ends the training.
    """
    digits = data.digits()
    images, labels = digits.normalize(digits.train_images), digits.train_labels
    order = torch.Generator().manual_seed(seed)
    while True:
        wrong = 0
        for batch in torch.randperm(len(images), generator=order).split(BATCH):
            scores = net(images[batch])  # (B, 10)
            loss = F.cross_entropy(scores, labels[batch])
            if not math.isfinite(loss.item()):
                return
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wrong += (scores.argmax(dim=1) != labels[batch]).sum().item()
        yield round(100 * wrong / len(labels), 2)


def parse(
    experiment: str,
    description: str,
    epilog: str,
    words: list[str] | None,
    *,
    depths: list[int],
    epochs: int,
    seeds: int = 3,
    parts: dict[str, tuple] | None = None,
) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so.

    `parts` names sets of which a run may take a part, {"rates": (0.1, 0.3)} for --rates.
    """
    parser = argparse.ArgumentParser(
        prog=f"{experiment}.py",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    usual = " ".join(map(str, depths))
    add("--depths", nargs="+", type=depth, default=depths, metavar="N", help=f"layers ({usual})")
    add("--seeds", type=int, choices=range(1, 101), default=seeds, metavar="N",
        help=f"seeds ({seeds})")  # fmt: skip
    add("--epochs", type=int, choices=range(1, 1001), default=epochs, metavar="N",
        help=f"epochs ({epochs})")  # fmt: skip
    for name, whole in (parts or {}).items():
        usual = " ".join(map(str, whole))
        add(f"--{name}", nargs="+", type=type(whole[0]), choices=whole, default=list(whole),
            metavar=name[0].upper(), help=f"{name} ({usual})")  # fmt: skip
    add("--threads", type=int, choices=range(1, 257), default=1, metavar="N",
        help="CPU threads (1: the networks are small)")  # fmt: skip
    add("--device", choices=["cpu"], default="cpu", help="cpu: the networks are too small for more")
    add("--out", type=json_file, default=record.ROOT / "results" / f"{experiment}.json",
        metavar="FILE.json", help=f"the record (results/{experiment}.json)")  # fmt: skip
    return parser.parse_args(words)


def depth(text: str) -> int:
    """Read a depth of the CIFAR family."""
    if not text.isdecimal() or int(text) < 8 or int(text) % 6 != 2:
        raise argparse.ArgumentTypeError(f"must be 6n + 2, from 8 up, got {text!r}")
    return int(text)

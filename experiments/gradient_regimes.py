"""Does the gradient at the start tell how a network will train? Its size, or its direction?

Networks of the paper's CIFAR family, plain and residual, with and without batch norm, from several
starts, on scikit-learn's 8 × 8 digits. Each is probed before training:

  norms         length of the loss gradient for each layer's weights
  cosine        of the gradients of two batches, mean over the convolutions
  after_step    cosine of one batch's gradient before and after a small step, mean likewise
  neighbours    autocorrelation, at lag 1, of the input gradient on a path between two digits

Then each is trained by SGD with momentum and by Adam, at several learning rates. Adam's steps do
not depend on the size of the gradient, only on its direction and its steadiness. The error of an
epoch is the share of images that the network got wrong while it went through them once. After
each epoch the cosine of the same two batches' gradients is taken again.

A killed run goes on with the same command: each finished network is kept beside the record.
"""

import argparse
import copy
import sys
from itertools import islice, product

import torch
from bench import case_by_case, digits_training
from bench.numbers import significant
from torch import Tensor, nn

from resnet_lib import data, nets, probes, variants

SEED = 0
PATH = 128  # images on the path between two digits
ONE, OTHER = slice(0, 128), slice(128, 256)  # the two batches whose gradients are compared
STEP = 1e-3  # of each layer's length
OPTIMIZERS = {
    "SGD": lambda weights, rate: torch.optim.SGD(weights, lr=rate, momentum=0.9),
    # The usual eps of 1e-8 would bring the gradient's size back in where it is small.
    "Adam": lambda weights, rate: torch.optim.Adam(weights, lr=rate, eps=1e-16),
}
RATES = {"SGD": (0.1, 0.03), "Adam": (0.003, 0.001)}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "gradient_regimes",
        options,
        SEED,
        cases(options),
        lambda case: probe(**case) | {"training": train_all(case, options.epochs)},
        "{kind:8} {depth:3} layers  {norm:10} {start:10} seed {seed}",
        summary,
    )


def summary(result: dict) -> str:
    best = min(training["errors"][-1] for training in result["training"])
    return f" cosine {result['cosine']:5.2f}  best error {best:4.1f} %"


def cases(options: argparse.Namespace) -> list[dict]:
    """Return what distinguishes each network, in the order in which they are measured."""
    names = ["seed", "depth", "kind", "norm", "start"]
    values = product(
        range(options.seeds),
        options.depths,
        ("plain", "residual"),
        ("batch norm", "none"),
        ("he", "default", "zero gamma"),
    )
    found = [dict(zip(names, case, strict=True)) for case in values]
    # A silent branch needs a shortcut beside it, and a γ.
    return [
        case
        for case in found
        if case["start"] != "zero gamma"
        or (case["kind"], case["norm"]) == ("residual", "batch norm")
    ]


def build(seed: int, depth: int, kind: str, norm: str, start: str) -> nn.Module:
    """Return the network at its start."""
    torch.manual_seed(seed)
    net = nets.CifarResNet(depth, in_channels=1, residual=kind == "residual")
    if start == "default":
        for layer in net.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    if start == "zero gamma":
        nets.zero_gamma(net)
    if norm == "none":
        variants.without_batch_norm(net)
    return net


def probe(**case) -> dict:
    """Return the four measures of a network before training."""
    digits = data.digits()
    images, labels = digits.normalize(digits.train_images).double(), digits.train_labels
    net = build(**case).double()
    first = probes.layer_gradients(net, images[ONE], labels[ONE])
    second = probes.layer_gradients(net, images[OTHER], labels[OTHER])
    stepped = probes.layer_gradients(moved(net, first), images[ONE], labels[ONE])
    zero, unit = (images[ONE][labels[ONE] == digit][0] for digit in (0, 1))
    weights = torch.linspace(0, 1, PATH, dtype=torch.float64)[:, None, None, None]
    path = (1 - weights) * zero + weights * unit  # (PATH, 1, 8, 8)
    return {
        "norms": [significant(gradient.norm().item()) for gradient in first.values()],
        "cosine": mean_cosine(first, second),
        "after_step": mean_cosine(first, stepped),
        "neighbours": significant(probes.gradient_autocorrelation(net, path, lags=1)[1]),
    }


def moved(net: nn.Module, gradients: dict[str, Tensor]) -> nn.Module:
    """A copy whose layers have each gone down their gradient, by a thousandth of their length."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        for name, gradient in gradients.items():
            weight = net.get_submodule(name).weight
            if gradient.any():
                direction = (gradient / gradient.norm()).view_as(weight)
                weight -= STEP * weight.norm() * direction
    return net


def mean_cosine(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Mean over the convolutions whose gradients are not zero; 0 where all of them are."""
    cosines = [
        (one[name] / one[name].norm() @ (other[name] / other[name].norm())).item()
        for name in one
        if name != "fc" and one[name].any() and other[name].any()
    ]
    return significant(sum(cosines) / len(cosines)) if cosines else 0.0


def train_all(case: dict, epochs: int) -> list[dict]:
    """Train copies of the same start with each optimizer and rate."""
    return [
        {"optimizer": name, "rate": rate} | train(case, name, rate, epochs)
        for name, rates in RATES.items()
        for rate in rates
    ]


def train(case: dict, optimizer_name: str, rate: float, epochs: int) -> dict[str, list[float]]:
    """Return each epoch's training error in percent and the cosine after it.

    Where the loss stops being finite, the epochs that are left have an error of 90.
    """
    digits = data.digits()
    images = digits.normalize(digits.train_images)
    net = build(**case)
    optimizer = OPTIMIZERS[optimizer_name](net.parameters(), rate)
    errors, cosines = [], []
    for error in islice(digits_training.training_errors(net, optimizer, case["seed"]), epochs):
        errors.append(error)
        one, other = (
            probes.layer_gradients(net, images[batch], digits.train_labels[batch])
            for batch in (ONE, OTHER)
        )
        cosines.append(mean_cosine(one, other))
    return {"errors": errors + [90.0] * (epochs - len(errors)), "cosines": cosines}


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    epilog = "The defaults take about a quarter of an hour on one CPU core."
    shared = {"depths": [8, 20, 56], "epochs": 6}
    return digits_training.parse("gradient_regimes", __doc__, epilog, words, **shared)


if __name__ == "__main__":
    sys.exit(main())

"""Does a residual network get 94 % of CIFAR-10 right for as little arithmetic as the fastest do?

Keller Jordan's airbench94 is published with 0.36 PFLOP (10¹⁵ floating-point operations) of
training, airbench94_spectral with 0.29 (https://github.com/KellerJordan/cifar10-airbench). Their
network has no shortcuts. This one is as large, and residual: bench/speed_network.py. Its recipe is
airbench94_muon's: batches of 2,000, label smoothing 0.2, rates that fall linearly to 0, Muon for
the convolutions, whose weights are kept at one length, SGD with momentum 0.85 for biases and the
linear layer, crops of reflected borders, images mirrored in every second epoch.

A row for each case and seed:

  case                all tricks, or what was left out or exchanged, see --cases
  steps               updates; --epochs times the number of whole batches
  petaflops           operations of all steps, in 10¹⁵: forward, backward and optimisers, as
                      torch.utils.flop_counter counts convolutions and matrix products
  losses              of each epoch's batches, with label smoothing
  error               in percent of the test images, or with --held-out of the images held out
  error_one_view      without the mean over six views of a picture (mirrored, moved by a pixel)
  seconds             of training; what else the machine did is in them

A killed run goes on with the same command, with the case and seed it was at.
"""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from bench import case_by_case, measure, record
from bench.options import at_least, json_file, positive
from bench.speed_network import Convolution, SpeedResNet
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from resnet_lib import data
from resnet_lib.train.precision import DTYPES, pick_precision

BATCH = 2000
SMOOTHING = 0.2
FILTER_RATE, BIAS_RATE, LINEAR_RATE = 0.24, 0.053, 0.67  # of a loss summed over the batch
DECAY = 2e-6 * BATCH  # share of SGD's weights that goes at each step, momentum not counted
STEM_EPOCHS = 3  # as long its bias learns
SHIFT = 2
PLAIN_RATE = 0.0015  # SGD's for the convolutions, in place of Muon's
CASES = {
    "all": "with all tricks",
    "no shortcut": "F(x) in place of x' + F(x), the plain twin",
    "random stem": "random filters in place of those that whiten",
    "random start": "no filter passes its input on at first",
    "random mirroring": "each image mirrored with probability 1/2 in each epoch",
    "no crops": "images as they are",
    "no smoothing": "labels as they are",
    "small bias rate": "a 64th of the rate for biases",
    "free length": "lengths of the weights are not kept",
    "no Muon": "SGD for the convolutions too",
}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    measure.keep_freed_memory()
    images = data.cifar10(download=False)
    cases = [{"case": case, "seed": seed} for case in options.cases for seed in options.seeds]
    return case_by_case.carry_out(
        "speed_run",
        options,
        min(options.seeds),
        cases,
        lambda case: run(case, images, options),
        "{case}, seed {seed}",
        lambda row: f" {row['petaflops']:.3f} PFLOP, error {row['error']:.2f} %",
    )


def run(case: dict, images: data.ImageData, options: argparse.Namespace) -> dict:
    """Train one network and judge it once."""
    torch.manual_seed(case["seed"])
    kept = len(images.train_images) - options.held_out
    device, dtype = torch.device(options.device), DTYPES[options.precision]
    shared = {"device": device, "dtype": dtype, "memory_format": torch.channels_last}
    normalize = data.Normalize(images.mean, images.std)
    known = normalize(images.train_images[:kept]).to(**shared)
    labels = images.train_labels[:kept].to(device)
    judged = images.test_images, images.test_labels
    if options.held_out:
        judged = images.train_images[kept:], images.train_labels[kept:]
    asked = normalize(judged[0]).to(**shared)
    model = network(case["case"], known).to(device)
    found = train(model, known, labels, case["case"], options.epochs, options.rate)
    scores = six_views(model, asked)
    rows = {"error": scores["six"], "error_one_view": scores["one"]}
    for name, said in rows.items():
        wrong = (said.argmax(1).cpu() != judged[1]).float().mean().item()
        found[name] = round(100 * wrong, 3)
    return found


def network(case: str, images: Tensor) -> SpeedResNet:
    return SpeedResNet(
        images,
        whitened=case != "random stem",
        shortcut=case != "no shortcut",
        dirac=case != "random start",
    )


def train(
    model: SpeedResNet, images: Tensor, labels: Tensor, case: str, epochs: float, rate: float
) -> dict:
    """Teach the network; return what the record keeps of that."""
    batch = min(BATCH, len(images))
    per_epoch = len(images) // batch
    steps, stem_steps = math.ceil(epochs * per_epoch), STEM_EPOCHS * per_epoch
    filters = [m.weight for m in model.modules() if isinstance(m, Convolution)]
    optimizers, stem = optimizers_of(model, filters, case, rate)
    rates = [(group, group["lr"]) for one in optimizers for group in one.param_groups]
    smoothing = 0.0 if case == "no smoothing" else SMOOTHING
    losses: list[float] = []
    counted, begun, step = 0, time.perf_counter(), 0
    model.train()
    for views in epochs_of(images, case):
        order = torch.randperm(len(images), device=images.device)
        spent, first = torch.zeros((), device=images.device), step
        for some in order[: per_epoch * batch].split(batch):
            for group, highest in rates:
                last = stem_steps if group is stem else steps
                group["lr"] = highest * max(0.0, 1 - step / last)
            model.stem.bias.requires_grad_(step < stem_steps)
            with FlopCounterMode(display=False) as counter:
                scores = model(views[some])
                loss = F.cross_entropy(
                    scores, labels[some], label_smoothing=smoothing, reduction="sum"
                )
                loss.backward()
                if case != "free length":
                    keep_length(filters)
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
            counted += counter.get_total_flops()
            spent += loss.detach() / batch
            step += 1
            if step == steps:
                break
        losses.append(round(spent.item() / (step - first), 4))
        if step == steps:
            break
    seconds = round(time.perf_counter() - begun, 1)
    return {
        "steps": steps, "petaflops": counted / 1e15, "losses": losses, "seconds": seconds,
    }  # fmt: skip


def optimizers_of(
    model: SpeedResNet, filters: list[nn.Parameter], case: str, rate: float
) -> tuple[list[torch.optim.Optimizer], dict]:
    """Muon and SGD, and SGD's group of the stem's bias."""
    biases = [m.bias for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    bias_rate = BIAS_RATE / 64 if case == "small bias rate" else BIAS_RATE
    groups = [
        {"params": [model.stem.bias], "lr": bias_rate},
        {"params": biases, "lr": bias_rate},
        {"params": [model.fc.weight], "lr": LINEAR_RATE},
    ]
    if case == "no Muon":
        groups.append({"params": filters, "lr": PLAIN_RATE})
    groups = [group | {"weight_decay": DECAY / group["lr"]} for group in groups]
    sgd = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    if case == "no Muon":
        return [sgd], sgd.param_groups[0]
    muon = torch.optim.Muon(filters, lr=rate, momentum=0.6, weight_decay=0.0, ns_steps=3)
    return [sgd, muon], sgd.param_groups[0]


@torch.no_grad()
def keep_length(filters: list[nn.Parameter]) -> None:
    """Give each weight the length that makes its filters 1 long in the mean of squares."""
    for weight in filters:
        weight.mul_(len(weight) ** 0.5 / weight.norm())


def epochs_of(images: Tensor, case: str) -> Iterator[Tensor]:
    """The images as each epoch sees them."""
    mirrored = torch.rand(len(images), device=images.device) < 0.5
    for epoch in itertools.count():
        if case == "random mirroring" and epoch:
            mirrored = torch.rand(len(images), device=images.device) < 0.5
        elif epoch:
            mirrored = ~mirrored
        views = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
        yield views if case == "no crops" else crops(views)


def crops(images: Tensor) -> Tensor:
    """Move each image by up to two pixels in both directions; the border is a reflection."""
    size = images.shape[-1]
    padded = reflected(images, SHIFT)
    out = torch.empty_like(images)
    moves = torch.randint(2 * SHIFT + 1, (len(images), 2), device=images.device)
    for down, right in itertools.product(range(2 * SHIFT + 1), repeat=2):
        some = (moves == moves.new_tensor([down, right])).all(1)
        out[some] = padded[some, :, down : down + size, right : right + size]
    return out


def reflected(images: Tensor, width: int) -> Tensor:
    # float: on a CPU PyTorch reflects no bfloat16.
    padded = F.pad(images.float(), (width,) * 4, "reflect").to(images.dtype)
    return padded.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def six_views(model: SpeedResNet, images: Tensor) -> dict[str, Tensor]:
    """Scores of the images alone, and with a half of the weight for views a pixel away."""
    model.eval()
    size, found = images.shape[-1], {"one": [], "six": []}
    for some in images.split(BATCH // 2):
        padded = reflected(some, 1)
        moved = padded[..., :size, :size], padded[..., 2:, 2:]
        one, *others = (torch.stack([model(v), model(v.flip(-1))]) for v in (some, *moved))
        found["one"].append(one[0])
        found["six"].append(one.mean(0) / 2 + torch.stack(others).mean((0, 1)) / 2)
    return {name: torch.cat(parts) for name, parts in found.items()}


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="speed_run.py",
        description=__doc__,
        epilog="Cases: " + "; ".join(f"{name}: {what}" for name, what in CASES.items())
        + ". CIFAR-10 is looked for in RESNET_LIB_DATA.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--cases", nargs="+", choices=CASES, default=["all"], metavar="CASE", help="(all)")
    add("--seeds", nargs="+", type=at_least(0), default=list(range(5)), metavar="N",
        help="(0 1 2 3 4)")  # fmt: skip
    add("--epochs", type=positive, default=8.0, metavar="E", help="length; parts of one too (8)")
    add("--rate", type=positive, default=FILTER_RATE, metavar="R", help=f"Muon's ({FILTER_RATE})")
    add("--held-out", type=int, choices=[0, 5000], default=0,
        help="training images held out to choose by; 0: train with all, and test (0)")  # fmt: skip
    add("--precision", choices=["auto", "bf16", "fp32"], default="auto",
        help="auto: bf16 where the processor multiplies it (auto)")  # fmt: skip
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: the GPU, if any")
    add("--threads", type=at_least(1), help="CPU threads (default: one per usable core)")
    add("--out", type=json_file, default=record.ROOT / "results" / "speed_run.json",
        metavar="FILE", help="the record (results/speed_run.json)")  # fmt: skip
    options = parser.parse_args(words)
    case_by_case.settle_machine(options, parser)
    if options.precision == "auto":
        options.precision = pick_precision(torch.device(options.device))
    return options


if __name__ == "__main__":
    sys.exit(main())

"""Compare this book's ResNets with torchvision's: speed and memory, same weights, same input.

Each case takes one network, one mode, one batch and one image size. The networks run in the same
process and take turns, and the order turns round with each round. What is compared is the ratio
ours / torchvision within each round: 1.00 means equally fast, 1.05 means that ours takes 5 % more.
A second copy of torchvision's runs along: its ratio is the control, and shows what chance does.
Milliseconds hold for the machine that the record names; ratios carry further.

  training    forward, cross-entropy, backward, SGD step with momentum (32-bit floats)
  inference   forward in eval mode, in torch.inference_mode()

A killed run goes on with the same command: each finished case is kept beside the record.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import product
from statistics import median

import torch
import torch.nn.functional as F
import torchvision
from bench import case_by_case, measure, record
from bench.numbers import ratio_spread, significant
from bench.options import at_least, json_file
from torch import Tensor, nn

from resnet_lib import nets

NETWORKS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
MODES = ["training", "inference"]
PAIR = ["ours", "torchvision"]
SEED = 0
LEAST_ROUNDS = 6
WARM_UP_ROUNDS = 2
CLASSES = 1000


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "bench_parity",
        options,
        SEED,
        cases(options),
        lambda case: compare(**case, options=options),
        "{network:9} {mode:9}  batch {batch:3}  {size} px",
        summary,
    )


def cases(options: argparse.Namespace) -> list[dict]:
    """Return what distinguishes each case, in the order in which they are measured."""
    names = ["network", "size", "batch", "mode"]
    values = product(options.networks, options.sizes, options.batches, MODES)
    return [dict(zip(names, case, strict=True)) for case in values]


def compare(network: str, mode: str, batch: int, size: int, options: argparse.Namespace) -> dict:
    """Measure one case; the random numbers are drawn anew from the seed, whatever ran before."""
    torch.manual_seed(SEED)
    x = torch.randn(batch, 3, size, size).to(options.device)
    y = torch.randint(CLASSES, (batch,)).to(options.device)
    make = {"training": training, "inference": inference}[mode]
    sides = {name: make(model, x, y) for name, model in networks(network, options.device).items()}
    steps = {name: step for name, (step, _) in sides.items()}

    ours, theirs, _ = (step() for step in steps.values())
    difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    warm = measure.alternate(steps, WARM_UP_ROUNDS, options.device)
    rounds = rounds_within(options, sum(times[-1] for times in warm.values()) / 1000)
    times = measure.alternate(steps, rounds, options.device)
    peaks = {name: peak(*sides[name], x, y, options.device) for name in PAIR}
    return {
        "rounds": rounds,
        "milliseconds": {name: significant(median(times[name])) for name in PAIR},
        "ratio": ratio_spread(times["ours"], times["torchvision"]),
        "control": ratio_spread(times["control"], times["torchvision"]),
        "peak_bytes": peaks,
        "peak_ratio": round(peaks["ours"] / peaks["torchvision"], 4),
        "relative_difference": significant(difference),
    }


def networks(name: str, device: str) -> dict[str, nn.Module]:
    """Return our network and two of torchvision's, all with the same weights."""
    origin = {"ours": nets, "torchvision": torchvision.models, "control": torchvision.models}
    models = {side: getattr(module, name)(num_classes=CLASSES) for side, module in origin.items()}
    for model in models.values():
        model.load_state_dict(models["ours"].state_dict(), strict=True)
    return {side: model.to(device) for side, model in models.items()}


# A step, which returns the logits; and a function that frees what the next step would free first,
# and returns the tensors that stay.
Side = tuple[Callable[[], Tensor], Callable[[], list[Tensor]]]


def training(model: nn.Module, x: Tensor, y: Tensor) -> Side:
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        logits = model(x)
        F.cross_entropy(logits, y).backward()
        optimizer.step()
        return logits.detach()

    def stays() -> list[Tensor]:
        optimizer.zero_grad(set_to_none=True)
        momenta = [state["momentum_buffer"] for state in optimizer.state.values()]
        return [*model.parameters(), *model.buffers(), *momenta]

    return step, stays


def inference(model: nn.Module, x: Tensor, _: Tensor) -> Side:
    model.eval()

    def step() -> Tensor:
        with torch.inference_mode():
            return model(x)

    def stays() -> list[Tensor]:
        return [*model.parameters(), *model.buffers()]

    return step, stays


def peak(step: Callable, stays: Callable, x: Tensor, y: Tensor, device: str) -> int:
    """Most bytes of tensors that one network's step holds at a time, weights and input included.

    The other network, which lies in the same memory, is not counted.
    """
    held = measure.held_bytes([*stays(), x, y])
    return held + measure.peak_rise(step, device)


def rounds_within(options: argparse.Namespace, seconds: float) -> int:
    """How many rounds of this length the budget allows: at least 6, at most --rounds."""
    return min(options.rounds, max(LEAST_ROUNDS, int(options.budget / seconds)))


def summary(result: dict) -> str:
    ms, ratio, control = (result[name] for name in ("milliseconds", "ratio", "control"))
    return (
        f" {result['rounds']:3} rounds  {ms['ours']:7.1f} : {ms['torchvision']:7.1f} ms"
        f"  ratio {ratio['median']:.3f} ({ratio['lower_quartile']:.3f}"
        f" to {ratio['upper_quartile']:.3f})  control {control['median']:.3f}"
        f"  memory {result['peak_ratio']:.3f}"
    )


# The command line.


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="bench_parity.py",
        description=__doc__,
        epilog="The defaults are 12 cases; each takes a minute, or 6 rounds if those take longer.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: the GPU, if any")
    add("--threads", type=at_least(1), help="CPU threads (default: one per usable core)")
    add("--rounds", type=at_least(2), default=50, help="most rounds of a case (50)")
    add("--budget", type=at_least(0), default=60, metavar="SECONDS",
        help="a case takes fewer rounds to stay within it, but 6 at least (60)")  # fmt: skip
    add("--networks", nargs="+", choices=NETWORKS, default=["resnet18", "resnet50"], metavar="NAME",
        help=f"of {', '.join(NETWORKS)} (resnet18 resnet50)")  # fmt: skip
    add("--batches", nargs="+", type=at_least(1), default=[1, 8, 32], help="images (1 8 32)")
    add("--sizes", nargs="+", type=at_least(1), default=[224], help="pixels per side (224)")
    add("--out", type=json_file, default=record.ROOT / "results" / "bench_parity.json",
        metavar="FILE.json", help="where the record goes (results/bench_parity.json)")  # fmt: skip
    options = parser.parse_args(words)
    complete(options, parser)
    return options


def complete(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Fill in what depends on the machine, and refuse what does not go together."""
    case_by_case.settle_machine(options, parser)
    for name in ("networks", "batches", "sizes"):
        values = getattr(options, name)
        if len(set(values)) < len(values):
            parser.error(f"argument --{name}: names something twice, got {values}")
    # Up to 32 pixels the last stage has one position, and batch norm cannot train on one value.
    if min(options.sizes) <= 32 and min(options.batches) == 1:
        parser.error(f"argument --sizes: must be at least 33 with batch 1, got {options.sizes}")


if __name__ == "__main__":
    measure.keep_freed_memory()
    sys.exit(main())

"""What two processes on one machine pay to agree: all-reduce by size, and the training step.

Two processes are started as torchrun starts them, with one CPU thread each and gloo between them
(or with --device cuda one GPU each and nccl).

  all-reduce  milliseconds to sum a tensor of so many bytes over both processes
  step        milliseconds of a training step (forward, cross-entropy, backward, SGD), with `batch`
              images in each process:
                alone       process 0 alone, while the other one waits
                beside      both at once, each for itself
                together    both at once, as DistributedDataParallel, which averages the gradients
                all-reduce  summing a vector as long as the gradient, and nothing else
                whole       process 0 alone, with all the images of both

All of them are done once per round, in an order that turns round with each round. A time is that of
the slower process. Quartiles are over rounds.

A killed run goes on with the same command: each finished case is kept beside the record.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from bench import case_by_case, measure, record
from bench.numbers import spread
from bench.options import at_least, json_file
from torch import Tensor, nn

from resnet_lib import nets
from resnet_lib.train import World, join

SEED = 0
BYTES = [4**k for k in range(5, 14)] + [100_000_000]
NETWORKS = {"resnet20": (partial(nets.CifarResNet, 20), 32), "resnet18": (nets.resnet18, 64)}
BATCHES = [2, 8, 32]
WARM_UP_ROUNDS = 2
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
Step = Callable[[], object]


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "two_processes",
        options,
        SEED,
        cases(options),
        lambda case: in_two_processes(case, options),
        "{what:10} {network:8} batch {batch:3}  {bytes:9} bytes",
        lambda result: "  " + "  ".join(f"{k} {v['median']:g}" for k, v in times_of(result)),
    )


def times_of(result: dict) -> list[tuple[str, dict]]:
    return list(result["milliseconds"].items())


def cases(options: argparse.Namespace) -> list[dict]:
    """Return what distinguishes each case, in the order in which they are measured."""
    sizes = [{"what": "all-reduce", "network": "", "batch": 0, "bytes": n} for n in options.bytes]
    steps = [
        {"what": "step", "network": name, "batch": batch, "bytes": gradient_bytes(name)}
        for name in options.networks
        for batch in options.batches
    ]
    return sizes + steps


def gradient_bytes(network: str) -> int:
    """Bytes of a network's gradient, in 32-bit floats."""
    with torch.device("meta"):
        return sum(p.nbytes for p in NETWORKS[network][0]().parameters())


def in_two_processes(case: dict, options: argparse.Namespace) -> dict:
    """Start both processes, and return what they measured."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        told = case | {"rounds": options.rounds, "device": options.device, "out": str(out)}
        command = [sys.executable, *LAUNCH, str(Path(__file__).resolve()), "--in-process"]
        job = subprocess.run([*command, json.dumps(told)], capture_output=True, text=True)
        if job.returncode:
            raise RuntimeError(f"the two processes ended with an error:\n{job.stderr}")
        return json.loads(out.read_text(encoding="utf-8"))


def in_process(told: dict) -> None:
    """What each process does: measure a case; process 0 writes down what was found."""
    torch.set_num_threads(1)
    measure.keep_freed_memory()
    with join(told["device"]) as world:
        torch.manual_seed(SEED)
        if told["what"] == "all-reduce":
            steps = {"all-reduce": adding(told["bytes"], world)}
        else:
            steps = training(told["network"], told["batch"], world)
        alternate(steps, WARM_UP_ROUNDS, world)
        times = alternate(steps, told["rounds"], world)
        found = {"milliseconds": {name: spread(values) for name, values in times.items()}}
        if world.is_main:
            Path(told["out"]).write_text(json.dumps(found), encoding="utf-8")


def adding(size: int, world: World) -> Step:
    """An all-reduce of so many bytes of 32-bit floats."""
    values = torch.zeros(size // 4, device=world.device)
    return lambda: world.sum(values)


def training(network: str, batch: int, world: World) -> dict[str, Step]:
    """The steps that are compared; where a process has nothing to do, its step is empty."""
    make, side = NETWORKS[network]
    model = make().to(world.device)
    shared = world.wrap(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    images = torch.randn(2 * batch, 3, side, side, device=world.device)
    labels = torch.randint(10, (2 * batch,), device=world.device)

    def step(net: nn.Module, x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    def nothing() -> None:
        pass

    half = images[:batch], labels[:batch]
    return {
        "alone": partial(step, model, *half) if world.is_main else nothing,
        "beside": partial(step, model, *half),
        "together": partial(step, shared, *half),
        "all-reduce": adding(gradient_bytes(network), world),
        "whole": partial(step, model, images, labels) if world.is_main else nothing,
    }


def alternate(steps: dict[str, Step], rounds: int, world: World) -> dict[str, list[float]]:
    """Time each step once per round, in milliseconds, and take the slower process's time."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    for _ in range(rounds):
        for name in order:
            world.any(False)  # both begin together
            mine = measure.milliseconds(steps[name], world.device.type)
            times[name].append(max(world.gather(mine)))
        order.reverse()
    return times


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="two_processes.py",
        description=__doc__,
        epilog="The defaults take about five minutes on two idle CPU cores.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--bytes", nargs="+", type=four, default=BYTES, metavar="N",
        help=f"sizes of the tensors to sum ({' '.join(map(str, BYTES))})")  # fmt: skip
    add("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS), metavar="NAME",
        help=f"of {', '.join(NETWORKS)} (all)")  # fmt: skip
    add("--batches", nargs="+", type=at_least(1), default=BATCHES, metavar="N",
        help=f"images in each process ({' '.join(map(str, BATCHES))})")  # fmt: skip
    add("--rounds", type=at_least(1), default=20, metavar="N", help="rounds in each case (20)")
    add("--threads", type=int, choices=[1], default=1, help="CPU threads of each process (1)")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="two CPU processes, or two GPUs")
    add("--out", type=json_file, default=record.ROOT / "results" / "two_processes.json",
        metavar="FILE.json", help="the record (results/two_processes.json)")  # fmt: skip
    options = parser.parse_args(words)
    if options.rounds < 2:
        parser.error("argument --rounds: must be at least 2, for quartiles")
    return options


def four(text: str) -> int:
    """Read a number of bytes that 32-bit floats can fill."""
    if at_least(1)(text) % 4:
        raise argparse.ArgumentTypeError(f"must be a multiple of 4, got {text!r}")
    return int(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-process"]:
        in_process(json.loads(sys.argv[2]))
    else:
        sys.exit(main())

"""How fast can a network be trained on this machine? A ladder, one change at a time.

  machine     the fastest matrix product and copy found here; on a GPU also what it costs to start
              a kernel, one by one and in a CUDA graph
  ladder      images per second and memory of each rung, from the loop that the tutorials have
              (PIL images, 32-bit floats, batch 128) up. Each rung is the one below it with one
              change, and runs in a process of its own, because what the C library does with freed
              memory holds for a whole process. The processes take turns. Beside it the floor: what
              arithmetic and memory traffic alone would take
  precision   time and memory of a step in 32-bit floats, bfloat16 and, on a GPU, float16 with a
              gradient scaler, in both layouts, for several networks, image sizes and batches
  bf16        CPU: the same for one network, with only some of the processor's instructions allowed
  overhead    time of a step in the library's `fit` and in the barest loop that does the same, in
              turns within one run. A second bare loop is the control: it shows what chance does

The rungs: naive; memory (CPU: freed memory is kept); workers (loading in processes of their own, on
a GPU into pinned memory); data (images and augmentation on the device, no workers); no-wait (GPU:
no loss.item() per step); benchmark (GPU: cudnn.benchmark); bf16; channels-last; batch (512 with
four times the rate); compile; fused (GPU: SGD in one kernel); graph (GPU: the whole step as one
CUDA graph). On GPUs since Ampere PyTorch's 32-bit convolutions use TF32, as its default is.

A killed run goes on with the same command: each finished case is kept beside the record.
"""

import argparse
import sys
from statistics import median

import torch
from bench import (
    case_by_case,
    ladder_floor,
    ladder_overhead,
    ladder_precision,
    ladder_rungs,
    ladder_turns,
    measure,
    record,
)
from bench.numbers import ratio_spread, significant
from bench.options import at_least, json_file

SEED = ladder_rungs.SEED
PARTS = ["machine", "ladder", "precision", "bf16", "overhead"]
NETWORKS = ["resnet8", "resnet20", "resnet56", "resnet110", "resnet18"]
# Depth, pixels, batch and format of the steps in which `fit` is compared with a bare loop.
OVERHEADS = [
    (8, 8, 128, "fp32"), (20, 16, 64, "fp32"),
    (20, 32, 32, "bf16"), (20, 32, 128, "fp32"), (20, 32, 128, "bf16"),
]  # fmt: skip
RESTRICTED = {"network": "resnet20", "size": 32, "batch": 16}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "training_ladder",
        options,
        SEED,
        cases(options),
        lambda case: measure_case(options=options, **case),
        "{part:9} {what}",
        summary,
    )


def cases(options: argparse.Namespace) -> list[dict]:
    """Return what distinguishes each case, in the order in which they are measured."""
    compared = ladder_precision.CASES[options.device]
    steps = [dict(zip(("depth", "size", "batch", "precision"), c, strict=True)) for c in OVERHEADS]
    found = {
        "machine": [{"what": "arithmetic and copying"}],
        "ladder": [{"what": name, "network": name} for name in options.networks],
        "precision": [{"what": "{network}, {size} px, batch {batch}".format(**c)} | c
                      for c in compared],
        "bf16": [{"what": "by instructions"} | RESTRICTED] if options.device == "cpu" else [],
        "overhead": [{"what": "resnet{depth}, {size} px, batch {batch}, {precision}".format(**c)}
                     | c for c in steps],
    }  # fmt: skip
    return [{"part": p} | case for p in PARTS if p in options.parts for case in found[p]]


def measure_case(part: str, what: str, options: argparse.Namespace, **case) -> dict:
    """Measure one case."""
    if part == "machine":
        return ladder_floor.machine(options.device)
    if part == "ladder":
        floor = ladder_floor.floor(case["network"], options.device)
        return ladder_turns.climb_all(case["network"], options) | {"floor": floor}
    if part == "precision":
        try:
            return ladder_precision.compare(**case, device=options.device, rounds=options.rounds)
        except torch.OutOfMemoryError:
            return {"steps": [], "left_out": "out of memory"}
    if part == "bf16":
        return ladder_precision.restrict(**case, threads=options.threads, rounds=options.rounds)
    steps = 1 if options.device == "cpu" else 50
    times = ladder_overhead.overhead(
        **case, device=options.device, turns=5 * options.rounds, steps=steps
    )
    return {
        "milliseconds": {name: significant(median(values)) for name, values in times.items()},
        "ratio": ratio_spread(times["fit"], times["bare"]),
        "control": ratio_spread(times["control"], times["bare"]),
    }


def summary(found: dict) -> str:
    if found["part"] == "machine":
        speeds = found["operations_per_second"].items()
        each = ", ".join(f"{name} {value / 1e9:.0f} GFLOP/s" for name, value in speeds)
        return f"  {each}, copy {found['bytes_per_second'] / 1e9:.0f} GB/s"
    if found["part"] == "ladder":
        rungs = [
            f"\n     {one['rung']:14} {one['images_per_second']:8.0f} images/s"
            f"  {one['times_naive']['median']:5.2f} ×  {one['peak_bytes'] / 2**20:6.0f} MiB"
            for one in found["rungs"]
        ]
        return "".join(rungs + [f"\n     {n:14} {why}" for n, why in found["left_out"].items()])
    if found["part"] in ("precision", "bf16"):
        return ladder_precision.summary(found)
    return f"  {found['ratio']['median']:.3f} of bare, control {found['control']['median']:.3f}"


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="training_ladder.py",
        description=__doc__,
        epilog="The defaults take about a quarter of an hour on two CPU cores.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: the GPU, if any")
    add("--threads", type=at_least(1), help="CPU threads (default: one per usable core)")
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (all)")
    add("--networks", nargs="+", choices=NETWORKS, metavar="NAME",
        help="of the ladder (resnet20; on a GPU resnet20 resnet56 resnet18)")  # fmt: skip
    rungs = list(ladder_rungs.CHANGES)
    add("--rungs", nargs="+", choices=rungs, default=rungs, help="of the ladder (all)")
    add("--rounds", type=at_least(2), default=12, help="turns of each (12)")
    add("--turn", type=float, default=1.0, help="seconds of a rung's turn, about (1.0)")
    add("--images", type=at_least(512), default=50000, help="in the data set (50000)")
    add("--data", choices=["synthetic", "cifar10"], default="synthetic",
        help="synthetic: noise of CIFAR-10's form; cifar10: from RESNET_LIB_DATA")  # fmt: skip
    default = record.ROOT / "results" / "training_ladder.json"
    add("--out", type=json_file, default=default, metavar="FILE.json",
        help="where the record goes (results/training_ladder.json)")  # fmt: skip
    options = parser.parse_args(words)
    complete(options, parser)
    return options


def complete(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Fill in what depends on the machine, and refuse what does not go together."""
    case_by_case.settle_machine(options, parser)
    options.networks = options.networks or (
        ["resnet20", "resnet56", "resnet18"] if options.device == "cuda" else ["resnet20"]
    )
    for name in ("parts", "networks", "rungs"):
        values = getattr(options, name)
        if len(set(values)) < len(values):
            parser.error(f"argument --{name}: names something twice, got {values}")
    if options.rungs[0] != "naive":
        parser.error(f"argument --rungs: must begin with naive, got {options.rungs}")
    if options.turn <= 0:
        parser.error(f"argument --turn: must be above 0, got {options.turn}")


if __name__ == "__main__":
    measure.keep_freed_memory()
    sys.exit(main())

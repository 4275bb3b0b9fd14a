"""A step in fewer bits: how much faster, and how much less memory?"""

import os
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn

from bench import measure
from bench.numbers import ratio_spread, significant
from bench.partners import Partner
from resnet_lib import nets

SEED = 0
CLASSES = 10
WARM_UP_ROUNDS = 2
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SIZES = {
    "cpu": [
        ("resnet20", 32, 16), ("resnet20", 32, 128), ("resnet56", 32, 32), ("resnet18", 64, 16),
        ("resnet18", 224, 1), ("resnet18", 224, 8), ("resnet50", 64, 16), ("resnet50", 224, 4),
    ],
    "cuda": [
        ("resnet20", 32, 128), ("resnet20", 32, 1024), ("resnet56", 32, 128),
        ("resnet18", 64, 64), ("resnet18", 224, 1), ("resnet18", 224, 8), ("resnet18", 224, 128),
        ("resnet50", 224, 8), ("resnet50", 224, 128),
    ],
}  # fmt: skip
CASES = {
    device: [dict(zip(("network", "size", "batch"), case, strict=True)) for case in sizes]
    for device, sizes in SIZES.items()
}
INSTRUCTIONS = ["AVX2", "AVX512_CORE", "ALL"]  # as oneDNN names them
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}


def compare(network: str, size: int, batch: int, device: str, rounds: int) -> dict:
    """Time and memory of a training step in each format and layout, in turns.

    `faster` is the time in fp32 over the time in that format, round by round, in the same layout.
    float16 is measured on a GPU only, with a gradient scaler.
    """
    formats = ["fp32", "bf16", *(["fp16"] if device == "cuda" else [])]
    sides = {
        (name, layout): make_side(network, size, batch, name, layout, device)
        for name in formats
        for layout in LAYOUTS
    }
    steps = {side: step for side, (step, _) in sides.items()}
    measure.alternate(steps, WARM_UP_ROUNDS, device)
    times = measure.alternate(steps, rounds, device)
    peaks = {side: peak() for side, (_, peak) in sides.items()}
    return {
        "steps": [
            {
                "precision": name,
                "layout": layout,
                "milliseconds": significant(median(times[name, layout])),
                "faster": ratio_spread(times["fp32", layout], times[name, layout]),
                "peak_bytes": peaks[name, layout],
                "memory": round(peaks[name, layout] / peaks["fp32", layout], 4),
            }
            for name, layout in sides
        ]
    }


def restrict(network: str, size: int, batch: int, threads: int, rounds: int) -> dict:
    """Time a step in fp32 and bf16 on a CPU that may use only some of its instructions.

    oneDNN, which does PyTorch's convolutions on a CPU, reads once and for all which ones it may
    use. So each set has a process of its own. A set that the processor lacks changes nothing.
    """
    variable, found = "ONEDNN_MAX_CPU_ISA", []
    before = os.environ.get(variable)
    try:
        for name in INSTRUCTIONS:
            os.environ[variable] = name
            with Partner(both_formats, network, size, batch, threads) as partner:
                times = partner.ask("alternate", rounds)
            found.append(
                {
                    "instructions": name,
                    "milliseconds": {k: significant(median(v)) for k, v in times.items()},
                    "faster": ratio_spread(times["fp32"], times["bf16"]),
                }
            )
    finally:
        del os.environ[variable]
        if before is not None:
            os.environ[variable] = before
    return {"allowed": found}


def both_formats(network: str, size: int, batch: int, threads: int) -> dict[str, Callable]:
    """Set up a step in fp32 and one in bf16, which can be timed in turns."""
    measure.keep_freed_memory()
    torch.set_num_threads(threads)
    sides = {
        name: make_side(network, size, batch, name, "channels-last", "cpu")[0]
        for name in ("fp32", "bf16")
    }
    measure.alternate(sides, 1, "cpu")
    return {"alternate": lambda rounds: measure.alternate(sides, rounds, "cpu")}


def make_side(
    network: str, size: int, batch: int, precision: str, layout: str, device: str
) -> tuple[Callable[[], None], Callable[[], int]]:
    """A step on random images, and what measures its peak of memory."""
    torch.manual_seed(SEED)
    depth = int(network.removeprefix("resnet"))
    make = getattr(nets, network, None) or partial(nets.CifarResNet, depth)
    net: nn.Module = make(num_classes=CLASSES).to(device, memory_format=LAYOUTS[layout])
    images = torch.randn(batch, 3, size, size).to(device, memory_format=LAYOUTS[layout])
    labels = torch.randint(CLASSES, (batch,)).to(device)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, FORMATS[precision], enabled=precision != "fp32"):
            scores = net(images)  # (N, CLASSES)
        scaler.scale(F.cross_entropy(scores.float(), labels)).backward()
        scaler.step(optimizer)
        scaler.update()

    def peak() -> int:
        optimizer.zero_grad()
        momenta = [state["momentum_buffer"] for state in optimizer.state.values()]
        held = measure.held_bytes([*net.parameters(), *net.buffers(), *momenta, images, labels])
        return held + measure.peak_rise(step, device)

    return step, peak


def summary(found: dict) -> str:
    """What came of it, in a few words."""
    if "allowed" in found:
        return "".join(
            f"\n     {one['instructions']:14} bf16 {one['faster']['median']:5.2f} × as fast as fp32"
            for one in found["allowed"]
        )
    return "".join(
        f"\n     {one['precision']} {one['layout']:14} {one['milliseconds']:8.1f} ms"
        f"  {one['faster']['median']:5.2f} × as fast  {one['memory']:5.2f} of the memory"
        for one in found["steps"]
    )

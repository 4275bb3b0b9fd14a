"""Time and memory of a step, on a CPU or on a GPU. A step is a function without arguments."""

import ctypes
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

Step = Callable[[], object]
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Let the C library keep the memory that tensors free, as PyTorch keeps a GPU's.

    By default glibc hands large blocks back to the system and gets them anew, page by page, at the
    next step. Which network pays for that is an accident of where its tensors lie, and it lasts:
    of two equal networks one can look a quarter slower throughout a run.

    Returns whether it could be done; only glibc has the switch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


def milliseconds(step: Step, device: str) -> float:
    """Time one step; on a GPU by its own events, from an idle GPU to the end of the work."""
    if device == "cpu":
        began = time.perf_counter()
        step()
        return 1000 * (time.perf_counter() - began)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    step()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def alternate(steps: dict[str, Step], rounds: int, device: str) -> dict[str, list[float]]:
    """Time each step once per round, in milliseconds; the order turns round with each round.

    What slows the machine for a while then slows all of them, and neither always goes first.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    for _ in range(rounds):
        for name in order:
            times[name].append(milliseconds(steps[name], device))
        order.reverse()
    return times


def held_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the tensors' memory; what several of them share counts once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def peak_rise(step: Step, device: str) -> int:
    """Most bytes of tensors during one step, beyond what was there before it.

    On a CPU it is a sum over PyTorch's own reports of each tensor it allocates and frees, and the
    same in each run; the scratch space inside oneDNN is not in it. On a GPU it is what the caching
    allocator counts, cuDNN's workspace included.

    The step must free no tensor that was there before it.
    """
    if device == "cpu":
        return _cpu_peak_rise(step)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _cpu_peak_rise(step: Step) -> int:
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        step()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    reports = sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"])
    totals = [report["args"]["Total Allocated"] for report in reports]
    if not totals:
        return 0
    # The total goes on from an earlier profile's, so only its rise says something.
    return max(totals) - (totals[0] - reports[0]["args"]["Bytes"])

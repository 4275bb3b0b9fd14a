"""What a machine can do at best, measured."""

import torch

from bench import measure

TRIES = 15
TINY_KERNELS = 1000


def matrix_product(dtype: torch.dtype, side: int, device: str) -> float:
    """Operations per second of a square matrix product; a multiply-add counts as two."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _seconds(lambda: a @ b, device)


def copy(size: int, device: str) -> float:
    """Bytes per second, read and written together, of copying a tensor of `size` bytes."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _seconds(lambda: target.copy_(source), device)


def launch(device: str) -> dict[str, float]:
    """Seconds that a kernel costs which has next to nothing to do: eager, and in a CUDA graph."""
    value = torch.zeros(1, device=device)

    def kernels() -> None:
        for _ in range(TINY_KERNELS):
            value.add_(1)

    found = {"eager": _seconds(kernels, device) / TINY_KERNELS}
    if device == "cuda":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kernels()
        found["graph"] = _seconds(graph.replay, device) / TINY_KERNELS
    return found


def _seconds(work: measure.Step, device: str) -> float:
    work()
    # What the machine can do at best: whatever disturbs it only makes it slower.
    return min(measure.milliseconds(work, device) for _ in range(TRIES)) / 1000

"""What a machine can do at best, measured, and how long a step must take at least."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

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


class Floor(TorchDispatchMode):
    """Within the `with` block, adds up what each operation must take at least.

    An operation has to do its arithmetic, as torch's flop counter has it, and to read each of its
    inputs and write each of its outputs once. It can take no less than the longer of both.

    Args:
        speed: operations per second.
        bandwidth: bytes per second.

    Attributes:
        operations, bytes: the sums.
        seconds: the sum over operations of the longer of the two times.
    """

    def __init__(self, speed: float, bandwidth: float):
        super().__init__()
        self.speed, self.bandwidth = speed, bandwidth
        self.operations, self.bytes, self.seconds = 0, 0, 0.0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if operation.is_view:
            return result
        count = flop_registry.get(operation.overloadpacket)
        operations = count(*args, **(kwargs or {}), out_val=result) if count else 0
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
        size = sum(t.numel() * t.element_size() for t in tensors)
        self.operations, self.bytes = self.operations + operations, self.bytes + size
        self.seconds += max(operations / self.speed, size / self.bandwidth)
        return result

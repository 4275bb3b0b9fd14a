"""Where a training runs: one device, or one of several processes that torchrun started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["PATIENCE", "World", "device_of", "join", "moved", "pick_device"]

#: How long a process waits for the others: process 0 may be reading a large folder of pictures.
PATIENCE = timedelta(hours=1)


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" is the first GPU, NVIDIA's or Apple's, else the CPU.

    Raises:
        ValueError: there is no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta" can be named too, but holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device must be auto, cpu or one that PyTorch finds here, got {name!r} ({reason})"
        ) from None
    return device


def device_of(model: nn.Module) -> torch.device:
    """Where a model's first parameter or buffer lies; the CPU where it has none."""
    tensor = next((t for t in (*model.parameters(), *model.buffers())), None)
    return torch.device("cpu") if tensor is None else tensor.device


def moved(
    images: Tensor, labels: Tensor, device: torch.device, channels_last: bool
) -> tuple[Tensor, Tensor]:
    """Images and labels on the device; those that are there already are not copied."""
    layout = torch.channels_last if channels_last else torch.preserve_format
    images = images.to(device, non_blocking=True, memory_format=layout)
    return images, labels.to(device, non_blocking=True)


@dataclass(frozen=True)
class World:
    """This process among all that train one network together; alone by default.

    Attributes:
        device: where this process computes.
        rank: its number, from 0. Process 0 writes files and prints.
        size: how many processes there are.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wrap(self, model: nn.Module, find_unused_parameters: bool = False) -> nn.Module:
        """The model with gradients averaged over all processes; alone, the model itself."""
        if self.size == 1:
            return model
        ids = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(
            model, device_ids=ids, find_unused_parameters=find_unused_parameters
        )

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them; in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(int(flag), device=self.device)).item())

    def share(self, value: Any) -> Any:
        """What process 0 gave, in all of them."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, device=self.device)
        return values[0]

    def gather(self, value: Any) -> list:
        """What each process gave, by rank, in all of them."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def equalise_buffers(self, model: nn.Module) -> None:
        """Give all processes the buffers of process 0: batch norm's running statistics.

        DistributedDataParallel does so at the beginning of each forward pass, but not after the
        last one.
        """
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started; without torchrun, be alone.

    GPUs talk through nccl, CPUs through gloo. With "auto" or "cuda" each process takes the GPU of
    its local rank; with "auto", the CPU if this machine has no GPU. A process waits for the others
    for an hour at most.

    An error leaves this process without a word to the others, which may be waiting for it. So let
    it end the process: torchrun then ends the others.

    Raises:
        ValueError: there is no such device, or fewer GPUs than processes on this machine.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1 and "RANK" not in os.environ:
        yield World(pick_device(device))
        return
    local = int(os.environ["LOCAL_RANK"])
    if device in ("auto", "cuda") and (gpus := torch.cuda.device_count()):
        if local >= gpus:
            raise ValueError(f"--nproc-per-node must be at most {gpus}, the number of GPUs")
        device = f"cuda:{local}"
        torch.cuda.set_device(local)  # first, or each process takes memory of the first GPU too
    own = pick_device(device)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=PATIENCE)
    yield World(own, dist.get_rank(), size)
    # Only at the good end: it waits for the others, and after an error they may wait for us.
    dist.destroy_process_group()

"""Double precision, also where the device has none."""

import copy

import torch
from torch import Tensor, nn

from resnet_lib.probes.inputs import change_tensors, first_tensor


def most_exact(device: torch.device) -> tuple[torch.device, torch.dtype]:
    """Where numbers of this device are computed most exactly: there, or else on the CPU.

    Apple's MPS, for one, has no float64. Single precision is left only where neither has it.
    """
    for place in (device, torch.device("cpu")):
        try:
            torch.zeros(1, dtype=torch.float64, device=place)
        except (TypeError, RuntimeError):
            continue
        return place, torch.float64
    return device, torch.float32


def exactly(tensor: Tensor) -> Tensor:
    """The values in double precision, on the CPU where the device has none."""
    place, dtype = most_exact(tensor.device)
    # The move first: a device without float64 cannot convert before it.
    return tensor.detach().to(place).to(dtype)


def exact_copies(model: nn.Module, inputs: object) -> tuple[nn.Module, object, Tensor]:
    """A model and its inputs in double precision, and the first input, which takes a gradient."""
    first = first_tensor(inputs)
    place, dtype = most_exact(first.device)

    def moved(tensor: Tensor) -> Tensor:
        there = tensor.detach().to(place)
        if tensor is first:
            return there.to(dtype).clone().requires_grad_()
        return there.to(dtype) if there.is_floating_point() else there

    with torch.no_grad():  # else the weights of TorchScript would be no leaves
        copied = copy.deepcopy(model).to(place)
        copied = copied.double() if dtype is torch.float64 else copied.float()
    inputs = change_tensors(inputs, moved)
    return copied, inputs, first_tensor(inputs)  # type: ignore[return-value]  # there is one

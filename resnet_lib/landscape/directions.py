"""Directions in which a network's weights may be moved."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def filter_normalised_direction(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """A random direction, each filter of it as long as the model's (Li et al. 2018, section 4).

    A filter is a row of a weight: what makes one output channel, or one output of a linear layer.
    Biases and batch norm's parameters get zeros; the paper leaves that open, and its authors' code
    has an option for it (`biasbn`).

    Args:
        model: the network.
        generator: on the CPU; the numbers are drawn from it.

    Returns:
        A tensor for each parameter, by name, of its shape and on its device.
    """
    direction, norm = {}, torch.linalg.vector_norm
    for name, weight in model.named_parameters():
        step = torch.zeros_like(weight)
        if weight.dim() > 1:
            step = torch.randn(weight.shape, generator=generator).to(weight)
            axes = tuple(range(1, weight.dim()))  # all but the filter's number
            lengths = norm(weight, dim=axes, keepdim=True)
            step *= lengths / norm(step, dim=axes, keepdim=True)
        direction[name] = step
    return direction

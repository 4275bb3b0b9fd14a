"""Sums over the samples of an epoch or an evaluation, kept on the device."""

import torch
from torch import Tensor

__all__ = ["count", "new_sums"]


def new_sums(device: torch.device) -> Tensor:
    """Room for the sums of `count`: loss, right answers, samples."""
    kind = torch.float32 if device.type == "mps" else torch.float64  # MPS has no 64-bit floats
    return torch.zeros(3, dtype=kind, device=device)


def count(sums: Tensor, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
    """Add a batch's summed loss, right answers and samples, without waiting for a GPU."""
    sums[0] += loss.detach()
    sums[1] += (scores.detach().argmax(dim=1) == labels).sum()
    sums[2] += len(labels)

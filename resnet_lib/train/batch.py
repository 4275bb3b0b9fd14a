"""What training and evaluation do with one batch."""

import contextlib

import torch
from torch import Tensor

from resnet_lib.train.config import PRECISIONS

__all__ = ["DTYPES", "autocast", "count", "moved", "new_sums", "widened"]

DTYPES = dict(zip(PRECISIONS, (torch.float32, torch.bfloat16, torch.float16), strict=True))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Run convolutions and matrix products in the given number format; fp32 changes nothing."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def moved(
    images: Tensor, labels: Tensor, device: torch.device, channels_last: bool
) -> tuple[Tensor, Tensor]:
    """Images and labels on the device; those that are there already are not copied."""
    layout = torch.channels_last if channels_last else torch.preserve_format
    images = images.to(device, non_blocking=True, memory_format=layout)
    return images, labels.to(device, non_blocking=True)


def widened(scores: Tensor) -> Tensor:
    """Scores in float32 if they come in half precision, which is too coarse for the loss."""
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def new_sums(device: torch.device) -> Tensor:
    """Room for the sums of `count`: loss, right answers, samples."""
    kind = torch.float32 if device.type == "mps" else torch.float64  # MPS has no 64-bit floats
    return torch.zeros(3, dtype=kind, device=device)


def count(sums: Tensor, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
    """Add a batch's summed loss, right answers and samples, without waiting for a GPU."""
    sums[0] += loss.detach()
    sums[1] += (scores.detach().argmax(dim=1) == labels).sum()
    sums[2] += len(labels)

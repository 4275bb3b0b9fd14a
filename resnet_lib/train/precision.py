"""Number formats of forward pass and loss."""

import contextlib

import torch
from torch import Tensor

from resnet_lib.train.config import PRECISIONS

__all__ = ["DTYPES", "autocast", "widened"]

#: The number format that each of `PRECISIONS` names.
DTYPES = dict(zip(PRECISIONS, (torch.float32, torch.bfloat16, torch.float16), strict=True))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Run convolutions and matrix products in the given number format; fp32 changes nothing."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def widened(scores: Tensor) -> Tensor:
    """Scores in float32 if they come in half precision, which is too coarse for the loss."""
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores

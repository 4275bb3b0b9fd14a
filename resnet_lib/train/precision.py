"""Number formats of forward pass and loss."""

import contextlib

import torch
from torch import Tensor

from resnet_lib.train.config import PRECISIONS
from resnet_lib.train.processes import pick_precision

__all__ = ["DTYPES", "autocast", "chosen_precision", "widened"]

#: The number format that each of `PRECISIONS` names.
DTYPES = dict(zip(PRECISIONS, (torch.float32, torch.bfloat16, torch.float16), strict=True))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Run convolutions and matrix products in the given number format; fp32 changes nothing."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def widened(scores: Tensor) -> Tensor:
    """Scores in float32 if they come in half precision, which is too coarse for the loss."""
    halves = (torch.bfloat16, torch.float16)
    return scores.float() if getattr(scores, "dtype", None) in halves else scores


def chosen_precision(precision: str, device: torch.device) -> str:
    """One of `PRECISIONS`; for "auto", what `pick_precision` says of the device.

    Raises:
        ValueError: it is none of them.
    """
    if precision == "auto":
        return pick_precision(device)
    if precision not in DTYPES:
        raise ValueError(f"precision must be one of auto, {', '.join(DTYPES)}, got {precision!r}")
    return precision

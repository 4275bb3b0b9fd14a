"""Number formats of forward pass and loss."""

import contextlib

import torch
from torch import Tensor

from resnet_lib.arguments import check_choice
from resnet_lib.train.config import PRECISIONS

__all__ = ["DTYPES", "autocast", "chosen_precision", "pick_precision", "widened"]

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
    check_choice("precision", precision, ("auto", *PRECISIONS))
    return pick_precision(device) if precision == "auto" else precision


def pick_precision(device: torch.device) -> str:
    """The faster of "fp32" and "bf16" on that device, by what its instructions are.

    "bf16" on an NVIDIA GPU from compute capability 8.0 (Ampere) up, and on an x86 CPU with
    avx512_bf16 or AMX. Everywhere else "fp32": PyTorch computes in bf16 there too, but converts
    number by number, and a step takes many times as long.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    # PyTorch has no public question for it. Not every version and build knows these; one that
    # does not know them is answered with no, which costs time at most.
    try:
        usable = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # ONEDNN_MAX_CPU_ISA can forbid it
    except (AttributeError, RuntimeError):
        return False
    kinds = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return usable and any(getattr(torch.cpu, kind, bool)() for kind in kinds)

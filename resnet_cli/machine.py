"""Where it is computed: what --device and --precision take, and what `auto` took."""

import torch

from resnet_cli.errors import UsageError
from resnet_lib.train import pick_precision

DEVICES = {
    "cuda": (torch.cuda.is_available, "GPU that PyTorch can use"),
    "mps": (torch.backends.mps.is_available, "Apple GPU (MPS) that PyTorch can use"),
}


def check_device(name: str) -> None:
    """Refuse a device that this machine lacks.

    Raises:
        UsageError: it does.
    """
    is_there, what = DEVICES.get(name, (lambda: True, ""))
    if not is_there():
        others = [other for other, (found, _) in DEVICES.items() if found()]
        raise UsageError(
            f"argument --device: this machine has no {what}: choose {' or '.join([*others, 'cpu'])}"
        )


def place(device: torch.device, asked: str) -> str:
    """The device in words, with its CPU threads, and whether it was chosen by itself."""
    words = device.type if device.index in (None, 0) else str(device)
    if asked == "auto":
        words += " (auto)"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        words += f", {threads} thread{'s' if threads > 1 else ''}"
    return words


def settled(precision: str, device: torch.device) -> str:
    """The number format; for `auto`, the one that it takes on this device."""
    return pick_precision(device) if precision == "auto" else precision

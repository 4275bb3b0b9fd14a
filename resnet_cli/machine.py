"""Where it is computed: what --device takes, and what `auto` took."""

import torch

from resnet_cli.errors import UsageError

DEVICES = {
    "cuda": (torch.cuda.is_available, "NVIDIA or AMD GPU"),
    "mps": (torch.backends.mps.is_available, "Apple GPU"),
}


def check_device(name: str) -> None:
    """Refuse a device that this machine lacks.

    Raises:
        UsageError: it does.
    """
    is_there, what = DEVICES.get(name, (lambda: True, ""))
    if not is_there():
        others = " or ".join([*(n for n, (found, _) in DEVICES.items() if found()), "cpu"])
        raise UsageError(f"argument --device: PyTorch finds no {what} here: choose {others}")


def place(device: torch.device, asked: str) -> str:
    """The device in words, with its CPU threads, and whether it was chosen by itself."""
    words = device.type if device.index in (None, 0) else str(device)
    if asked == "auto":
        words += " (auto)"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        words += f", {threads} thread{'s' if threads > 1 else ''}"
    return words

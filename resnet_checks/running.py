"""Run the reader's code and put into words what it raises."""

import io
import linecache
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

from resnet_checks.comparing import random_values
from resnet_checks.report import FaultFound

_OTHERS_CODE = (os.path.dirname(torch.__file__), os.path.dirname(__file__))

# What a message contains, and what its reader should look at.
_HINTS = {
    "before Module.__init__() call": "Call super().__init__() first in the constructor.",
    'is missing the required "forward" function': (
        "Give the class a method named forward, at the same indentation as __init__."
    ),
    "'module' object is not callable": (
        "An imported module is called there. F is torch.nn.functional: call the branch instead."
    ),
    "modified by an inplace operation": (
        "Look for inplace=True and for += on a value that an earlier layer still needs."
    ),
    "channels, but got": "The in_channels of a convolution do not fit what it reads.",
    "running_mean should contain": "The channels of a batch norm do not fit what it reads.",
    "Output size is too small": (
        "Average over all positions, however many: nn.AdaptiveAvgPool2d(1), or mean(dim=(2, 3))."
    ),
    "must match the size of tensor": "Two tensors are added whose shapes do not agree.",
    "backward through the graph a second time": (
        "Compute the loss anew in each step, and look for values that are kept between steps."
    ),
    "does not require grad": (
        "Look for no_grad, detach, .data or .item() between the model and backward()."
    ),
    "to be on the same device": (
        "The check's model is on the CPU. Take the device from the model: "
        "next(model.parameters()).device."
    ),
}


@contextmanager
def isolated() -> Iterator[None]:
    """One thread, gradients on, seeded random numbers, float32, no prints; then all as before."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    # The reader's code runs many times; its prints and progress bars would bury the report.
    out, err = io.StringIO(), io.StringIO()
    try:
        # On tensors this small, threads wait for each other longer than they compute.
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
        with (
            torch.random.fork_rng(),
            torch.inference_mode(False),
            torch.enable_grad(),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


@contextmanager
def scrambled(module: nn.Module) -> Iterator[None]:
    """Give the module random parameters for a while, so that no two values agree by chance.

    A batch norm whose scale starts at zero would hide its whole branch from the check.
    """
    saved = [(p, p.detach().clone()) for p in module.parameters()]
    try:
        for number, (parameter, _) in enumerate(saved):
            with torch.no_grad():
                parameter.copy_(_scramble(parameter.shape, seed=100 + number))
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.reset_running_stats()
        yield
    finally:
        with torch.no_grad():
            for parameter, value in saved:
                parameter.copy_(value)


def _scramble(shape: torch.Size, seed: int) -> Tensor:
    values = random_values(*shape, seed=seed)
    if len(shape) > 1:  # weights: outputs of about the size of the inputs
        return values / max(1, values[0].numel()) ** 0.5
    # Scales and shifts: of both signs, not near 0, and large enough to tell ReLU from ReLU6.
    return values + 3 * values.sign()


def like_parameters(values: Tensor, module: nn.Module) -> Tensor:
    """Values in the type and on the device of the module's parameters, if it has any."""
    parameter = next(module.parameters(), torch.empty(0))
    return values.to(parameter.device, parameter.dtype)


def attempt(action: str, run: Callable[[], Any], hint: str | None = None) -> Any:
    """The result of `run()`. What it raises becomes a fault that begins with `action`.

    The hint is for a call that did not reach the reader's code, such as one with wrong arguments.
    """
    try:
        return run()
    except Exception as error:
        raise FaultFound(*describe_error(action, error, hint)) from None


def describe_error(
    action: str, error: Exception, hint: str | None = None
) -> tuple[str, str | None]:
    """Fault and hint for an exception of the reader's code, the same on every machine."""
    place = _place(error)
    fault = f"{action} raises {type(error).__name__}: {_message(error)}{place}."
    known = (text for part, text in _HINTS.items() if part in str(error))
    return fault, next(known, None if place else hint)


def _message(error: Exception) -> str:
    """The first line of the message, without addresses in memory, and not too long."""
    lines = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error)).strip().splitlines()
    line = lines[0].rstrip(". ") if lines else "no message"
    return line if len(line) <= 250 else line[:250] + " ..."


def _place(error: Exception) -> str:
    """The last line of the reader's own code that the exception came through."""
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if not path.startswith(_OTHERS_CODE):
            line = linecache.getline(path, number, frame.f_globals).strip()
            return f" (in {frame.f_code.co_name}" + (f", at `{line}`)" if line else ")")
    return ""

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
from resnet_checks.limits import WRONG_CODE, limited
from resnet_checks.phrases import fault, phrase
from resnet_checks.report import FaultFound

_OTHERS_CODE = (os.path.dirname(torch.__file__), os.path.dirname(__file__))

# What a message contains, and the key of what its reader should look at.
_HINTS = {
    "before Module.__init__() call": "hint super",
    'is missing the required "forward" function': "hint forward",
    "'module' object is not callable": "hint module called",
    "modified by an inplace operation": "hint in place",
    "channels, but got": "hint channels",
    "running_mean should contain": "hint norm channels",
    "input (got 4D input)": "hint norm dimensions",
    "Output size is too small": "hint pooling",
    "must match the size of tensor": "hint sizes",
    "backward through the graph a second time": "hint graph kept",
    "does not require grad": "hint no graph",
    "to be on the same device": "hint device",
}


@contextmanager
def isolated() -> Iterator[None]:
    """One thread, gradients on, seeded random numbers, float32, no prints; then all as before."""
    threads, dtype, device = (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_default_device(),
    )
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
            torch.autocast("cpu", enabled=False),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


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
    if len(shape) > 1 and len(values):  # weights: outputs of about the size of the inputs
        return values / max(1, values[0].numel()) ** 0.5
    # Scales and shifts: of both signs, not near 0, and large enough to tell ReLU from ReLU6.
    return values + 3 * values.sign()


def like_parameters(values: Tensor, module: nn.Module) -> Tensor:
    """Values in the type and on the device of the module's parameters, if it has any."""
    parameter = next(module.parameters(), torch.empty(0))
    return values.to(parameter.device, parameter.dtype)


def attempt(
    action: str, run: Callable[[], Any], hint: str | None = None, seconds: float | None = None
) -> Any:
    """The result of `run()`. What it raises becomes a fault that begins with `action`.

    The hint is for a call that did not reach the reader's code, such as one with wrong arguments.
    """
    with limited(action, seconds):
        try:
            return run()
        except FaultFound:
            raise
        except WRONG_CODE as error:
            raise describe_error(action, error, hint) from None


def failed(module: Callable, x: Tensor, error: BaseException, action: str) -> FaultFound:
    """The fault of a run that raised; where only gradients are in its way, it says so."""
    with torch.no_grad():
        try:
            module(x.clone())
        except WRONG_CODE:
            return describe_error(action, error)
    return describe_error(phrase("training step"), error)


def describe_error(action: str, error: BaseException, hint: str | None = None) -> FaultFound:
    """The fault of an exception of the reader's code, in words that are the same everywhere."""
    place, message = _place(error), message_of(error)
    known = (phrase(key) for part, key in _HINTS.items() if part in message)
    return fault(
        "raises",
        action=action,
        kind=type(error).__name__,
        message=_shortened(message),
        place=place,
        hint=next(known, None if place else hint),
    )


def message_of(error: BaseException) -> str:
    """What the exception says, also where its own str() fails."""
    try:
        return str(error)
    except Exception:  # the reader's own exception may be wrong too
        return phrase("unreadable message")


def _shortened(message: str) -> str:
    """The first line of the message, without addresses in memory, and not too long."""
    lines = re.sub(r" at 0x[0-9a-fA-F]+", "", message).strip().splitlines()
    line = lines[0].rstrip(". ") if lines else phrase("no message")
    return line if len(line) <= 250 else line[:250] + " ..."


def _place(error: BaseException) -> str:
    """The last line of the reader's own code that the exception came through."""
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if not path.startswith(_OTHERS_CODE):
            line = linecache.getline(path, number, frame.f_globals).strip()
            return phrase("in line" if line else "in", name=frame.f_code.co_name, line=line)
    return ""

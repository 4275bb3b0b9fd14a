"""Build the reader's module, run it once, and say what is wrong where that fails."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from resnet_checks.comparing import equal, random_values
from resnet_checks.observing import Run, observe
from resnet_checks.report import FaultFound
from resnet_checks.running import (
    attempt,
    describe_error,
    isolated,
    like_parameters,
    scrambled,
)
from resnet_lib.probes import preserved


@contextmanager
def prepared(
    make: Callable,
    arguments: str,
    values: tuple,
    shape: tuple[int, ...],
    none_hint: str = "Is a `return` missing?",
) -> Iterator[tuple[nn.Module, Tensor]]:
    """The module that `make(*values)` builds, with random parameters for a while, and an input.

    `arguments` names the arguments in the hint; `shape` is the input's; `none_hint` is for a
    `make` that returns None.
    """
    with ExitStack() as restored:
        restored.enter_context(isolated())
        module = _build(make, arguments, values, shape, none_hint)
        restored.enter_context(preserved(module))
        restored.enter_context(scrambled(module))
        yield module.train(), like_parameters(random_values(*shape), module)


def _build(
    make: Callable, arguments: str, values: tuple, shape: tuple[int, ...], none_hint: str
) -> nn.Module:
    call = f"make({', '.join(map(repr, values))})"
    hint = f"It is called as make({arguments})."
    module = attempt(call, lambda: make(*values), hint)
    if module is None:
        raise FaultFound(f"{call} returned None.", none_hint)
    if not isinstance(module, nn.Module):
        raise FaultFound(
            f"{call} returned an object of type {type(module).__name__}, not an nn.Module, so an "
            "optimizer could not find its parameters.",
            "Derive the class from nn.Module.",
        )
    if any(is_lazy(p) for p in module.parameters()):
        with torch.no_grad():
            attempt("The first run", lambda: module(random_values(*shape)))
    return module


def run_once(
    module: nn.Module,
    x: Tensor,
    shape: tuple[int, ...],
    explain: Callable[[Run], None] = lambda run: None,
) -> Run:
    """One run that succeeds and returns the right shape.

    `explain` may raise a fault that says more than the error or the shape does.
    """
    run = observe(module, x)
    if run.error is not None:
        if isinstance(run.error, RuntimeError):  # as PyTorch raises for shapes that do not fit
            explain(run)
        raise FaultFound(*describe_error("The forward pass", run.error))
    if run.output is None:
        raise FaultFound("The forward pass returned None.", "Is a `return` missing in forward?")
    if not isinstance(run.output, Tensor):
        kind = type(run.output).__name__
        raise FaultFound(f"The forward pass returned an object of type {kind}, not a tensor.")
    if run.output.shape != shape:
        explain(run)
        raise FaultFound(f"The output has the shape {tuple(run.output.shape)}, not {shape}.")
    if run.output.dtype != x.dtype:
        raise FaultFound(f"The type of the values changed from {x.dtype} to {run.output.dtype}.")
    if not run.output.isfinite().all():
        raise FaultFound("Some values of the output are NaN or infinite.")
    return run


def check_repeatable(module: nn.Module, x: Tensor, whole: str = "basic block") -> None:
    """Two runs on one input give one result, in both modes."""
    for mode in (True, False):
        module.train(mode)
        one, two = _output(module, x, seed=0), _output(module, x, seed=1)
        both = isinstance(one, Tensor) and isinstance(two, Tensor)
        if both and one.isfinite().all() and not equal(one, two):
            raise FaultFound(
                "Two runs on the same x give different results: something random is inside.",
                f"Look for dropout. A {whole} has none.",
            )
    module.train()


def _output(module: nn.Module, x: Tensor, seed: int) -> object:
    """What a run puts out, or None where it raises; quicker than `observe`."""
    torch.manual_seed(seed)
    with torch.no_grad():
        try:
            return module(x.clone())
        except Exception:  # it is named by the run that is observed
            return None


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Run a `with` body in eval mode, and say so in the faults that it finds."""
    try:
        module.eval()
        yield
    except FaultFound as found:
        said = found.fault.startswith("In eval mode")
        text = found.fault if said else f"In eval mode: {found.fault}"
        raise FaultFound(text, found.hint) from None
    finally:
        module.train()

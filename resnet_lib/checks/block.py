"""Is the reader's class the basic block of He et al. 2015?"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from resnet_lib.checks.comparing import equal, random_values
from resnet_lib.checks.layers import check_branch
from resnet_lib.checks.observing import Run, observe
from resnet_lib.checks.parts import Case, Parts
from resnet_lib.checks.report import FaultFound, Report, require_maker, write_report
from resnet_lib.checks.running import (
    attempt,
    describe_error,
    isolated,
    like_parameters,
    scrambled,
)
from resnet_lib.checks.shortcut import check_shortcut, explain_failure
from resnet_lib.checks.training import check_gradient, check_parameters, check_registered
from resnet_lib.checks.wiring import check_modes, check_wiring
from resnet_lib.probes import preserved

__all__ = ["basic_block"]

_SAME = Case(4, 4, stride=1)
# The last two catch a projection that is built on half of its condition.
_CHANGED = (
    Case(4, 8, stride=2, name="where the shape changes"),
    Case(4, 8, stride=1, name="where only the channels change"),
    Case(4, 4, stride=2, name="where only the stride changes"),
)


def basic_block(make: Callable, *, projection: bool = True) -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds a basic block.

    He et al. 2015, Fig. 2 and Fig. 5 left, with batch norm as in section 3.4: ReLU(F(x) + x) with
    F = batch norm ∘ 3×3 convolution ∘ ReLU ∘ batch norm ∘ 3×3 convolution. Where the shape
    changes, x goes through a projection (option B of section 3.3, with batch norm).

    Args:
        make: the reader's class or function, called with three positional arguments.
        projection: False checks only the block whose shapes agree.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    require_maker(make, "make(in_channels, out_channels, stride)")
    return write_report("Basic block", _steps(make, projection))


def _steps(make: Callable, projection: bool) -> Iterator[str]:
    yield from _check_case(make, _SAME)
    if not projection:
        return
    for case in _CHANGED:
        try:
            steps = list(_check_case(make, case))
        except FaultFound as found:
            name = case.name[0].upper() + case.name[1:]
            raise FaultFound(f"{name}: {found.fault}", found.hint) from None
        yield f"{case.name}: the same, with a projection; {steps[-1]}"


def _check_case(make: Callable, case: Case) -> Iterator[str]:
    with ExitStack() as restored:
        restored.enter_context(isolated())
        module = _build(make, case)
        restored.enter_context(preserved(module))
        restored.enter_context(scrambled(module))
        x = like_parameters(random_values(*case.input_shape), module)
        parts = Parts(_run(module.train(), x, case), case)
        yield "it runs, and the shape is right"
        _check_repeatable(module, x)
        check_branch(parts)
        yield "two 3×3 convolutions without bias, each with its own batch norm"
        check_shortcut(parts)
        check_registered(module, parts)
        check_wiring(parts)
        yield "the output is ReLU(F(x) + x), and x is left as it was"
        check_modes(parts, training=True)
        _check_eval(module, x, case)
        yield "the same in eval mode, with running statistics"
        check_gradient(module, parts, x)
        yield "the gradient passes through the branch and through the shortcut"
        yield f"{check_parameters(module, parts)} parameters, all of them used"


def _build(make: Callable, case: Case) -> nn.Module:
    module = attempt(
        f"make{case.arguments}",
        lambda: make(*case.arguments),
        "The block is built as make(in_channels, out_channels, stride).",
    )
    if module is None:
        raise FaultFound(f"make{case.arguments} returned None.", "Is a `return` missing?")
    if not isinstance(module, nn.Module):
        raise FaultFound(
            f"make{case.arguments} returned an object of type {type(module).__name__}, not an "
            "nn.Module, so an optimizer could not find its parameters.",
            "Derive the class from nn.Module.",
        )
    if any(is_lazy(p) for p in module.parameters()):
        with torch.no_grad():
            attempt("The first run", lambda: module(random_values(*case.input_shape)))
    return module


def _run(module: nn.Module, x: Tensor, case: Case) -> Run:
    """One run that succeeds and returns the right shape."""
    run = observe(module, x)
    if run.error is not None:
        if isinstance(run.error, RuntimeError):  # as PyTorch raises for shapes that do not fit
            explain_failure(Parts(run, case), run.error)
        raise FaultFound(*describe_error("The forward pass", run.error))
    if run.output is None:
        raise FaultFound("The forward pass returned None.", "Is a `return` missing in forward?")
    if not isinstance(run.output, Tensor):
        kind = type(run.output).__name__
        raise FaultFound(f"The forward pass returned an object of type {kind}, not a tensor.")
    if run.output.shape != case.output_shape:
        explain_failure(Parts(run, case), None)
        raise _wrong_shape(tuple(run.output.shape), case)
    if run.output.dtype != x.dtype:
        raise FaultFound(f"The type of the values changed from {x.dtype} to {run.output.dtype}.")
    if not run.output.isfinite().all():
        raise FaultFound("Some values of the output are NaN or infinite.")
    return run


def _wrong_shape(shape: tuple[int, ...], case: Case) -> FaultFound:
    fault = f"The output has the shape {shape}, not {case.output_shape}."
    if shape == (case.batch, 2 * case.out_channels, *case.output_shape[2:]):
        fault += " It looks as if F(x) and x were concatenated, not added."
    return FaultFound(fault)


def _check_repeatable(module: nn.Module, x: Tensor) -> None:
    for mode in (True, False):
        module.train(mode)
        one, two = observe(module, x, seed=0).output, observe(module, x, seed=1).output
        if isinstance(one, Tensor) and isinstance(two, Tensor) and not equal(one, two):
            raise FaultFound(
                "Two runs on the same x give different results: something random is inside.",
                "Look for dropout. A basic block has none.",
            )
    module.train()


def _check_eval(module: nn.Module, x: Tensor, case: Case) -> None:
    try:
        parts = Parts(_run(module.eval(), x, case), case)
        check_branch(parts)
        check_shortcut(parts)
        check_modes(parts, training=False)
        check_wiring(parts)
    except FaultFound as found:
        said = found.fault.startswith("In eval mode")
        text = found.fault if said else f"In eval mode: {found.fault}"
        raise FaultFound(text, found.hint) from None
    finally:
        module.train()

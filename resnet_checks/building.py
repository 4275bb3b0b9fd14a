"""Build the reader's module, run it, and say what is wrong where that fails."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from resnet_checks import limits
from resnet_checks.comparing import equal, random_values
from resnet_checks.limits import WRONG_CODE
from resnet_checks.observing import Run, address, is_plain, observe, seed_cpu
from resnet_checks.phrases import fault, phrase
from resnet_checks.report import FaultFound
from resnet_checks.running import (
    attempt,
    failed,
    isolated,
    like_parameters,
    scrambled,
)
from resnet_lib.probes import preserved


@contextmanager
def prepared(
    make: Callable, arguments: str, values: tuple, shape: tuple[int, ...], none_hint: str = ""
) -> Iterator[tuple[nn.Module, Tensor]]:
    """The module that `make(*values)` builds, with random parameters for a while, and an input.

    `arguments` names the arguments in the hint; `shape` is the input's; `none_hint` is for a
    `make` that returns None.
    """
    with ExitStack() as restored:
        restored.enter_context(isolated())
        module = _build(make, arguments, values, shape, none_hint or phrase("return missing"))
        if "torch._dynamo" in sys.modules:  # which takes seconds to import
            restored.enter_context(torch.compiler.set_stance("force_eager"))
        restored.enter_context(preserved(module))
        restored.enter_context(scrambled(module))
        yield module.train(), like_parameters(random_values(*shape), module)


def _build(
    make: Callable, arguments: str, values: tuple, shape: tuple[int, ...], none_hint: str
) -> nn.Module:
    call = f"make({', '.join(map(repr, values))})"
    hint = phrase("called as", call=f"make({arguments})")
    module = attempt(call, lambda: make(*values), hint, limits.LONG)
    if module is None:
        raise fault("made None", call=call, hint=none_hint)
    if not isinstance(module, nn.Module):
        raise fault("made other", call=call, kind=type(module).__name__)
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise fault("made script", call=call)
    if any(is_lazy(p) for p in module.parameters()):
        with torch.no_grad():
            attempt(phrase("first run"), lambda: module(random_values(*shape)))
    if any(p.is_meta for p in module.parameters()):
        raise fault("on meta")
    return module


def run_once(
    module: nn.Module,
    x: Tensor,
    shape: tuple[int, ...],
    explain: Callable[[Run], None] = lambda run: None,
    seconds: float | None = None,
) -> Run:
    """One run that succeeds and returns the right shape.

    `explain` may raise a fault that says more than the error or the shape does.
    """
    names = {name for name, _ in module.named_parameters()}
    run = observe(module, x, seconds=seconds)
    if run.error is not None:
        if isinstance(run.error, RuntimeError):  # as PyTorch raises for shapes that do not fit
            explain(run)
        raise failed(module, x, run.error, phrase("forward pass"))
    check_tensor(run.output)
    if run.output.shape != shape:
        explain(run)
        raise fault("shape", found=tuple(run.output.shape), right=shape)
    # Under autocast the layers' own results have the shorter type.
    if run.output.dtype not in (x.dtype, *(call.output.dtype for call in run.calls)):
        raise fault("dtype", before=x.dtype, after=run.output.dtype)
    if not run.output.isfinite().all():
        raise fault("not finite")
    if new := [name for name, _ in module.named_parameters() if name not in names]:
        raise fault("late parameters", name=new[0])
    return run


def check_tensor(output: object, what: str = "forward pass") -> None:
    """What came out is a tensor with values in rows and columns."""
    if output is None:
        raise fault(f"{what} returned None")
    if not isinstance(output, Tensor):
        raise fault(f"{what} returned other", kind=type(output).__name__)
    if not is_plain(output):
        kind = "meta" if output.is_meta else "nested" if output.is_nested else "sparse"
        raise fault("returned strange", kind=phrase(kind))


def check_repeatable(module: nn.Module, x: Tensor, first: Run, block: str) -> None:
    """Another run on the same input gives the same result."""
    second = output_of(module, x, seed=1)
    if second is None or equal(first.output, second):
        return
    registered = {address(p) for p in module.parameters()}
    again = observe(module, x, seed=1).calls
    for one, two in zip(first.calls, again, strict=False):
        weights = [one.weight, two.weight]
        known = None in weights or any(address(weight) in registered for weight in weights)
        if not known and weights[0].is_leaf and not equal(*weights):
            raise fault("built anew", kind=phrase(one.kind))
    raise fault("random", block=phrase(block))


def output_of(module: nn.Module, x: Tensor, seed: int) -> Tensor | None:
    """What a run puts out, or None where it raises or puts out no tensor; not observed."""
    seed_cpu(seed)
    try:
        result = module(x.clone().requires_grad_().clone())
    except WRONG_CODE:  # it is named by the run that is observed
        return None
    plain = isinstance(result, Tensor) and is_plain(result)
    return result.detach().cpu() if plain and result.isfinite().all() else None


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Run a `with` body in eval mode, and say so in the faults that it finds."""
    said = phrase("in eval", fault="").strip(" :")
    try:
        module.eval()
        yield
    except FaultFound as found:
        if not found.fault.startswith(said):
            found.fault = phrase("in eval", fault=found.fault)
        raise
    finally:
        module.train()

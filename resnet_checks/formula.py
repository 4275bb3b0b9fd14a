"""Does the reader's module compute the residual formula H(x) = F(x) + x?"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from resnet_checks.comparing import (
    describe_difference,
    equal,
    mixture,
    name_activation,
    random_values,
    sum_fault,
)
from resnet_checks.observing import Run, observe, snapshot
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.running import attempt, describe_error, isolated
from resnet_lib.probes import preserved

__all__ = ["residual_formula"]

# An image batch first: with that many values, no two formulas agree by chance.
_SHAPES = {"a batch of images": (2, 3, 4, 5), "a vector": (6,), "a single number": ()}


class _Branch(nn.Module):
    """A branch that keeps shapes and notes each x it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.3, device="cpu"))
        self.shift = nn.Parameter(torch.tensor(-0.4, device="cpu"))
        self.given: list[Tensor] = []

    def formula(self, x: Tensor) -> Tensor:
        return 1.7 * torch.sin(self.scale * x + self.shift)

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(snapshot(x))
        return self.formula(x)


def residual_formula(make: Callable) -> Report:
    """Check that `make(branch)` builds a module, or a function, that computes F(x) + x.

    He et al. 2015, eq. 1. The branch F is an `nn.Module` that keeps shapes; the check brings its
    own and tries images, a vector and a single number.

    Args:
        make: the reader's class or function, called as `make(branch)`.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    require_maker(make, "make(branch)")
    return write_report("Residual formula", _steps(make))


def _steps(make: Callable) -> Iterator[str]:
    with isolated(), ExitStack() as restored:
        branch = _Branch()
        module = attempt("make(branch)", lambda: make(branch), "It gets one argument, the branch.")
        _check_callable(module)
        if isinstance(module, nn.Module):
            restored.enter_context(preserved(module))
            module.train()
        yield "make(branch) builds something that can be called"
        images = random_values(*_SHAPES["a batch of images"])
        _check_runs(module, branch, images, "a batch of images")
        _check_repeatable(module, images)
        yield "the shape stays as it is, and so does x itself"
        if isinstance(module, nn.Module):
            _check_no_more_parameters(module, branch)
        _check_value(module, branch, images)
        yield "the result is F(x) + x"
        _check_calls(branch)
        yield "the branch is called once"
        _check_eval(module, branch, images)
        _check_other_inputs(module, branch)
        yield "the same in eval mode, for a vector, a single number and in double precision"
        _check_gradient(module, branch, images)
        yield "the gradient passes through the branch and through the shortcut"
        if isinstance(module, nn.Module):
            _check_registered(module, branch)
            yield "the module's parameters are the branch's"


def _check_callable(module: object) -> None:
    if module is None:
        raise FaultFound("make(branch) returned None.", "Is a `return` missing?")
    if isinstance(module, Tensor) or not callable(module):
        kind = type(module).__name__
        raise FaultFound(
            f"make(branch) returned an object of type {kind}, which cannot be called on x.",
            "make(branch) builds the module; the module is called on x later.",
        )


def _check_runs(module: Callable, branch: _Branch, x: Tensor, name: str) -> Run:
    branch.given.clear()
    run = observe(module, x)
    if run.error is not None:
        raise FaultFound(*describe_error(f"Calling the module on {name}", run.error))
    if run.output is None:
        raise FaultFound("The module returned None.", "Is a `return` missing?")
    if not isinstance(run.output, Tensor):
        kind = type(run.output).__name__
        raise FaultFound(f"The module returned an object of type {kind}, not a tensor.")
    if run.output.shape != x.shape:
        raise FaultFound(
            f"The shape changed from {tuple(x.shape)} to {tuple(run.output.shape)}.",
            "F(x) and x are added, value by value: not concatenated, not averaged.",
        )
    if run.output.dtype != x.dtype:
        raise FaultFound(f"The type of the values changed from {x.dtype} to {run.output.dtype}.")
    if not run.output.isfinite().all():
        raise FaultFound("Some values of the result are NaN or infinite.")
    if not equal(run.x_after, run.x):
        raise FaultFound(
            "The input x is changed in place.",
            "Look for += on x, or a function that ends in _: write x = x + ... or out = ...",
        )
    return run


def _check_repeatable(module: Callable, x: Tensor) -> None:
    one, two = observe(module, x, seed=0).output, observe(module, x, seed=1).output
    both = isinstance(one, Tensor) and isinstance(two, Tensor)
    if both and not equal(one, two):
        raise FaultFound("Two calls on the same x give different results.", "Is there dropout?")


def _check_value(module: Callable, branch: _Branch, x: Tensor) -> None:
    result = _check_runs(module, branch, x, "a batch of images").output
    with torch.no_grad():
        f = branch.formula(x)
        if equal(result, f + x):
            return
        factors = mixture(result, f, x)
        if factors and (fault := sum_fault(*factors)):
            raise FaultFound(fault, "Both are added, each once: F(x) + x.")
        raise FaultFound(*_name_formula(result, f, x, branch))


def _name_formula(result: Tensor, f: Tensor, x: Tensor, branch: _Branch) -> tuple[str, str | None]:
    if equal(result, f * x):
        return "F(x) and x are multiplied. The formula adds them: F(x) + x.", None
    if equal(result, branch.formula(f) + x):
        return "The branch is applied twice, one after the other: F(F(x)) + x.", None
    if activation := name_activation(result, f + x):
        return f"{activation} is applied to the sum. The formula ends with F(x) + x.", None
    if activation := name_activation(result - x, f):
        return f"{activation} is applied to F(x): the result is {activation}(F(x)) + x.", None
    if activation := name_activation(result - f, x):
        return f"{activation} is applied to x: the result is F(x) + {activation}(x).", None
    if not branch.given:
        return "The branch that was given is never called.", "Call the branch itself, no copy."
    if not equal(branch.given[0], x):
        return "The branch is given something else than x.", "F and the shortcut share one x."
    return f"The result differs from F(x) + x: {describe_difference(result, f + x)}.", None


def _check_calls(branch: _Branch) -> None:
    calls = len(branch.given)
    if calls == 0:
        raise FaultFound("The branch that was given is never called.", "Is it called as a copy?")
    if calls > 1:
        raise FaultFound(
            f"The branch is called {calls} times for one x. Its batch norms would count each.",
            "Call it once and keep the result in a variable.",
        )


def _check_eval(module: Callable, branch: _Branch, x: Tensor) -> None:
    if not isinstance(module, nn.Module):
        return
    try:
        _check_value(module.eval(), branch, x)
    except FaultFound as found:
        raise FaultFound(f"In eval mode: {found.fault}", found.hint) from None
    finally:
        module.train()


def _check_other_inputs(module: Callable, branch: _Branch) -> None:
    inputs = {name: random_values(*shape, seed=1) for name, shape in _SHAPES.items()}
    inputs["double precision"] = inputs["a vector"].double()
    for name, x in inputs.items():
        result = _check_runs(module, branch, x, name).output
        with torch.no_grad():
            expected = branch.formula(x) + x
        if not equal(result, expected):
            gap = describe_difference(result, expected)
            raise FaultFound(f"For {name} the result differs from F(x) + x: {gap}.")


def _check_gradient(module: Callable, branch: _Branch, x: Tensor) -> None:
    leaf = x.clone().requires_grad_()
    result = attempt("A training step", lambda: module(leaf.clone()))
    if not result.requires_grad:
        raise FaultFound(
            "No gradient passes: the result is cut off from x and from the branch.",
            "Look for no_grad, detach, .data or a round trip through numpy.",
        )
    weights = random_values(*x.shape, seed=2)
    gradient = attempt("A training step", lambda: _gradient(result, leaf, weights))
    of_branch = _gradient(branch.formula(leaf), leaf, weights)
    if equal(gradient, of_branch + weights):
        return
    if equal(gradient, of_branch):
        raise FaultFound(
            "No gradient passes through the shortcut.", "Look for detach or .data on x."
        )
    if equal(gradient, weights):
        raise FaultFound(
            "No gradient passes through the branch, so it would not train.",
            "Look for detach, .data or no_grad around the branch.",
        )
    gap = describe_difference(gradient, of_branch + weights)
    raise FaultFound(f"The gradient of the result differs from F′(x) + 1: {gap}.")


def _gradient(result: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    return torch.autograd.grad(
        result, leaf, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]


def _check_no_more_parameters(module: nn.Module, branch: _Branch) -> None:
    registered = {id(p): name for name, p in module.named_parameters()}
    own = {id(p) for p in branch.parameters()}
    extra = [name for key, name in registered.items() if key not in own]
    # Where the branch was copied, its parameters look like the module's own.
    if extra and own <= registered.keys():
        raise FaultFound(f"The module has a parameter of its own, `{extra[0]}`. F(x) + x has none.")


def _check_registered(module: nn.Module, branch: _Branch) -> None:
    if not {id(p) for p in branch.parameters()} <= {id(p) for p in module.parameters()}:
        raise FaultFound(
            "The branch is not registered in the module, so an optimizer would not find its "
            "parameters.",
            "Assign it in the constructor, as self.branch = branch, and not inside a list.",
        )

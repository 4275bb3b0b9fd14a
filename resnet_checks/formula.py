"""Does the reader's module compute the residual formula H(x) = F(x) + x?"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from resnet_checks import limits
from resnet_checks.blueprints import Blueprint
from resnet_checks.building import check_tensor, in_eval_mode, output_of
from resnet_checks.comparing import equal, name_activation, random_values
from resnet_checks.explaining import explain_output
from resnet_checks.observing import Run, observe, snapshot
from resnet_checks.phrases import fault, phrase
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.running import attempt, failed, isolated
from resnet_checks.training import backward
from resnet_checks.wording import gap_between, output_fault
from resnet_lib.probes import preserved

__all__ = ["residual_formula"]

_FORMULA = Blueprint("formula", branch="F", out="F + s")

# Images first: with that many values, no two formulas agree by chance.
_IMAGES = (2, 3, 4, 5)
_OTHERS: dict[str, tuple[int, ...]] = {"one image": (1, 3, 4, 5), "vector": (6,), "number": ()}


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
    own and tries images, one image, a vector and a single number.

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
        module = attempt("make(branch)", lambda: make(branch), phrase("one argument"), limits.LONG)
        _check_callable(module)
        if isinstance(module, nn.Module):
            restored.enter_context(preserved(module))
            module.train()
        yield phrase("built")
        yield from _questions(module, branch)


def _questions(module: Callable, branch: _Branch) -> Iterator[str]:
    images = random_values(*_IMAGES)
    run = _run(module, branch, images, "images")
    second = output_of(module, images, seed=1)
    if second is not None and not equal(run.output, second):
        raise fault("random formula")
    yield phrase("shape kept")
    if isinstance(module, nn.Module):
        _check_no_more_parameters(module, branch)
    _check_value(module, branch, images)
    yield phrase("formula")
    if not branch.given:
        raise fault("branch not called", hint=phrase("hint copy"))
    if len(branch.given) > 1:
        raise fault("branch called often", number=len(branch.given))
    yield phrase("called once")
    if isinstance(module, nn.Module):
        with in_eval_mode(module):
            _check_value(module, branch, images)
    _check_other_inputs(module, branch)
    yield phrase("formula elsewhere")
    _check_gradient(module, branch, images)
    yield phrase("gradient passes")
    if isinstance(module, nn.Module):
        if not {id(p) for p in branch.parameters()} <= {id(p) for p in module.parameters()}:
            raise fault("branch not registered")
        yield phrase("parameters of branch")


def _check_callable(module: object) -> None:
    if module is None:
        raise fault("made None", call="make(branch)", hint=phrase("return missing"))
    if isinstance(module, Tensor) or not callable(module):
        raise fault("not callable", kind=type(module).__name__)


def _run(module: Callable, branch: _Branch, x: Tensor, name: str) -> Run:
    branch.given.clear()
    run = observe(module, x)
    if run.error is not None:
        raise failed(module, x, run.error, phrase("calling", name=phrase(f"input {name}")))
    check_tensor(run.output, "module")
    if run.output.shape != x.shape:
        key = "shape changed for one" if name == "one image" else "shape changed"
        raise fault(key, before=tuple(x.shape), after=tuple(run.output.shape))
    if run.output.dtype != x.dtype:
        raise fault("dtype", before=x.dtype, after=run.output.dtype)
    if not run.output.isfinite().all():
        raise fault("result not finite")
    if not equal(run.x_after, run.x):
        raise fault("x changed")
    return run


def _check_value(module: Callable, branch: _Branch, x: Tensor) -> None:
    result = _run(module, branch, x, "images").output
    with torch.no_grad():
        f = branch.formula(x)
        if not equal(result, f + x):
            raise _name_formula(result, f, x, branch)


def _name_formula(result: Tensor, f: Tensor, x: Tensor, branch: _Branch) -> FaultFound:
    gap, hint = gap_between(result, f + x), phrase("hint both added")
    found = explain_output(result, f, x, {})
    if found and found.form in ("sum", "relu(sum)"):
        return output_fault(_FORMULA, found, phrase("x"), gap, hint)
    if equal(result, f * x):
        return fault("multiplied formula")
    if equal(result, branch.formula(f) + x):
        return fault("branch twice")
    for value, before, key in ((result, f + x, "sum"), (result - x, f, "F"), (result - f, x, "x")):
        if activation := name_activation(value, before):
            return fault(f"activation of {key}", activation=activation)
    if not branch.given:
        return fault("branch not called", hint=phrase("hint call branch"))
    if not equal(branch.given[0], x):
        return fault("branch given other")
    return output_fault(_FORMULA, None, phrase("x"), gap, "")


def _check_other_inputs(module: Callable, branch: _Branch) -> None:
    inputs = {name: random_values(*shape, seed=1) for name, shape in _OTHERS.items()}
    inputs["double"] = inputs["vector"].double()
    for name, x in inputs.items():
        result = _run(module, branch, x, name).output
        with torch.no_grad():
            expected = branch.formula(x) + x
        if not equal(result, expected):
            gap = gap_between(result, expected)
            raise fault("formula differs for", name=phrase(f"input {name}"), gap=gap)


def _check_gradient(module: Callable, branch: _Branch, x: Tensor) -> None:
    run, weights = _run(module, branch, x, "images"), random_values(*x.shape, seed=2)
    if not run.result.requires_grad:
        raise fault("no gradient formula")
    step = phrase("training step")
    found = attempt(step, lambda: backward(run.result, run.leaf, weights))
    leaf = x.clone().requires_grad_()
    of_branch = backward(branch.formula(leaf), leaf, weights)
    for expected, key in ((of_branch + weights, None), (of_branch, "shortcut"), (weights, "F")):
        if equal(found, expected):
            if key is None:
                return
            raise fault(f"no gradient formula {key}")
    raise fault("gradient formula", gap=gap_between(found, of_branch + weights))


def _check_no_more_parameters(module: nn.Module, branch: _Branch) -> None:
    registered = {id(p): name for name, p in module.named_parameters()}
    own = {id(p) for p in branch.parameters()}
    extra = [name for key, name in registered.items() if key not in own]
    # Where the branch was copied, its parameters look like the module's own.
    if extra and own <= registered.keys():
        raise fault("own parameter", name=extra[0])

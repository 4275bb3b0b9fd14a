"""Is the reader's shortcut, without the block around it, option A, B or C of He et al. 2015?"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor, nn

from resnet_checks.block import ARGUMENTS, cases, naming
from resnet_checks.building import check_repeatable, in_eval_mode, prepared, run_once
from resnet_checks.comparing import (
    describe_difference,
    equal,
    factor_of,
    mixture,
    name_activation,
    random_values,
)
from resnet_checks.identity import check_plain, name_plain
from resnet_checks.observing import Run
from resnet_checks.parts import SHORTCUT_ALONE, Case, Parts
from resnet_checks.projection import check_projection, check_projection_shape, padded
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.running import attempt, like_parameters
from resnet_checks.training import (
    check_parameters,
    check_registered,
    compare_gradients,
    formula,
    gradient_at,
)
from resnet_checks.wiring import check_modes, check_projection_start

__all__ = ["shortcut"]

_OPTIONS = ("A", "B", "C")


def shortcut(make: Callable, option: str = "B") -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds a block's shortcut alone.

    He et al. 2015, section 3.3. The shortcut brings x to the shape of F(x); the block adds both.
    Option A: x itself; where the shape changes, every second value, and zeros for the new
    channels, on any side; no parameters. Option B: x itself; where the shape changes, a 1×1
    convolution with the stride and without bias, then batch norm. Option C: that projection
    everywhere. The paper does not mention the batch norm; torchvision has it.

    Args:
        make: the reader's class or function, called with three positional arguments.
        option: "A", "B" or "C".

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
        ValueError: the option is unknown.
    """
    require_maker(make, f"make({ARGUMENTS})")
    if option not in _OPTIONS:
        raise ValueError(f"option must be one of {', '.join(_OPTIONS)}, got {option!r}")
    return write_report(f"Shortcut, option {option}", _steps(make, option))


def _steps(make: Callable, option: str) -> Iterator[str]:
    for case in cases(SHORTCUT_ALONE, 4, 8):
        projects = option == "C" or (option == "B" and case.changes_shape)
        try:
            yield f"{case.name}: {_check_case(make, case, option, projects)}"
        except FaultFound as found:
            raise naming(case, found) from None


def _check_case(make: Callable, case: Case, option: str, projects: bool) -> str:
    nothing = "Where nothing is to be done, return nn.Identity()."
    with prepared(make, ARGUMENTS, case.arguments, case.input_shape, nothing) as (module, x):

        def check(case: Case, x: Tensor, training: bool = True) -> tuple[Parts, int]:
            run = run_once(module, x, case.output_shape, lambda run: _explain(run, case, projects))
            parts = Parts(run, case)
            _check_kept(run)
            if projects:
                _check_projected(module, parts, training)
                return parts, 0
            return parts, check_plain(module, parts, option)

        check_repeatable(module, x, "shortcut")
        parts, place = check(case, x)
        with in_eval_mode(module):
            check(case, x, training=False)
        _check_gradient(module, parts, x, place)
        odd = replace(case, height=7, width=5)
        check(odd, like_parameters(random_values(*odd.input_shape), module))
        number = check_parameters(module, parts.run, "shortcut")
    return _describe(case, projects, place, number)


def _describe(case: Case, projects: bool, place: int, number: int) -> str:
    if projects:
        step = f" with stride {case.stride}" if case.stride > 1 else ""
        return f"a 1×1 convolution{step} and a batch norm, {number} parameters, all of them used"
    text = "every second value of x" if case.stride > 1 else "x itself"
    if new := case.out_channels - case.in_channels:
        side = {0: "behind the old ones", new: "before the old ones"}.get(place, "on both sides")
        text += f", {new} channels of zeros {side}"
    return f"{text}, no parameters"


def _explain(run: Run, case: Case, projects: bool) -> None:
    """Raise the fault that made a run fail, or gave it the wrong shape, if it is known."""
    parts = Parts(run, case)
    if run.error is not None:
        if projects and len(parts.shortcut) == 1:
            check_projection_shape(parts)
    elif not projects:
        if not parts.shortcut:
            raise name_plain(parts)
    elif parts.shortcut:
        check_projection(parts)
    else:
        raise _no_projection(parts)


def _check_kept(run: Run) -> None:
    if not equal(run.x_after, run.x):
        raise FaultFound(
            "The shortcut overwrites its input x, which the branch reads too.",
            "Look for inplace=True, or a function that ends in _, on x itself.",
        )


def _no_projection(parts: Parts) -> FaultFound:
    run, case = parts.run, parts.case
    if not case.changes_shape:
        return FaultFound(
            "There is no projection, though option C has one in every block, also where the "
            "shapes agree."
        )
    if any(equal(run.output, value) for value in padded(run.x, case)):
        return FaultFound(
            "There is no projection. What comes out is option A: every second value of x, and "
            "zeros for the new channels."
        )
    fault = "There is no projection: no convolution was seen."
    if equal(run.output, run.x):
        fault = "There is no projection: x comes out as it went in."
    return FaultFound(
        f"{fault} x has the shape {case.input_shape}, and F(x) has {case.output_shape}.",
        "A projection is a 1×1 convolution with the stride, then a batch norm. It belongs where "
        "the channels or the stride change.",
    )


def _check_projected(module: nn.Module, parts: Parts, training: bool) -> None:
    if not parts.shortcut:
        raise _no_projection(parts)
    check_projection(parts)
    check_projection_start(parts)
    check_registered(module, parts)
    check_modes(parts, training)
    if len(parts.run.norms) > 1:
        raise FaultFound("There is one norm too many. A projection has one, behind it.")
    result, right = parts.run.output, parts.shortcut_output
    if not equal(result, right):
        raise FaultFound(_name_projected(parts, result, right))


def _name_projected(parts: Parts, result: Tensor, right: Tensor) -> str:
    if activation := name_activation(result, right):
        return (
            f"{activation} follows the batch norm. The shortcut has no activation: the last ReLU "
            "of a block comes after the addition."
        )
    fits = parts.run.x.shape == right.shape
    factors = mixture(result, right, parts.run.x) if fits else None
    if factors and factors[1]:
        return "x itself is added too. The shortcut only projects; the block adds."
    if factor := factor_of(result, right):
        return f"The shortcut is scaled: it puts out {factor:g}·projection(x)."
    gap = describe_difference(result, right)
    return f"The shortcut puts out something else than the batch norm does: {gap}."


def _check_gradient(module: nn.Module, parts: Parts, x: Tensor, place: int) -> None:
    def plain(x: Tensor) -> Tensor:
        return padded(x, parts.case)[place]

    right = formula(parts)[1] if parts.shortcut else plain
    found, expected = (
        attempt("A training step", lambda f=f: gradient_at(f, x, parts.case.output_shape))
        for f in (module, right)
    )
    compare_gradients(found, expected)

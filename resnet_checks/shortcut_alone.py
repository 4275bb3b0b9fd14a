"""Is the reader's shortcut, without the block around it, option A, B or C of He et al. 2015?"""

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from resnet_checks.block import ARGUMENTS, cases, check_one_odd, within
from resnet_checks.blueprints import SHORTCUTS
from resnet_checks.building import check_repeatable, in_eval_mode, prepared, run_once
from resnet_checks.comparing import (
    equal,
    factor_of,
    mixture,
    name_activation,
    random_values,
)
from resnet_checks.identity import check_plain, name_plain
from resnet_checks.joints import check_modes, check_reads
from resnet_checks.observing import Run
from resnet_checks.phrases import fault, phrase
from resnet_checks.projection import check_projection, check_projection_settings, padded
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.roles import Case, Roles
from resnet_checks.running import like_parameters
from resnet_checks.training import (
    check_gradient,
    check_parameters,
    check_registered,
    check_statistics,
)
from resnet_checks.wording import gap_between, tidy

__all__ = ["shortcut"]


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
    if option not in list(SHORTCUTS):  # a list, so that what cannot be hashed is refused too
        raise ValueError(f"option must be one of {', '.join(SHORTCUTS)}, got {option!r}")
    return write_report(f"Shortcut, option {option}", _steps(make, option))


def _steps(make: Callable, option: str) -> Iterator[str]:
    for case in cases(SHORTCUTS[option]):
        with within(case.name):
            found = _check_case(make, case, option)
        yield f"{case.name}: {found}"


def _check_case(make: Callable, case: Case, option: str) -> str:
    nothing = phrase("hint identity")
    with prepared(make, ARGUMENTS, case.arguments, case.input_shape, nothing) as (module, x):

        def check(case: Case, x: Tensor, training: bool = True) -> Roles:
            run = run_once(module, x, case.output_shape, lambda run: _explain(run, case))
            if training:
                check_repeatable(module, x, run, "shortcut")
            roles = Roles(run, case)
            if not equal(run.x_after, run.x):
                raise fault("overwritten shortcut")
            if case.projects:
                _check_projected(module, roles, training)
            else:
                check_plain(module, roles, option)
            return roles

        roles = check(case, x)
        with in_eval_mode(module):
            check(case, x, training=False)
        place = _place(roles)
        check_gradient(roles, None if case.projects else lambda x: padded(x, case)[place])

        def check_again(case: Case) -> None:
            check(case, like_parameters(random_values(*case.input_shape), module))

        check_one_odd(check_again, case)
        number = check_parameters(module, roles.run, "shortcut")
    return _describe(case, place, number)


def _place(roles: Roles) -> int:
    """How many channels of zeros come first."""
    values = enumerate(padded(roles.run.x, roles.case))
    return next((n for n, value in values if equal(roles.run.output, value)), 0)


def _describe(case: Case, place: int, number: int) -> str:
    keys = ("1", "strided")
    if case.projects:
        return phrase(f"projected {keys[case.stride > 1]}", stride=case.stride, number=number)
    text = phrase(f"plain {keys[case.stride > 1]}")
    if new := case.out_channels - case.in_channels:
        side = {0: "behind", new: "before"}.get(place, "on both sides")
        text += phrase("zeros", number=new, side=phrase(f"zeros {side}"))
    return text + phrase("no parameters")


def _explain(run: Run, case: Case) -> None:
    """Raise the fault that made a run fail, or gave it the wrong shape, if it is known."""
    roles = Roles(run, case)
    if run.error is not None:
        if case.projects and len(roles.shortcut) == 1:
            check_projection_settings(roles)
    elif not case.projects:
        if not roles.shortcut:
            raise name_plain(roles)
    elif roles.shortcut:
        check_projection(roles)
    else:
        raise _no_projection(roles)


def _no_projection(roles: Roles) -> FaultFound:
    run, case = roles.run, roles.case
    shapes = {"found": case.input_shape, "right": case.output_shape}
    if not case.changes_shape:
        return fault("no projection C")
    if any(equal(run.output, value) for value in padded(run.x, case)):
        return fault("no projection A")
    return fault("no projection x" if equal(run.output, run.x) else "no projection seen", **shapes)


def _check_projected(module: nn.Module, roles: Roles, training: bool) -> None:
    if not roles.shortcut:
        raise _no_projection(roles)
    check_projection(roles)
    check_reads(roles)
    check_registered(module, roles)
    check_modes(roles, training)
    check_statistics(module, roles, training)
    result, right, x = roles.run.output, roles.shortcut_output, roles.run.x
    if equal(result, right):
        return
    if activation := name_activation(result, right):
        raise fault("activation after", activation=activation)
    factors = mixture(result, right, x) if x.shape == right.shape else None
    if factors and factors[1]:
        raise fault("x added too")
    if factor := factor_of(result, right):
        raise fault("scaled", factor=f"{tidy(factor):g}", s=phrase("projected x"))
    raise fault("other than norm", gap=gap_between(result, right))

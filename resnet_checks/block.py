"""Is the reader's class the block of a blueprint, such as the basic block of He et al. 2015?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor, nn

from resnet_checks.blueprints import (
    BASIC,
    BOTTLENECK,
    PRE_ACTIVATION,
    SQUEEZE_EXCITATION,
    Blueprint,
)
from resnet_checks.building import check_repeatable, in_eval_mode, prepared, run_once
from resnet_checks.comparing import random_values
from resnet_checks.joints import check_joints, check_modes
from resnet_checks.observing import Run
from resnet_checks.phrases import fault, phrase
from resnet_checks.projection import NoProjection, check_shortcut, explain_failure
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.roles import Case, Roles, stride
from resnet_checks.running import like_parameters
from resnet_checks.settings import check_layers
from resnet_checks.training import (
    check_gradient,
    check_parameters,
    check_registered,
    check_statistics,
)

__all__ = ["basic_block", "bottleneck", "pre_activation_block", "squeeze_excitation_block"]

ARGUMENTS = "in_channels, out_channels, stride"


def basic_block(make: Callable, *, projection: bool = True) -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds a basic block.

    He et al. 2015, Fig. 2 and Fig. 5 left, with batch norm as in section 3.4: ReLU(F(x) + x) with
    F = batch norm ∘ 3×3 convolution ∘ ReLU ∘ batch norm ∘ 3×3 convolution. Where the shape
    changes, x goes through a projection (option B of section 3.3, with batch norm). The block is
    tried on three images of 6×8, in train and in eval mode, and on one of 7×5.

    Args:
        make: the reader's class or function, called with three positional arguments.
        projection: False checks only the block whose shapes agree.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    return check_block(make, BASIC, projection)


def bottleneck(make: Callable, *, projection: bool = True) -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds a bottleneck block.

    He et al. 2015, Fig. 5 right: ReLU(F(x) + x), where F is a 1×1, a 3×3 and a 1×1 convolution,
    each with its batch norm, and a ReLU between them. `out_channels` is what comes out; the middle
    is out_channels / 4 wide. The stride stands on the 3×3, as in torchvision, or on the first 1×1,
    as in the authors' release; both are right, and the report says which. Where the shape changes,
    x goes through a projection (option B of section 3.3, with batch norm).

    Args:
        make: the reader's class or function, called with three positional arguments.
        projection: False checks only the block whose shapes agree.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    return check_block(make, BOTTLENECK, projection)


def pre_activation_block(make: Callable, *, projection: bool = True) -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds a pre-activation block.

    He et al. 2016, Fig. 1b: F(x) + x, where batch norm and ReLU stand before each of two 3×3
    convolutions. Where the shape changes, a 1×1 convolution without batch norm projects the first
    ReLU's output, as in the authors' release.

    Args:
        make: the reader's class or function, called with three positional arguments.
        projection: False checks only the block whose shapes agree.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    return check_block(make, PRE_ACTIVATION, projection)


def squeeze_excitation_block(make: Callable, *, projection: bool = True) -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds a basic block with a gate.

    Hu et al. 2018, Fig. 3, on the basic block: ReLU(g · F(x) + x). The gate g holds a number
    between 0 and 1 for each image and channel: the sigmoid of a linear layer, of ReLU, of a linear
    layer of any width, of the mean of F(x) over its positions. 1×1 convolutions count as linear
    layers.

    Args:
        make: the reader's class or function, called with three positional arguments.
        projection: False checks only the block whose shapes agree.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    return check_block(make, SQUEEZE_EXCITATION, projection)


def check_block(make: Callable, blueprint: Blueprint, projection: bool = True) -> Report:
    """Check that `make(in_channels, out_channels, stride)` builds the blueprint's block.

    Args:
        make: the reader's class or function, called with three positional arguments.
        blueprint: what the block should be.
        projection: False checks only the block whose shapes agree.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
    """
    require_maker(make, f"make({ARGUMENTS})")
    words = phrase("passed"), phrase("fault found"), phrase("hint")
    subject = phrase(f"subject {blueprint.name}")
    return write_report(subject, _steps(make, blueprint, projection), words)


def cases(blueprint: Blueprint) -> list[Case]:
    """The block whose shapes agree, then those where they do not.

    The last two catch a projection that is built on half of its condition.
    """
    # Where the middle may have any width, it is often a sixteenth of the block's: at least one.
    shares = [layer.width or 1 / 4 for layer in blueprint.layers.values()]
    narrow = int(4 / min(shares, default=1))
    return [
        Case(narrow, narrow, 1, phrase("same"), blueprint),
        Case(narrow, 2 * narrow, 2, phrase("changed"), blueprint),
        Case(narrow, 2 * narrow, 1, phrase("channels changed"), blueprint),
        Case(narrow, narrow, 2, phrase("stride changed"), blueprint),
    ]


@contextmanager
def within(name: str) -> Iterator[None]:
    """Say in the faults of a `with` body in which case or part they were found."""
    try:
        yield
    except FaultFound as found:
        found.fault = f"{name[0].upper()}{name[1:]}: {found.fault}"
        raise


def check_one_odd(check: Callable[[Case], object], case: Case) -> None:
    """Run a check on a single image of another size, and say in its faults which of both counts."""
    odd = replace(case, height=7, width=5)
    try:
        check(replace(odd, batch=1))
    except FaultFound as found:
        # Two runs would cost every right block; only a wrong one needs to know which it is.
        with within(phrase("input of", height=odd.height, width=odd.width)):
            check(odd)
        found.hint = found.hint or phrase("hint one image")
        with within(phrase("one image")):
            raise


def _steps(make: Callable, blueprint: Blueprint, projection: bool) -> Iterator[str]:
    same, *changed = cases(blueprint)
    yield from _check_case(make, same)
    for case in changed if projection else ():
        with within(case.name):
            try:
                *_, last = _check_case(make, case)
            except NoProjection as found:
                skip = phrase("left out")
                found.hint = f"{found.hint} {skip}" if found.hint else skip
                raise
        yield phrase("the same with a projection", case=case.name, rest=last)


def _check_case(make: Callable, case: Case) -> Iterator[str]:
    blueprint = case.blueprint
    with prepared(make, ARGUMENTS, case.arguments, case.input_shape) as (module, x):
        run = _run(module, x, case)
        yield phrase("runs")
        check_repeatable(module, x, run, blueprint.name)
        roles = Roles(run, case)
        check_layers(roles)
        yield phrase(f"layers {blueprint.name}")
        check_shortcut(roles)
        check_registered(module, roles)
        check_joints(roles)
        yield phrase(f"out {blueprint.out}")
        check_modes(roles, training=True)
        check_statistics(module, roles, training=True)
        with in_eval_mode(module):
            _check_again(module, x, case, training=False)
        yield phrase("eval")
        check_gradient(roles)
        yield phrase("gradient passes")

        def check(case: Case) -> None:
            _check_again(module, like_parameters(random_values(*case.input_shape), module), case)

        check_one_odd(check, case)
        number = check_parameters(module, run)
        yield _where_strided(roles) + phrase("parameters", number=number)


def _where_strided(roles: Roles) -> str:
    homes = roles.case.blueprint.strided
    if len(homes) == 1 or roles.case.stride == 1:
        return ""
    home = next(name for name in homes if max(stride(roles.calls[name])) > 1)
    return phrase(f"strided {home}")


def _run(module: nn.Module, x: Tensor, case: Case) -> Run:
    def explain(run: Run) -> None:
        explain_failure(Roles(run, case))
        if run.error is None and run.output.shape[1:2] == (2 * case.out_channels,):
            shapes = {"found": tuple(run.output.shape), "right": case.output_shape}
            raise fault("concatenated", **shapes)

    return run_once(module, x, case.output_shape, explain)


def _check_again(module: nn.Module, x: Tensor, case: Case, training: bool = True) -> None:
    roles = Roles(_run(module, x, case), case)
    check_layers(roles)
    check_shortcut(roles)
    check_modes(roles, training)
    check_statistics(module, roles, training)
    check_joints(roles)

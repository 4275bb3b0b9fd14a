"""Is the reader's class the basic block, or the bottleneck block, of He et al. 2015?"""

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from resnet_checks.building import check_repeatable, in_eval_mode, prepared, run_once
from resnet_checks.layers import check_branch
from resnet_checks.observing import Run
from resnet_checks.parts import BASIC, BOTTLENECK, Case, Layout, Parts, stride
from resnet_checks.projection import NoProjection, check_shortcut, explain_failure
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.training import check_gradient, check_parameters, check_registered
from resnet_checks.wiring import check_modes, check_wiring

__all__ = ["basic_block", "bottleneck"]

ARGUMENTS = "in_channels, out_channels, stride"


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
    require_maker(make, f"make({ARGUMENTS})")
    return write_report("Basic block", _steps(make, BASIC, (4, 8), projection))


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
    require_maker(make, f"make({ARGUMENTS})")
    return write_report("Bottleneck block", _steps(make, BOTTLENECK, (16, 32), projection))


def cases(layout: Layout, narrow: int, wide: int) -> list[Case]:
    """The block whose shapes agree, then those where they do not.

    The last two catch a projection that is built on half of its condition.
    """
    return [
        Case(narrow, narrow, 1, "where the shapes agree", layout),
        Case(narrow, wide, 2, "where the shape changes", layout),
        Case(narrow, wide, 1, "where only the channels change", layout),
        Case(narrow, narrow, 2, "where only the stride changes", layout),
    ]


def naming(case: Case, found: FaultFound) -> FaultFound:
    """The fault with the case it was found in."""
    return FaultFound(f"{case.name[0].upper()}{case.name[1:]}: {found.fault}", found.hint)


def _steps(make: Callable, layout: Layout, widths: tuple[int, int], projection: bool):
    same, *changed = cases(layout, *widths)
    yield from _check_case(make, same)
    for case in changed if projection else ():
        try:
            steps = list(_check_case(make, case))
        except NoProjection as found:
            skip = "With projection=False this check leaves the case out."
            found.hint = f"{found.hint} {skip}" if found.hint else skip
            raise naming(case, found) from None
        except FaultFound as found:
            raise naming(case, found) from None
        yield f"{case.name}: the same, with a projection; {steps[-1]}"


def _check_case(make: Callable, case: Case) -> Iterator[str]:
    with prepared(make, ARGUMENTS, case.arguments, case.input_shape) as (module, x):
        parts = Parts(_run(module, x, case), case)
        yield "it runs, and the shape is right"
        check_repeatable(module, x, case.layout.name)
        check_branch(parts)
        yield case.layout.layers
        check_shortcut(parts)
        check_registered(module, parts)
        check_wiring(parts)
        yield "the output is ReLU(F(x) + x), and x is left as it was"
        check_modes(parts, training=True)
        with in_eval_mode(module):
            _check_eval(module, x, case)
        yield "the same in eval mode, with running statistics"
        check_gradient(module, parts, x)
        yield "the gradient passes through the branch and through the shortcut"
        number = check_parameters(module, parts.run)
        yield _where_strided(parts) + f"{number} parameters, all of them used"


def _where_strided(parts: Parts) -> str:
    if len(parts.case.layout.strided) == 1 or parts.case.stride == 1:
        return ""
    if max(stride(parts.branch[0])) > 1:
        return "the stride stands on the first 1×1, as in the authors' release; "
    return "the stride stands on the 3×3, as in torchvision (v1.5); "


def _run(module: nn.Module, x: Tensor, case: Case) -> Run:
    def explain(run: Run) -> None:
        explain_failure(Parts(run, case), run.error)
        if run.error is None and run.output.shape[1:2] == (2 * case.out_channels,):
            shape = tuple(run.output.shape)
            raise FaultFound(
                f"The output has the shape {shape}, not {case.output_shape}. It looks as if F(x) "
                "and x were concatenated, not added."
            )

    return run_once(module, x, case.output_shape, explain)


def _check_eval(module: nn.Module, x: Tensor, case: Case) -> None:
    parts = Parts(_run(module, x, case), case)
    check_branch(parts)
    check_shortcut(parts)
    check_modes(parts, training=False)
    check_wiring(parts)

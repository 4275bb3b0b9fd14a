"""Is a basic block's shortcut the right one, and does a wrong layer explain a failing run?"""

import torch.nn.functional as F

from resnet_lib.checks.comparing import equal
from resnet_lib.checks.layers import (
    check_bias,
    check_branch,
    check_kernel,
    check_norm,
    check_shapes,
    check_shared_norms,
    check_start,
)
from resnet_lib.checks.parts import Parts, kernel, stride
from resnet_lib.checks.report import FaultFound

SKIP_PROJECTION = "With projection=False this check leaves the case out."


def explain_failure(parts: Parts, error: Exception | None) -> None:
    """Raise the fault in the layers that made a run fail, if they hold it."""
    if error is None:
        check_branch(parts)
        check_shortcut(parts)
        return
    # Not every layer was seen before the error, so nothing is said about missing ones.
    check_start(parts)
    complete = len(parts.branch) == 2
    if complete or (len(parts.branch) == 1 and kernel(parts.branch[0]) != (1, 1)):
        check_shapes(parts)
    if complete and parts.shortcut:
        _check_projection_shape(parts)
    elif complete and parts.case.changes_shape and "must match the size of tensor" in str(error):
        raise _missing_projection(parts)


def check_shortcut(parts: Parts) -> None:
    """Nothing where the shapes agree; where they do not, a 1×1 convolution and a batch norm."""
    case, convolutions = parts.case, parts.shortcut
    if not case.changes_shape:
        if convolutions:
            raise FaultFound(
                "The shortcut holds a convolution although the shapes agree. A projection "
                "everywhere is option C: legal, but in this block the shortcut is x itself.",
                "Build the projection only where the stride or the channels change.",
            )
        return
    if not convolutions:
        raise _padded_shortcut(parts) or _missing_projection(parts)
    if len(convolutions) > 1:
        raise FaultFound(
            f"The shortcut holds {len(convolutions)} convolutions. A projection has one."
        )
    _check_projection_shape(parts)
    check_bias("projection", convolutions[0])
    check_norm(parts, "projection", convolutions[0])
    check_shared_norms(parts)


def _check_projection_shape(parts: Parts) -> None:
    call, asked = parts.shortcut[0], parts.case.stride
    check_kernel("projection", call, 1)
    if max(stride(call)) != asked:
        raise FaultFound(
            f"The projection has stride {max(stride(call))}, though stride {asked} was asked for. "
            "The shortcut must shrink x as the branch does.",
            "Pass `stride` on to the 1×1 convolution of the shortcut too.",
        )
    if (width := call.weight.shape[0]) != parts.case.out_channels:
        raise FaultFound(
            f"The projection puts out {width} channels, not {parts.case.out_channels}."
        )


def _padded_shortcut(parts: Parts) -> FaultFound | None:
    """The fault of a shortcut that pads with zeros, wherever the new channels stand."""
    x, step = parts.run.x[:, :, :: parts.case.stride, :: parts.case.stride], parts.branch_output
    new = step.shape[1] - x.shape[1]
    for before in range(new + 1):
        padded = F.pad(x, (0, 0, 0, 0, before, new - before))
        if equal(parts.run.output, F.relu(step + padded)):
            return FaultFound(
                "The shortcut takes every second value and pads with zeros. That is option A: "
                "legal, but this block projects with a 1×1 convolution (option B).",
                SKIP_PROJECTION,
            )
    return None


def _missing_projection(parts: Parts) -> FaultFound:
    case = parts.case
    _, _, height, width = case.output_shape
    return FaultFound(
        f"There is no projection on the shortcut. x has {case.in_channels} channels of "
        f"{case.height}×{case.width} and F(x) has {case.out_channels} of {height}×{width}.",
        "Bring x to the shape of F(x) with a 1×1 convolution that has the stride, and a batch "
        f"norm. {SKIP_PROJECTION}",
    )

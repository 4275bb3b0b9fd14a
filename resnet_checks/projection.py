"""Is a block's shortcut the right one, and does a wrong layer explain a failing run?"""

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.comparing import equal, name_pooling
from resnet_checks.layers import (
    check_bias,
    check_branch,
    check_norm,
    check_shared_norms,
    check_start,
)
from resnet_checks.parts import Case, Parts, kernel, stride
from resnet_checks.report import FaultFound
from resnet_checks.shapes import check_kernel, check_shapes


class NoProjection(FaultFound):
    """The shapes differ and nothing projects."""


def explain_failure(parts: Parts, error: Exception | None) -> None:
    """Raise the fault in the layers that made a run fail, if they hold it."""
    if error is None:
        check_branch(parts)
        check_shortcut(parts)
        return
    # Not every layer was seen before the error, so nothing is said about missing ones.
    check_start(parts)
    seen, right = len(parts.branch), len(parts.case.layout.kernels)
    # A 1×1 convolution that is seen alone may be the projection.
    if 1 < seen <= right or (seen == 1 and kernel(parts.branch[0]) != (1, 1)):
        check_shapes(parts)
    if seen != right:
        return
    if parts.shortcut:
        check_projection_shape(parts)
    elif parts.case.changes_shape and "must match the size of tensor" in str(error):
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
    check_projection(parts)


def check_projection(parts: Parts) -> None:
    """One 1×1 convolution on the shortcut, without bias, and its batch norm."""
    convolutions = parts.shortcut
    if len(convolutions) > 1:
        raise FaultFound(
            f"The shortcut holds {len(convolutions)} convolutions. A projection has one."
        )
    check_projection_shape(parts)
    check_bias("projection", convolutions[0])
    check_norm(parts, "projection", convolutions[0])
    check_shared_norms(parts)


def check_projection_shape(parts: Parts) -> None:
    """Kernel, padding, stride and width of the first convolution on the shortcut."""
    call, asked = parts.shortcut[0], parts.case.stride
    check_kernel("projection", call, 1)
    if (found := max(stride(call))) != asked:
        fault = f"The projection has stride {found}, though stride {asked} was asked for"
        if pooling := name_pooling(call.input, parts.run.x, asked):
            raise FaultFound(
                f"{fault}: {pooling} shrinks x in its place.",
                "The later ResNet-D does so. Here the 1×1 convolution has the stride.",
            )
        raise FaultFound(
            f"{fault}. The shortcut must shrink x as the branch does.",
            "Pass `stride` on to the 1×1 convolution of the shortcut too.",
        )
    if (width := call.weight.shape[0]) != parts.case.out_channels:
        raise FaultFound(
            f"The projection puts out {width} channels, not {parts.case.out_channels}."
        )


def padded(x: Tensor, case: Case) -> list[Tensor]:
    """Option A of x: every second value, and the new channels as zeros, on any side."""
    x, new = x[:, :, :: case.stride, :: case.stride], case.out_channels - case.in_channels
    return [F.pad(x, (0, 0, 0, 0, before, new - before)) for before in range(new + 1)]


def _padded_shortcut(parts: Parts) -> FaultFound | None:
    """The fault of a shortcut that pads with zeros, wherever the new channels stand."""
    for value in padded(parts.run.x, parts.case):
        if equal(parts.run.output, F.relu(parts.branch_output + value)):
            return NoProjection(
                "The shortcut takes every second value and pads with zeros. That is option A: "
                "legal, but this block projects with a 1×1 convolution (option B).",
            )
    return None


def _missing_projection(parts: Parts) -> FaultFound:
    case = parts.case
    _, _, height, width = case.output_shape
    return NoProjection(
        f"There is no projection on the shortcut. x has {case.in_channels} channels of "
        f"{case.height}×{case.width} and F(x) has {case.out_channels} of {height}×{width}.",
        "Bring x to the shape of F(x) with a 1×1 convolution that has the stride, and a batch "
        "norm.",
    )

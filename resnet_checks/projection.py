"""Is a block's shortcut the right one, and does a wrong layer explain a failing run?"""

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.blueprints import conv, evaluate
from resnet_checks.comparing import equal, name_pooling
from resnet_checks.phrases import fault, phrase
from resnet_checks.report import FaultFound
from resnet_checks.roles import Case, Roles, kernel, stride
from resnet_checks.settings import (
    check_bias,
    check_branch_settings,
    check_kernel,
    check_layers,
    check_norm,
    check_shared_norms,
    check_start,
)


class NoProjection(FaultFound):
    """The shapes differ and nothing projects."""


def explain_failure(roles: Roles) -> None:
    """Raise the fault in the layers that made a run fail, if they hold it."""
    if roles.run.error is None:
        check_layers(roles)
        check_shortcut(roles)
        return
    # Not every layer was seen before the error, so nothing is said about missing ones.
    check_start(roles)
    seen, right = len(roles.branch), len(roles.case.blueprint.convolutions)
    # A 1×1 convolution that is seen alone may be the projection.
    if 1 < seen <= right or (seen == 1 and kernel(roles.branch[0]) != (1, 1)):
        check_branch_settings(roles)
    if seen != right:
        return
    if roles.shortcut:
        check_projection_settings(roles)
    elif roles.case.projects and roles.case.blueprint.layers.keys() <= roles.calls.keys():
        raise _missing_projection(roles.case)


def check_shortcut(roles: Roles) -> None:
    """Nothing where the shapes agree; where they do not, the blueprint's projection."""
    if not roles.case.projects:
        if roles.shortcut:
            raise fault("option C")
    elif not roles.shortcut:
        raise _padded_shortcut(roles) or _missing_projection(roles.case)
    else:
        check_projection(roles)


def check_projection(roles: Roles) -> None:
    """One 1×1 convolution on the shortcut, without bias, and its batch norm if it has one."""
    if len(roles.shortcut) > 1:
        raise fault("projections", number=len(roles.shortcut))
    check_projection_settings(roles)
    for check in (check_bias, check_norm):
        for name in roles.case.blueprint.projection:
            check(roles, name)
    check_shared_norms(roles)


def check_projection_settings(roles: Roles) -> None:
    """Kernel, padding, stride and width of the first convolution on the shortcut."""
    call, case, name = roles.shortcut[0], roles.case, phrase("projection")
    check_kernel(name, call, conv(1, "x"))
    if (found := max(stride(call))) != case.stride:
        pooling = name_pooling(call.input, roles.run.x, case.stride)
        key = f"projection {pooling} pooled" if pooling else "projection stride"
        raise fault(key, found=found, stride=case.stride)
    if (width := call.weight.shape[0]) != case.out_channels:
        raise fault("width", name=name, found=width, right=case.out_channels)


def padded(x: Tensor, case: Case) -> list[Tensor]:
    """Option A of x: every second value, and the new channels as zeros, on any side."""
    x, new = x[:, :, :: case.stride, :: case.stride], case.out_channels - case.in_channels
    return [F.pad(x, (0, 0, 0, 0, before, new - before)) for before in range(new + 1)]


def _padded_shortcut(roles: Roles) -> FaultFound | None:
    """The fault of a shortcut that pads with zeros, wherever the new channels stand."""
    out, branch = roles.case.blueprint.out, roles.branch_output
    for value in padded(roles.run.x, roles.case):
        if equal(roles.run.output, evaluate(out, {"F": branch, "s": value})):
            return fault("option A", NoProjection)
    return None


def _missing_projection(case: Case) -> FaultFound:
    sizes = dict(zip(("high", "wide"), case.output_shape[2:], strict=True))
    return fault("no projection", NoProjection, **vars(case), **sizes)

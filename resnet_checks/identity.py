"""What does a shortcut without layers put out: x itself, or option A of it, or something else?"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from resnet_checks.comparing import (
    equal,
    factor_of,
    name_activation,
    name_pooling,
)
from resnet_checks.phrases import fault, phrase
from resnet_checks.projection import padded
from resnet_checks.report import FaultFound
from resnet_checks.roles import Case, Roles
from resnet_checks.wording import gap_between, tidy


def check_plain(module: nn.Module, roles: Roles, option: str) -> None:
    """x itself, or option A of it, without layers."""
    right = phrase("right A" if roles.case.changes_shape else "right x")
    if roles.shortcut:
        agree = option == "B" or not roles.case.changes_shape
        raise fault("holds projection C" if agree else "holds projection B", rest=right)
    if roles.run.norms:
        raise fault("holds norm", kind=phrase(roles.run.norms[0].kind), rest=right)
    if names := [name for name, _ in module.named_parameters()]:
        raise fault("holds parameter", name=names[0], rest=right)
    if not any(equal(roles.run.output, value) for value in padded(roles.run.x, roles.case)):
        raise name_plain(roles)


def name_plain(roles: Roles) -> FaultFound:
    """The fault of a result that is neither x itself nor option A of it."""
    result, x, case = roles.run.output, roles.run.x, roles.case
    if result.shape != case.output_shape:
        shapes = {"found": tuple(result.shape), "right": case.output_shape}
        return fault(_shape_fault(result, x, case), **shapes)
    if not result.any():
        return fault("zeros alone")
    right = padded(x, case)
    for place, value in enumerate(right):
        if activation := name_activation(result, value):
            return fault("activation on shortcut", activation=activation)
        if factor := factor_of(result, value):
            return fault("scaled", factor=f"{tidy(factor):g}", s="x")
        if known := _wrong_values(result, x, case, place):
            return fault(known)
    key = "not option A" if case.changes_shape else "not x"
    return fault(key, gap=gap_between(result, right[-1]))


def _shape_fault(result: Tensor, x: Tensor, case: Case) -> str:
    if equal(result, x):
        return "shape of x"
    if equal(result, x[:, :, :: case.stride, :: case.stride]):
        return "no new channels"
    unstrided = padded(x, replace(case, stride=1))
    return "no stride A" if any(equal(result, value) for value in unstrided) else "shape"


def _wrong_values(result: Tensor, x: Tensor, case: Case, place: int) -> str | None:
    """The key of what is wrong where the old channels begin at `place`."""
    old, small = result[:, place : place + case.in_channels], x[..., :: case.stride, :: case.stride]
    if equal(old, small) and case.out_channels > case.in_channels:
        new = torch.cat([result[:, :place], result[:, place + small.shape[1] :]], dim=1)
        if all(any(equal(n, o) for o in small.unbind(1)) for n in new.unbind(1)):
            return "repeated channels"
        if new.any():
            return "channels not zero"
    if case.stride > 1 and (pooling := name_pooling(old, x, case.stride)):
        return f"{pooling} pooled A"
    if case.stride > 1 and equal(old, x[..., 1 :: case.stride, 1 :: case.stride]):
        return "shifted A"
    return None

"""What does a shortcut without layers put out: x itself, or option A of it, or something else?"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from resnet_checks.comparing import (
    describe_difference,
    equal,
    factor_of,
    name_activation,
    name_pooling,
)
from resnet_checks.parts import Case, Parts
from resnet_checks.projection import padded
from resnet_checks.report import FaultFound


def check_plain(module: nn.Module, parts: Parts, option: str) -> int:
    """x itself, or option A of it, without layers. Returns how many zero channels come first."""
    _check_no_layers(module, parts, option)
    values = padded(parts.run.x, parts.case)
    place = next((n for n, v in enumerate(values) if equal(parts.run.output, v)), None)
    if place is None:
        raise name_plain(parts)
    return place


def _check_no_layers(module: nn.Module, parts: Parts, option: str) -> None:
    right = "Here the shortcut is x itself."
    if parts.case.changes_shape:
        right = "Option A takes every second value of x and pads with zeros."
    if parts.shortcut:
        agree = option == "B" or not parts.case.changes_shape
        other = "A projection everywhere is option C." if agree else "A projection is option B."
        raise FaultFound(f"The shortcut holds a convolution. {other} {right}")
    if parts.run.norms:
        raise FaultFound(f"The shortcut holds a {parts.run.norms[0].kind}. {right}")
    if names := [name for name, _ in module.named_parameters()]:
        raise FaultFound(
            f"The shortcut has a parameter, `{names[0]}`. It should have none. {right}"
        )


def name_plain(parts: Parts) -> FaultFound:
    """The fault of a result that is neither x itself nor option A of it."""
    result, x, case = parts.run.output, parts.run.x, parts.case
    if result.shape != case.output_shape:
        return _name_shape(result, x, case)
    if not result.any():
        return FaultFound("The shortcut puts out zeros alone: x is lost.")
    known = next(_known_faults(result, x, case), None)
    if known is None:
        right = "option A of x" if case.changes_shape else "x"
        gap = describe_difference(result, padded(x, case)[-1])
        known = f"What comes out is not {right}: {gap}."
    return FaultFound(known)


def _name_shape(result: Tensor, x: Tensor, case: Case) -> FaultFound:
    fault = f"The output has the shape {tuple(result.shape)}, not {case.output_shape}."
    if equal(result, x):
        return FaultFound(f"{fault} x comes out as it went in.")
    if equal(result, x[:, :, :: case.stride, :: case.stride]):
        return FaultFound(f"{fault} The new channels are missing.", "Pad them with zeros: F.pad.")
    if any(equal(result, value) for value in padded(x, replace(case, stride=1))):
        return FaultFound(
            f"{fault} The channels are padded, but the stride is forgotten.",
            "Take every second value: x[:, :, ::stride, ::stride].",
        )
    return FaultFound(fault)


def _known_faults(result: Tensor, x: Tensor, case: Case) -> Iterator[str]:
    """What is known to turn x into the result, in words."""
    values, small = padded(x, case), x[:, :, :: case.stride, :: case.stride]
    for place, value in enumerate(values):
        if activation := name_activation(result, value):
            yield f"{activation} is applied on the shortcut. The shortcut has no activation."
        if factor := factor_of(result, value):
            yield f"The shortcut is scaled: it puts out {factor:g}·x."
        old = result[:, place : place + case.in_channels]
        if equal(old, small) and len(values) > 1:
            yield from _name_new_channels(result, small, place)
        if case.stride > 1 and (pooling := name_pooling(old, x, case.stride)):
            yield f"{pooling.capitalize()} shrinks x. Option A takes every second value of x."
        if case.stride > 1 and equal(old, x[:, :, 1 :: case.stride, 1 :: case.stride]):
            yield "Every second value is taken, but not from the first value on."


def _name_new_channels(result: Tensor, small: Tensor, place: int) -> Iterator[str]:
    new = torch.cat([result[:, :place], result[:, place + small.shape[1] :]], dim=1)
    if all(any(equal(n, old) for old in small.unbind(1)) for n in new.unbind(1)):
        yield "The new channels repeat the old ones. In option A they are zero."
    elif new.any():
        yield "The new channels are not zero. In option A they are."

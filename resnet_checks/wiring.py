"""Are a basic block's layers joined as ReLU(F(x) + x)? Its layers are known to be right here."""

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.comparing import (
    describe_difference,
    equal,
    mixture,
    name_activation,
    sum_fault,
)
from resnet_checks.observing import BATCH_NORM
from resnet_checks.parts import Parts
from resnet_checks.report import FaultFound


def check_wiring(parts: Parts) -> None:
    """Follow the values from x through the block, and compare at every joint."""
    _check_input_kept(parts)
    _check_start(parts)
    _check_no_more_norms(parts)
    _check_middles(parts)
    _check_output(parts)


def check_modes(parts: Parts, training: bool) -> None:
    """Batch norms use the batch's own statistics in train mode, the running ones in eval mode."""
    for name, convolution in parts.named:
        norm = parts.norm_after(convolution)
        if bool(norm.arguments.get("training")) == training:
            continue
        if training:
            raise FaultFound(
                f"In train mode the batch norm after the {name} uses running statistics.",
                "Look for eval(), or training=False, inside the block.",
            )
        raise FaultFound(
            f"In eval mode the batch norm after the {name} still uses the batch's own statistics.",
            "Look for track_running_stats=False, or F.batch_norm with training=True.",
        )


def _check_input_kept(parts: Parts) -> None:
    x, after = parts.run.x, parts.run.x_after
    if equal(after, x):
        return
    starts = [parts.branch[0], *parts.shortcut]
    total = parts.branch_output + parts.shortcut_output
    overwritten_by_sum = equal(after, total) or equal(after, F.relu(total))
    unspoiled = equal(parts.run.output, F.relu(total)) and all(equal(c.input, x) for c in starts)
    if overwritten_by_sum or unspoiled:
        raise FaultFound(
            "The block overwrites its input x, which the layer before it still holds.",
            "Look for += on x, or an in-place function on x: write out = out + x.",
        )
    what = "An in-place ReLU" if equal(after, F.relu(x)) else "Something in place"
    carried = "ReLU(x)" if equal(after, F.relu(x)) else "the changed values"
    raise FaultFound(
        f"{what} overwrites x before x is added: the shortcut carries {carried}, not x.",
        "Look for inplace=True, or a function that ends in _, on x itself.",
    )


def _check_start(parts: Parts) -> None:
    x, first = parts.run.x, parts.branch[0]
    if not equal(first.input, x):
        for norm in parts.run.of_kind(BATCH_NORM):
            if equal(norm.input, x):
                raise FaultFound(
                    "A batch norm stands before the first convolution. That is the later "
                    "pre-activation block; the basic block begins with the convolution."
                )
        if activation := name_activation(first.input, x):
            raise FaultFound(
                f"{activation} is applied to x before the first convolution, which should read x "
                "itself."
            )
        raise FaultFound("The first convolution does not read the block's input x as it came.")
    check_projection_start(parts)


def check_projection_start(parts: Parts) -> None:
    """The projection, if there is one, reads x itself."""
    x = parts.run.x
    if not parts.shortcut or equal(read := parts.shortcut[0].input, x):
        return
    fault = "The projection does not read the block's input x as it came"
    if activation := name_activation(read, x):
        fault += f": {activation} is applied to it"
    raise FaultFound(f"{fault}.")


def _check_no_more_norms(parts: Parts) -> None:
    expected = [parts.norm_after(convolution) for convolution in parts.convolutions]
    total = parts.branch_output + parts.shortcut_output
    for norm in parts.run.norms:
        if norm in expected:
            continue
        where = ""
        if any(equal(norm.input, value) for value in (total, F.relu(total))):
            where = ", after the addition"
        elif equal(norm.input, parts.run.x):
            where = ", on the shortcut"
        raise FaultFound(f"There is one {norm.kind} too many{where}.")


def _check_middles(parts: Parts) -> None:
    for number, (name, convolution) in enumerate(parts.named[1 : len(parts.branch)]):
        before = parts.named[number][0].removesuffix(" convolution")
        _check_middle(parts, number, name, before, convolution.input)


def _check_middle(parts: Parts, number: int, name: str, before: str, read: Tensor) -> None:
    norm, right = parts.norm_after(parts.branch[number]).output, parts.middles[number]
    place = "in the middle" if len(parts.branch) == 2 else f"between the {before} and the {name}"
    if equal(read, right):
        return
    if equal(read, norm):
        raise FaultFound(
            f"The ReLU {place} is missing: the {name} reads the batch norm's output directly.",
            "Between two convolutions stand a batch norm and a ReLU.",
        )
    if activation := name_activation(read, norm):
        raise FaultFound(f"The activation {place} is {activation}. It should be ReLU.")
    if read.shape == norm.shape and equal(read - right, parts.run.x):
        raise FaultFound(f"x is added in the middle too, before the {name}.")
    raise FaultFound(
        f"The {name} does not read ReLU of the {before} batch norm.",
        "Nothing else stands between two convolutions.",
    )


def _check_output(parts: Parts) -> None:
    result, f, s = parts.run.output, parts.branch_output, parts.shortcut_output
    if equal(result, F.relu(f + s)):
        return
    x = "projection(x)" if parts.shortcut else "x"
    fault = _linear_fault(result, f, s, x) or _misplaced_relu(result, f, s, x)
    fault = fault or _wrong_start(parts)
    if fault is None:
        gap = describe_difference(result, F.relu(f + s))
        fault = f"The output differs from ReLU(F(x) + {x}): {gap}."
    raise FaultFound(fault, f"Look at the end of forward. It should compute ReLU(F(x) + {x}).")


def _linear_fault(result: Tensor, f: Tensor, s: Tensor, x: str) -> str | None:
    """The fault of a result that is a·f + b·s, or the ReLU of that."""
    if factors := mixture(result, f, s):
        return sum_fault(*factors, shortcut=x) or (
            f"The ReLU after the addition is missing: the output is F(x) + {x}."
        )
    alive = result > 0
    factors = mixture(result[alive], f[alive], s[alive]) if alive.any() else None
    if factors and equal(result, F.relu(factors[0] * f + factors[1] * s)):
        return sum_fault(*factors, shortcut=x, whole="ReLU({})")
    return None


def _misplaced_relu(result: Tensor, f: Tensor, s: Tensor, x: str) -> str | None:
    order = f"It belongs before it: ReLU(F(x) + {x})."
    known = [
        (F.relu(f) + s, f"The addition comes after the last ReLU. {order}"),
        (
            F.relu(F.relu(f) + s),
            "A ReLU stands on the branch before the addition: F(x) could only add, never "
            "subtract. The branch ends with its batch norm.",
        ),
        (F.relu(f + F.relu(s)), "A ReLU stands on the shortcut. The shortcut has none."),
        (f + F.relu(s), "A ReLU stands on the shortcut, and none after the addition."),
        (F.relu(f) + F.relu(s), f"A ReLU stands on both sides of the addition. {order}"),
        (f * s, f"F(x) and {x} are multiplied, not added."),
        (F.relu(f * s), f"F(x) and {x} are multiplied, not added."),
    ]
    fault = next((text for value, text in known if equal(result, value)), None)
    if fault is None and (activation := name_activation(result, f + s)):
        fault = f"The last activation is {activation}. It should be ReLU."
    return fault


def _wrong_start(parts: Parts) -> str | None:
    """The fault of a shortcut that starts at another value than x."""
    ordinals = ("first", "second")
    known = {f"the {o} ReLU": m for o, m in zip(ordinals, parts.middles, strict=False)}
    for name, convolution in parts.named:
        known[f"the {name}"] = convolution.output
        known[f"the batch norm after the {name}"] = parts.norm_after(convolution).output
    f, result = parts.branch_output, parts.run.output
    for name, value in known.items():
        fits = value.shape == f.shape
        if fits and any(equal(result, r) for r in (F.relu(f + value), f + value)):
            return f"What is added is the output of {name}, not x."
    return None

"""Are the layers on a block's branch the right ones? One function for each question."""

from itertools import pairwise

import torch.nn.functional as F

from resnet_checks.comparing import equal
from resnet_checks.observing import BATCH_NORM, Call
from resnet_checks.parts import Parts, kernel
from resnet_checks.report import FaultFound
from resnet_checks.shapes import check_shapes


def check_branch(parts: Parts) -> None:
    """The layout's convolutions without bias, each followed by a batch norm of its own."""
    check_start(parts)
    _check_number(parts)
    check_shapes(parts)
    branch = parts.named[: len(parts.branch)]
    for name, convolution in branch:
        check_bias(name, convolution)
    for name, convolution in branch:
        check_norm(parts, name, convolution)
    check_shared_norms(parts)


def _check_number(parts: Parts) -> None:
    layout, number = parts.case.layout, len(parts.branch)
    right = ("no", "one", "two", "three")[len(layout.kernels)]
    if number == 0:
        raise FaultFound(
            f"No convolution was seen in the forward pass. The branch has {right}.",
            "Only nn.Conv2d and F.conv2d are seen.",
        )
    if number == 1 and len(parts.shortcut) == 1 and not parts.case.changes_shape:
        other = parts.shortcut[0]
        if kernel(other) == kernel(parts.branch[0]):
            raise _unread("second", "first")
    if number != len(layout.kernels):
        count = "only one convolution" if number == 1 else f"{number} convolutions"
        raise FaultFound(f"The branch has {count}. In a {layout.name} it has {right}.")
    for position, (name, call) in enumerate(parts.named[1:number]):
        if parts.branch[position].number not in call.after:
            before = parts.named[position][0]
            raise _unread(*(n.removesuffix(" convolution") for n in (name, before)))
    if len({id(call.weight) for call in parts.branch}) < number:
        raise FaultFound(
            "One convolution is used twice: both share their weights.",
            "Create two convolutions, under two names.",
        )


def _unread(name: str, before: str) -> FaultFound:
    return FaultFound(
        f"The {name} convolution does not read what the {before} one puts out.",
        f"Look at the variable that the {name} convolution is called on.",
    )


def check_start(parts: Parts) -> None:
    """Branch and shortcut both start at x: the projection is in no line with the branch."""
    sizes = [kernel(call) for call in parts.branch]
    right = [(size, size) for size in parts.case.layout.kernels]
    if not parts.case.changes_shape or parts.shortcut or (1, 1) not in sizes:
        return
    in_line = all(a.number in b.after for a, b in pairwise(parts.branch))
    if len(sizes) > len(right) and not (in_line and (1, 1) in (sizes[0], *right)):
        raise FaultFound("The projection reads a value of the branch. It should read x.")
    # Where a run ended early, the last convolutions were not seen.
    is_projected = parts.branch[0].weight.shape[0] == parts.case.out_channels
    if is_projected and len(sizes) > 1 and sizes == [(1, 1), *right][: len(sizes)]:
        raise FaultFound(
            "The branch reads what the projection puts out. Both start at the block's input x.",
            "Keep the projected x in a variable of its own.",
        )


def check_bias(name: str, call: Call) -> None:
    if call.arguments.get("bias") is not None:
        raise FaultFound(
            f"The {name} has a bias. The batch norm after it takes the bias out again.",
            "Create the convolution with bias=False.",
        )


def check_norm(parts: Parts, name: str, convolution: Call) -> None:
    norm = parts.norm_after(convolution)
    if norm is None:
        raise _missing_norm(parts, name, convolution)
    if norm.weight is None or norm.arguments.get("bias") is None:
        raise FaultFound(
            f"The batch norm after the {name} has no scale and shift to learn.",
            "Look for affine=False.",
        )


def _missing_norm(parts: Parts, name: str, convolution: Call) -> FaultFound:
    for norm in parts.run.norms:
        if norm.kind != BATCH_NORM and equal(norm.input, convolution.output):
            return FaultFound(
                f"{norm.kind.capitalize()} follows the {name}. It should be batch norm."
            )
        if equal(norm.input, F.relu(convolution.output)):
            return FaultFound(
                f"The batch norm after the {name} stands behind the ReLU. The order is "
                "convolution, batch norm, ReLU."
            )
        if equal(norm.output, convolution.input) and not _follows_any(parts, norm):
            return FaultFound(
                f"The batch norm stands before the {name}. The order is convolution, batch norm, "
                "ReLU."
            )
        if _reads_sum(parts, norm, convolution):
            return FaultFound(
                f"The addition comes before the batch norm of the {name}. It belongs after it: "
                "the batch norm is part of F(x)."
            )
    return FaultFound(
        f"There is no batch norm after the {name}.",
        "Each convolution has one directly behind it. Only nn.BatchNorm2d and F.batch_norm are "
        "seen.",
    )


def _follows_any(parts: Parts, norm: Call) -> bool:
    return any(parts.norm_after(convolution) is norm for convolution in parts.convolutions)


def _reads_sum(parts: Parts, norm: Call, convolution: Call) -> bool:
    if norm.input.shape != convolution.output.shape:
        return False
    added = norm.input - convolution.output
    known = [parts.run.x, *(call.output for call in parts.run.calls)]
    return any(equal(added, value) for value in known)


def check_shared_norms(parts: Parts) -> None:
    seen: list[tuple[str, Call]] = []
    for name, convolution in parts.named:
        norm = parts.norm_after(convolution)
        for earlier, other in seen if norm else ():
            if _same_parameters(norm, other):
                raise FaultFound(
                    f"The {earlier} and the {name} share one batch norm. Each needs its own: "
                    "their means and variances differ.",
                    "Create one batch norm per convolution.",
                )
        if norm:
            seen.append((name, norm))


def _same_parameters(one: Call, two: Call) -> bool:
    names = ("weight", "running_mean")
    pairs = [(one.arguments.get(name), two.arguments.get(name)) for name in names]
    return any(a is not None and a is b for a, b in pairs)

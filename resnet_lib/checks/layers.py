"""Are the layers on a basic block's branch the right ones? One function for each question."""

import torch.nn.functional as F

from resnet_lib.checks.comparing import equal
from resnet_lib.checks.observing import BATCH_NORM, Call
from resnet_lib.checks.parts import Parts, kernel, padding, pair, stride
from resnet_lib.checks.report import FaultFound


def check_branch(parts: Parts) -> None:
    """Two 3×3 convolutions without bias, each followed by a batch norm of its own."""
    check_start(parts)
    _check_number(parts)
    check_shapes(parts)
    for name, convolution in parts.named[:2]:
        check_bias(name, convolution)
    for name, convolution in parts.named[:2]:
        check_norm(parts, name, convolution)
    check_shared_norms(parts)


def _check_number(parts: Parts) -> None:
    number = len(parts.branch)
    if number == 0:
        raise FaultFound(
            "No convolution was seen in the forward pass. The branch has two.",
            "Only nn.Conv2d and F.conv2d are seen.",
        )
    if number == 1 and len(parts.shortcut) == 1 and not parts.case.changes_shape:
        other = parts.shortcut[0]
        if kernel(other) == kernel(parts.branch[0]):
            raise FaultFound(
                "The second convolution does not read what the first one puts out.",
                "Look at the variable that the second convolution is called on.",
            )
    if number != 2:
        count = "only one convolution" if number == 1 else f"{number} convolutions"
        raise FaultFound(f"The branch has {count}. In a basic block it has two.")
    first, second = parts.branch
    if first.weight is second.weight:
        raise FaultFound(
            "One convolution is used twice: both share their weights.",
            "Create two convolutions, under two names.",
        )


def check_shapes(parts: Parts) -> None:
    """Kernel, padding, stride and width of the convolutions on the branch that were seen."""
    for name, call in parts.named[: len(parts.branch)]:
        check_kernel(name, call, 3)
    _check_strides(parts)
    if (width := parts.branch[0].weight.shape[0]) != parts.case.out_channels:
        raise FaultFound(
            f"The first convolution puts out {width} channels, not {parts.case.out_channels}. "
            "The middle of a basic block is as wide as its output."
        )
    if (width := parts.branch[-1].weight.shape[0]) != parts.case.out_channels:
        raise FaultFound(
            f"The second convolution puts out {width} channels, not {parts.case.out_channels}."
        )


def check_start(parts: Parts) -> None:
    """Branch and shortcut both start at x: the projection is in no line with the branch."""
    sizes = [kernel(call) for call in parts.branch]
    if not parts.case.changes_shape or len(sizes) < 2 or sizes.count((1, 1)) != 1:
        return
    if sizes[0] == (1, 1):
        raise FaultFound(
            "The branch reads what the projection puts out. Both start at the block's input x.",
            "Keep the projected x in a variable of its own.",
        )
    if len(sizes) > 2:
        raise FaultFound("The projection reads a value of the branch. It should read x.")


def check_kernel(name: str, call: Call, size: int) -> None:
    """A size × size kernel, padded to keep height and width, neither dilated nor grouped."""
    fits = size // 2
    height, width = kernel(call)
    if (height, width) != (size, size):
        raise FaultFound(f"The {name} has a {height}×{width} kernel. It should be {size}×{size}.")
    if pair(call.arguments.get("dilation", 1)) != (1, 1):
        raise FaultFound(f"The {name} is dilated. It should have dilation 1.")
    if padding(call) != (fits, fits):
        raise FaultFound(
            f"The {name} has padding {padding(call)[0]}. A {size}×{size} kernel needs padding "
            f"{fits} to keep height and width."
        )
    if call.arguments.get("groups", 1) != 1:
        raise FaultFound(f"The {name} is split into groups. It should have groups=1.")


def _check_strides(parts: Parts) -> None:
    asked = parts.case.stride
    found = [max(stride(call)) for call in parts.branch]
    if found == [asked, 1][: len(found)]:
        return
    if found == [1, asked]:
        raise FaultFound("The stride stands on the second convolution. It belongs on the first.")
    if asked > 1 and found == [asked, asked]:
        raise FaultFound(
            f"Both convolutions have stride {asked}. Only the first should have it.",
            "The second convolution keeps height and width: stride 1.",
        )
    if asked > 1 and found[0] == 1:
        raise FaultFound(
            f"The first convolution has stride 1, though stride {asked} was asked for.",
            "Pass `stride` on to the first convolution.",
        )
    which = 0 if found[0] != asked else 1
    name, right = parts.named[which][0], (asked, 1)[which]
    raise FaultFound(f"The {name} has stride {found[which]}. It should have stride {right}.")


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

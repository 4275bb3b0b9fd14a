"""Have the convolutions on a branch the right kernel, padding, stride and width?"""

from itertools import chain

from resnet_checks.observing import Call
from resnet_checks.parts import Parts, kernel, padding, pair, stride
from resnet_checks.report import FaultFound


def check_shapes(parts: Parts) -> None:
    """Kernel, padding, stride and width of the convolutions on the branch that were seen."""
    case, calls = parts.case, parts.named[: len(parts.branch)]
    _check_order(parts)
    for (name, call), size in zip(calls, case.layout.kernels, strict=False):
        check_kernel(name, call, size)
    _check_strides(parts)
    for (name, call), right in zip(calls, case.widths, strict=False):
        if (width := call.weight.shape[0]) != right:
            raise _wrong_width(parts, name, call, width, right)


def _check_order(parts: Parts) -> None:
    right = [(size, size) for size in parts.case.layout.kernels]
    found = [kernel(call) for call in parts.branch]
    if found != right and sorted(found) == sorted(right):
        found, right = (
            "{}×{}, {}×{} and {}×{}".format(*chain.from_iterable(sizes)) for sizes in (found, right)
        )
        raise FaultFound(f"The kernels are {found}. In a bottleneck block they are {right}.")


def _wrong_width(parts: Parts, name: str, call: Call, width: int, right: int) -> FaultFound:
    fault, layout = f"The {name} puts out {width} channels, not {right}.", parts.case.layout
    if call is parts.branch[-1] and len(parts.branch) > 1:
        return FaultFound(fault)
    size = {1: "as wide", 4: "a quarter as wide"}[layout.narrowing]
    return FaultFound(
        f"{fault} The middle of a {layout.name} is {size} as its output.",
        None
        if layout.narrowing == 1
        else "Here out_channels is what comes out of the block. torchvision's class is called with "
        "the width of the middle.",
    )


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
    if len(set(stride(call))) > 1:
        raise FaultFound(
            f"The {name} has stride {stride(call)}. Height and width should shrink alike."
        )
    if call.padding_mode != "constant":
        raise FaultFound(
            f"The {name} pads with other values than zeros.",
            f"Look for padding_mode='{call.padding_mode}'.",
        )
    if call.arguments.get("groups", 1) != 1:
        raise FaultFound(f"The {name} is split into groups. It should have groups=1.")


def _check_strides(parts: Parts) -> None:
    """The stride stands on one convolution of the branch, where the layout has it."""
    layout, asked = parts.case.layout, parts.case.stride
    found = [max(stride(call)) for call in parts.branch]
    places = range(len(layout.kernels))
    allowed = [[asked if p == home else 1 for p in places] for home in layout.strided]
    if found in [right[: len(found)] for right in allowed]:
        return
    names = [name for name, _ in parts.named]
    strided = [place for place, value in enumerate(found) if value == asked > 1]
    if len(strided) > 1:
        raise _several_strides(parts, [names[place] for place in strided])
    if strided and found.count(1) == len(found) - 1 and len(found) == len(layout.kernels):
        raise FaultFound(
            f"The stride stands on the {names[strided[0]]}. It belongs on {layout.home}."
        )
    if asked > 1 and set(found) == {1}:
        home = names[min(layout.strided[0], len(found) - 1)]
        raise FaultFound(
            f"The {home} has stride 1, though stride {asked} was asked for.",
            f"Pass `stride` on to the {home}.",
        )
    wrong = next(p for p, value in enumerate(found) if value != allowed[0][p])
    raise FaultFound(
        f"The {names[wrong]} has stride {found[wrong]}. It should have stride {allowed[0][wrong]}."
    )


def _several_strides(parts: Parts, names: list[str]) -> FaultFound:
    layout, asked = parts.case.layout, parts.case.stride
    if len(layout.kernels) == 2:
        return FaultFound(
            f"Both convolutions have stride {asked}. Only the first should have it.",
            "The second convolution keeps height and width: stride 1.",
        )
    ordinals = [name.removesuffix(" convolution") for name in names]
    listed = ", ".join(ordinals[:-1]) + f" and {ordinals[-1]}"
    return FaultFound(
        f"The {listed} convolution have stride {asked} each. One of them should have it.",
        f"The stride belongs on {layout.home}. The others keep height and width: stride 1.",
    )

"""Are there as many blocks as asked for, with their widths and sizes, and is each a basic block?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch.nn.functional as F

from resnet_checks.block import naming
from resnet_checks.comparing import equal
from resnet_checks.layers import check_branch
from resnet_checks.networks.anatomy import WIDTHS, Anatomy
from resnet_checks.parts import Case, Parts, kernel
from resnet_checks.projection import check_shortcut
from resnet_checks.report import FaultFound
from resnet_checks.shapes import check_kernel
from resnet_checks.wiring import check_wiring


@contextmanager
def within(case: Case) -> Iterator[None]:
    """Say in which part of the network a fault was found."""
    try:
        yield
    except FaultFound as found:
        raise naming(case, found) from None


def check_number(anatomy: Anatomy) -> None:
    """The stem and two convolutions per block on the main path, each with weights of its own."""
    found, right = len(anatomy.main), 1 + 2 * len(anatomy.plan.cases)
    if found == 0:
        raise FaultFound("No convolution was seen.", "Only nn.Conv2d and F.conv2d are seen.")
    if not anatomy.linear and kernel(anatomy.main[-1]) == (1, 1):
        raise FaultFound("The classifier is a 1×1 convolution. It should be a linear layer.")
    narrow = sum(kernel(call) == (1, 1) for call in anatomy.main)
    if narrow and found - narrow == right:
        raise FaultFound(
            f"The main path holds {found} convolutions, not {right}. {narrow} of them are 1×1, "
            "like a projection: the branch reads what the projection puts out.",
            "In a block, the branch and the projection both start at x. The results are added.",
        )
    if found != right:
        raise FaultFound(
            f"The main path holds {found} convolutions, not {right}: the stem, and two in each of "
            f"{len(anatomy.plan.cases)} blocks.{_where_number_differs(anatomy)}"
        )
    _check_not_shared(anatomy)
    for call in anatomy.convolutions:
        owner = anatomy.owner(call)
        if call not in anatomy.main and not 0 <= owner < len(anatomy.plan.cases):
            raise FaultFound(
                "A convolution stands beside the main path and in no block.",
                "All but the stem stand in a block, on its branch or as its projection.",
            )


def _where_number_differs(anatomy: Anatomy) -> str:
    """The first stage with a wrong number of convolutions, told by their widths."""
    widths = [call.weight.shape[0] for call in anatomy.main[1:]]
    stages = zip(WIDTHS, anatomy.plan.blocks, strict=True)
    for stage, (width, blocks) in enumerate(stages, 1):
        if (number := widths.count(width)) != 2 * blocks:
            return (
                f" Behind the stem, {number} of them put out {width} channels; in stage {stage} "
                f"there should be {2 * blocks}."
            )
    return ""


def _check_not_shared(anatomy: Anatomy) -> None:
    first: dict[int, str] = {}
    for call in anatomy.run.calls:
        place = anatomy.place(call)
        if call.weight is None:
            continue
        earlier = first.setdefault(id(call.weight), place)
        if earlier != place:
            raise FaultFound(
                f"One {call.kind} is used both in {earlier} and in {place}: they share weights.",
                "Build each block anew. [block] * 2 repeats one and the same.",
            )


def check_stages(anatomy: Anatomy) -> None:
    """Width of each stage, and height and width of what it puts out."""
    for number, parts in enumerate(anatomy.blocks):
        with within(parts.case):
            for name, call in parts.named[: len(parts.branch)]:
                check_kernel(name, call, 3)
        channels, *size = anatomy.main[2 + 2 * number].output.shape[1:]
        if channels != parts.case.out_channels:
            with within(parts.case):
                raise FaultFound(f"It puts out {channels} channels, not {parts.case.out_channels}.")
        if tuple(size) != parts.case.output_shape[2:]:
            raise _wrong_size(anatomy, number, size)


def _wrong_size(anatomy: Anatomy, number: int, size: list[int]) -> FaultFound:
    case, right = anatomy.plan.cases[number], anatomy.plan.cases[number].output_shape[2:]
    stage, block = case.name.split(", ")
    hint = "The first block of stages 2, 3 and 4 has stride 2; all other blocks have stride 1."
    fault = f"{case.name.capitalize()} puts out {size[0]}×{size[1]} values per channel, not "
    fault += f"{right[0]}×{right[1]}."
    sizes = {tuple(call.output.shape[2:]) for call in anatomy.main[1:]}
    if len(sizes) == 1:
        fault = f"All four stages run at {size[0]}×{size[1]}: no stage has a stride."
    elif stage == "stage 1" and size[0] < right[0]:
        fault += " Stage 1 keeps height and width; the stem's max pool has halved them."
    elif block != "block 1" and size[0] < right[0]:
        fault += " Only the first block of a stage has a stride."
    return FaultFound(fault, hint)


def check_blocks(anatomy: Anatomy, read_last: Callable) -> None:
    """Each block is a basic block, and its shortcut is there.

    `read_last(parts)` finds out what the last block puts out; of the others the next block tells.
    """
    for parts in anatomy.blocks:
        with within(parts.case):
            check_branch(parts)
            if parts.run.output is None:
                parts.run.output = read_last(parts)
        if _is_plain(parts):
            raise _no_shortcut(anatomy, parts)
        with within(parts.case):
            check_shortcut(parts)
            check_wiring(parts)


def _is_plain(parts: Parts) -> bool:
    if parts.run.output is None or not parts.branch or not parts.norm_after(parts.branch[-1]):
        return False
    return equal(parts.run.output, F.relu(parts.branch_output))


def _no_shortcut(anatomy: Anatomy, parts: Parts) -> FaultFound:
    hint = "The block ends with ReLU(F(x) + x)."
    # The last block's output is known only after this check has come to it.
    if all(_is_plain(other) for other in anatomy.blocks[:-1]):
        return FaultFound(
            "No block has a shortcut: this is the plain network. Each block puts out ReLU(F(x)) "
            "alone.",
            hint,
        )
    return FaultFound(
        f"There is no shortcut in {parts.case.name}: it puts out ReLU(F(x)) alone.", hint
    )

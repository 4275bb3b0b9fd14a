"""Are there as many blocks as asked for, with their widths and sizes, and is each the right one?"""

from collections.abc import Callable

import torch.nn.functional as F

from resnet_checks.block import within
from resnet_checks.blueprints import BOTTLENECK
from resnet_checks.comparing import equal
from resnet_checks.joints import check_joints
from resnet_checks.networks.anatomy import NETWORKS, Anatomy
from resnet_checks.phrases import phrase
from resnet_checks.projection import check_shortcut
from resnet_checks.report import FaultFound
from resnet_checks.roles import Roles, kernel
from resnet_checks.settings import check_kernel, check_layers


def check_number(anatomy: Anatomy) -> None:
    """The stem and two convolutions per block on the main path, each with weights of its own."""
    found, right = len(anatomy.main), anatomy.plan.depth
    if found == 0:
        raise FaultFound("No convolution was seen.", "Only nn.Conv2d and F.conv2d are seen.")
    if not anatomy.linear and kernel(anatomy.main[-1]) == (1, 1):
        raise FaultFound("The classifier is a 1×1 convolution. It should be a linear layer.")
    if found != right:
        raise _wrong_number(anatomy)
    _check_not_shared(anatomy)
    for call in anatomy.convolutions:
        owner = anatomy.owner(call)
        if call not in anatomy.main and not 0 <= owner < len(anatomy.plan.cases):
            raise FaultFound(
                "A convolution stands beside the main path and in no block.",
                "All but the stem stand in a block, on its branch or as its projection.",
            )


def _wrong_number(anatomy: Anatomy) -> FaultFound:
    found, right, each = len(anatomy.main), anatomy.plan.depth, anatomy.each
    narrow = sum(kernel(call) == (1, 1) for call in anatomy.main)
    projections = sum(case.changes_shape for case in anatomy.plan.cases)
    if 0 < narrow <= projections and found - narrow == right and each == 2:
        return FaultFound(
            f"The main path holds {found} convolutions, not {right}. {narrow} of them are 1×1, "
            "like a projection: the branch reads what the projection puts out.",
            "In a block, the branch and the projection both start at x. The results are added.",
        )
    if name := _bottleneck_network(anatomy):
        return FaultFound(
            f"The main path holds {found} convolutions, 1×1, 3×3 and 1×1 in turn: these are "
            "bottleneck blocks, not basic blocks.",
            f'Ask for it by its name: checks.network(make, "{name}").',
        )
    return FaultFound(
        f"The main path holds {found} convolutions, not {right}: the stem, and "
        f"{phrase('numbers').split()[each]} in each of {len(anatomy.plan.cases)} blocks."
        f"{_where_number_differs(anatomy)}"
    )


def _bottleneck_network(anatomy: Anatomy) -> str | None:
    """The name of the network with bottleneck blocks that this looks like, if it is none of those.

    Where names differ in widths alone, it is the first.
    """
    kernels = [kernel(call)[0] for call in anatomy.main[1:]]
    if anatomy.each == 3 or kernels != [1, 3, 1] * (len(kernels) // 3):
        return None
    depth = len(anatomy.main)
    fits = (n for n, plan in NETWORKS.items() if plan[1] is BOTTLENECK)
    return next((name for name in fits if 1 + 3 * sum(NETWORKS[name][0]) == depth), None)


def _where_number_differs(anatomy: Anatomy) -> str:
    """The first stage with a wrong number of convolutions, told by their widths."""
    widths = [call.weight.shape[0] for call in anatomy.main[1:]]
    right = [layer_width for case in anatomy.plan.cases for layer_width in case.widths]
    for width in dict.fromkeys(right):
        if (number := widths.count(width)) != right.count(width):
            stage = next(c.name for c in anatomy.plan.cases if width in c.widths).split(",")[0]
            return (
                f" Behind the stem, {number} of them put out {width} channels; in {stage} "
                f"there should be {right.count(width)}."
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
    for number, roles in enumerate(anatomy.blocks):
        with within(roles.case.name):
            layers = anatomy.plan.blueprint.convolutions.values()
            for (name, call), layer in zip(roles.named, layers, strict=False):
                check_kernel(name, call, layer)
        channels, *size = anatomy.main[anatomy.each * (number + 1)].output.shape[1:]
        if channels != roles.case.out_channels:
            with within(roles.case.name):
                raise FaultFound(f"It puts out {channels} channels, not {roles.case.out_channels}.")
        if tuple(size) != roles.case.output_shape[2:]:
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

    `read_last(roles)` finds out what the last block puts out; of the others the next block tells.
    """
    for roles in anatomy.blocks:
        with within(roles.case.name):
            check_layers(roles)
            if roles.run.output is None:
                roles.run.output = read_last(roles)
        if _is_plain(roles):
            raise _no_shortcut(anatomy, roles)
        with within(roles.case.name):
            check_shortcut(roles)
            check_joints(roles)


def _is_plain(roles: Roles) -> bool:
    if roles.run.output is None or roles.case.blueprint.branch not in roles.values:
        return False
    return equal(roles.run.output, F.relu(roles.branch_output))


def _no_shortcut(anatomy: Anatomy, roles: Roles) -> FaultFound:
    hint = "The block ends with ReLU(F(x) + x)."
    # The last block's output is known only after this check has come to it.
    if all(_is_plain(other) for other in anatomy.blocks[:-1]):
        return FaultFound(
            "No block has a shortcut: this is the plain network. Each block puts out ReLU(F(x)) "
            "alone.",
            hint,
        )
    return FaultFound(
        f"There is no shortcut in {roles.case.name}: it puts out ReLU(F(x)) alone.", hint
    )

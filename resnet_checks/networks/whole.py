"""Is the reader's network a ResNet with basic blocks, such as ResNet-18 or ResNet-34?"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import Parameter, signature
from itertools import accumulate

from torch import Tensor, nn

from resnet_checks import limits
from resnet_checks.block import within
from resnet_checks.building import check_repeatable, in_eval_mode, prepared, run_once
from resnet_checks.comparing import random_values
from resnet_checks.joints import check_modes
from resnet_checks.networks.anatomy import NETWORKS, Anatomy, Plan
from resnet_checks.networks.failing import explain
from resnet_checks.networks.head import Head
from resnet_checks.networks.stages import check_blocks, check_number, check_stages
from resnet_checks.networks.stem import check_stem, check_whole_image
from resnet_checks.networks.training import check_gradient
from resnet_checks.phrases import phrase
from resnet_checks.report import FaultFound, Report, require_maker, write_report
from resnet_checks.running import like_parameters
from resnet_checks.training import check_parameters, check_registered, check_statistics

__all__ = ["network"]


def network(make: Callable, blocks: tuple[int, int, int, int] | str = (2, 2, 2, 2)) -> Report:
    """Check that `make(num_classes)` builds a ResNet for images of 3 channels.

    He et al. 2015, Table 1: a stem (7×7 convolution with stride 2, batch norm, ReLU, max pool),
    four stages of basic blocks with 64, 128, 256 and 512 channels, a projection (option B) where
    the shape changes, the mean over all positions, one linear layer. It puts out scores, without
    softmax. The stages of networks with bottleneck blocks are four times as wide. The network is
    tried on two images of 64×96, and on a single one of 130×70, with seven classes.

    Args:
        make: the reader's class or function, called with the number of classes: by the name
            `num_classes` where it has an argument of that name or takes any name, else as its
            first argument.
        blocks: the network's name: "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
            "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2" or "wide_resnet101_2"; or, for
            a network of basic blocks, their number in each stage: (2, 2, 2, 2) for ResNet-18.

    Raises:
        TypeError: `make` cannot be called, or is a module that is built already.
        ValueError: `blocks` is neither a known name nor four positive whole numbers.
    """
    require_maker(make, "make(num_classes)")
    if isinstance(blocks, str):
        if blocks not in NETWORKS:
            raise ValueError(f"blocks must be one of {', '.join(NETWORKS)}, got {blocks!r}")
        return write_report("Network", _steps(_by_name(make), Plan(*NETWORKS[blocks])))
    if not isinstance(blocks, tuple | list) or len(blocks) != 4 or not all(map(_counts, blocks)):
        raise ValueError(f"blocks must be four whole numbers of at least 1, got {blocks!r}")
    return write_report("Network", _steps(_by_name(make), Plan(tuple(blocks))))


def _by_name(make: Callable) -> Callable:
    """`make`, called with num_classes by name where it knows the name."""
    try:
        kinds = {name: parameter.kind for name, parameter in signature(make).parameters.items()}
    except (TypeError, ValueError):  # as for some functions that are not written in Python
        return make
    # What takes any name hands it on to the network, so its own arguments are other ones.
    if "num_classes" in kinds or Parameter.VAR_KEYWORD in kinds.values():
        return lambda number: make(num_classes=number)
    return make


def _counts(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _steps(make: Callable, plan: Plan) -> Iterator[str]:
    with prepared(make, "num_classes", (plan.num_classes,), plan.input_shape) as (module, x):
        anatomy = _observed(module, x, plan)
        yield "it runs, and puts out one row of num_classes values per image"
        check_repeatable(module, x, anatomy.run, "ResNet")
        yield from _structure(module, anatomy, training=True)
        with in_eval_mode(module):
            list(_structure(module, _observed(module, x, plan), training=False))
            _check_single(module, plan)
        yield "the same in eval mode, with running statistics, and for a single image"
        number = check_parameters(module, anatomy.run, "network")
        check_gradient(module, anatomy, x)
        yield "the gradient reaches every layer, through the branches and through the shortcuts"
        yield f"{number} parameters, all of them used"


def _observed(module: nn.Module, x: Tensor, plan: Plan) -> Anatomy:
    run = run_once(
        module, x, plan.output_shape, lambda run: explain(Anatomy(run, plan)), limits.LONG
    )
    return Anatomy(run, plan)


def _structure(module: nn.Module, anatomy: Anatomy, training: bool) -> Iterator[str]:
    plan, head = anatomy.plan, Head(anatomy)
    check_number(anatomy)
    yield f"{len(anatomy.main)} convolutions on the main path, each with its own weights"
    with within(plan.stem.name):
        check_stem(anatomy.stem)
    yield "stem: 7×7 convolution with stride 2, batch norm, ReLU, max pool"
    check_stages(anatomy)
    yield _describe_stages(plan)
    check_blocks(anatomy, head.read_last)
    projections = sum(case.changes_shape for case in plan.cases)
    kind = phrase(plan.blueprint.name).replace("block", "blocks")
    yield f"{len(plan.cases)} {kind}, {projections} of them with a projection"
    yield head.check()
    for roles in anatomy.everything:
        with within(roles.case.name):
            check_registered(module, roles)
            check_modes(roles, training)
            check_statistics(module, roles, training)
    if not any(anatomy.linear[0].weight is p for p in module.parameters()):
        raise FaultFound("The classifier's weights are not registered in the network.")


def _describe_stages(plan: Plan) -> str:
    shapes = [plan.cases[end - 1].output_shape for end in accumulate(plan.blocks)]
    (_, channels, high, wide), *others = shapes
    rest = ", ".join(f"{c} of {h}×{w}" for _, c, h, w in others)
    size = f"{plan.height}×{plan.width}"
    return f"four stages, for an image of {size}: {channels} channels of {high}×{wide}, {rest}"


def _check_single(module: nn.Module, plan: Plan) -> None:
    """One image of another size: no layer counts on a size, and no squeeze drops the batch."""
    single = replace(plan, batch=1, height=130, width=70)
    try:
        images = like_parameters(random_values(*single.input_shape), module)
        anatomy = _observed(module, images, single)
        check_whole_image(anatomy)
        check_stages(anatomy)
    except FaultFound as found:
        raise FaultFound(
            f"For a single image of {single.height}×{single.width}: {found.fault}",
            found.hint or "Look for squeeze(), and for sizes that are written as numbers.",
        ) from None

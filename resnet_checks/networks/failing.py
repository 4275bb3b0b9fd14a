"""Why does a whole network not run, or put out another shape?"""

from resnet_checks.block import within
from resnet_checks.networks.anatomy import Anatomy
from resnet_checks.networks.stem import check_stem_settings
from resnet_checks.observing import LINEAR
from resnet_checks.projection import check_projection_settings, explain_failure
from resnet_checks.report import FaultFound
from resnet_checks.settings import check_branch_settings


def explain(anatomy: Anatomy) -> None:
    """Raise the fault that made a run fail, or gave it the wrong shape, if it is known."""
    if anatomy.run.error is None:
        _explain_shape(anatomy)
    elif len(anatomy.main) == 1:
        with within(anatomy.plan.stem.name):
            check_stem_settings(anatomy.stem)
    elif anatomy.main:
        _explain_error(anatomy)


def _explain_error(anatomy: Anatomy) -> None:
    *before, last = anatomy.blocks
    try:
        for roles in before:
            check_branch_settings(roles)
            if roles.shortcut:
                check_projection_settings(roles)
    except FaultFound:
        return  # blocks that are built otherwise: nothing is known about where the run broke off
    if len(anatomy.blocks) == len(anatomy.plan.cases):
        _explain_classifier(anatomy)
    last.run.error = anatomy.run.error
    with within(last.case.name):
        explain_failure(last)


def _explain_classifier(anatomy: Anatomy) -> None:
    failed = anatomy.run.failed
    if failed is None or failed.kind != LINEAR:
        return
    given, expected = failed.input.shape[-1], failed.weight.shape[1]
    fault = f"The linear layer expects {expected} values per image and is given {given}"
    _, channels, high, wide = anatomy.main[-1].output.shape
    if given == channels * high * wide:
        raise FaultFound(
            f"{fault}: {channels} channels at {high}×{wide} positions. Global average pooling is "
            "missing.",
            f"Average over all positions first. Then it is {channels}, for images of any size.",
        )
    raise FaultFound(
        f"{fault}.", f"The mean over all positions leaves {channels}: nn.AdaptiveAvgPool2d(1)."
    )


def _explain_shape(anatomy: Anatomy) -> None:
    plan, found = anatomy.plan, tuple(anatomy.run.output.shape)
    fault = f"The output has the shape {found}, not {plan.output_shape}"
    if len(found) == 2 and found[0] == plan.batch and anatomy.linear:
        raise FaultFound(
            f"{fault}: num_classes does not decide how many classes there are.",
            "Pass num_classes on to the linear layer.",
        )
    if len(found) > 2 and (found[0], found[-1]) == plan.output_shape:
        raise FaultFound(
            f"{fault}: there is a row for each position. Global average pooling is missing.",
            "Average over all positions, before the linear layer or behind it.",
        )
    if len(found) > 2 and not anatomy.linear:
        raise FaultFound(
            f"{fault}. No linear layer was seen.",
            "At the end come the mean over all positions and a linear layer.",
        )
    if found[1:] == plan.output_shape[1:] and found[0] % plan.batch == 0:
        raise FaultFound(
            f"{fault}: there are several rows per image. Global average pooling is missing.",
            "Average over all positions before the linear layer, and flatten(1) keeps the batch.",
        )

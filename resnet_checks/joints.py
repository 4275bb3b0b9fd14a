"""Are a block's layers joined as its equations say? The layers are known to be right here."""

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.blueprints import evaluate
from resnet_checks.comparing import equal, name_activation
from resnet_checks.explaining import explain_mistake, explain_output
from resnet_checks.observing import BATCH_NORM, as_image
from resnet_checks.phrases import fault, phrase
from resnet_checks.report import FaultFound
from resnet_checks.roles import Roles
from resnet_checks.wording import gap_between, mistake_fault, output_fault


def check_joints(roles: Roles) -> None:
    """Follow the values from x through the block, and compare at every joint."""
    _check_input_kept(roles)
    check_reads(roles)
    _check_output(roles)


def check_reads(roles: Roles) -> None:
    """Every convolution reads what its equation says, and there are no more norms."""
    convolutions = [n for n, layer in roles.equations.items() if layer.kind != BATCH_NORM]
    # Branch and shortcut begin first: what is wrong there explains what comes later.
    convolutions.sort(key=lambda name: name not in ("first", "projection"))
    starts = [name for name in convolutions if name in ("first", "projection")]
    for name in starts:
        _check_read(roles, name)
    _check_no_more_norms(roles)
    for name in convolutions[len(starts) :]:
        _check_read(roles, name)


def check_modes(roles: Roles, training: bool) -> None:
    """Batch norms use the batch's own statistics in train mode, the running ones in eval mode."""
    for name in roles.norms:
        if bool(roles.calls[name].arguments.get("training")) != training:
            raise fault("running in train" if training else "batch in eval", norm=roles.label(name))


def _check_input_kept(roles: Roles) -> None:
    x, after = roles.run.x, roles.run.x_after
    if equal(after, x):
        return
    starts = [roles.branch[0], *roles.shortcut]
    total, right = roles.branch_output + roles.shortcut_output, roles.right_output
    unspoiled = equal(roles.run.output, right) and all(equal(c.input, x) for c in starts)
    if unspoiled or equal(after, total) or equal(after, F.relu(total)):
        raise fault("overwritten")
    raise fault("overwritten by relu" if equal(after, F.relu(x)) else "overwritten early")


def _check_read(roles: Roles, name: str) -> None:
    """A convolution reads what its equation says."""
    reads, found = roles.equations[name].reads, as_image(roles.calls[name].input)
    if equal(found, right := evaluate(reads, roles.values)):
        return
    label, middle = roles.label(name), reads.removeprefix("relu(").removesuffix(")")
    if reads == "x":
        raise _wrong_start(roles, name, found)
    if middle not in roles.norms or roles.norms[middle].reads == "x":
        raise fault("other reads", name=label, equation=phrase(f"value {reads}"))
    before = roles.ordinal(roles.norms[middle].reads)
    between = len(roles.case.blueprint.convolutions) > 2
    place = phrase("between", before=before, name=label) if between else phrase("middle")
    if equal(found, roles.values[middle]):
        raise fault("middle is norm", place=place, name=label)
    if activation := name_activation(found, roles.values[middle]):
        raise fault("middle is activation", place=place, activation=activation)
    if found.shape == right.shape == roles.run.x.shape and equal(found - right, roles.run.x):
        raise fault("middle and x", name=label)
    raise fault("middle is other", name=label, before=before)


def _wrong_start(roles: Roles, name: str, found: Tensor) -> FaultFound:
    x, block = roles.run.x, roles.case.blueprint.name
    if name == "first" and roles.norm_on(x):
        return fault("pre-activation", block=phrase(block))
    if activation := name_activation(found, x):
        return fault(f"{name} reads activation", activation=activation)
    return fault(f"{name} reads other")


def _check_no_more_norms(roles: Roles) -> None:
    right = [roles.calls[name] for name in roles.norms]
    for norm in roles.run.norms:
        if norm in right:
            continue
        where = "norms" if roles.case.blueprint.branch else "norms alone"
        if any(equal(norm.input, value) for value in _after_addition(roles)):
            where = "norms out"
        elif equal(norm.input, roles.run.x):
            where = "norms shortcut"
        raise fault(where, kind=phrase(norm.kind))


def _after_addition(roles: Roles) -> list[Tensor]:
    if not roles.case.blueprint.branch:
        return []
    f, s = roles.branch_output, roles.shortcut_output
    return [f + s, F.relu(f + s)] if f.shape == s.shape else []


def _check_output(roles: Roles) -> None:
    if equal(roles.run.output, right := roles.right_output):
        return
    result, s = roles.run.output, phrase("projected x" if roles.shortcut else "x")
    values = roles.values | {"s": roles.shortcut_output}
    if mistake := explain_mistake(result, roles.case.blueprint.mistakes, values):
        raise mistake_fault(roles.case.blueprint, mistake, s)
    found = explain_output(result, roles.branch_output, roles.shortcut_output, _others(roles))
    raise output_fault(roles.case.blueprint, found, s, gap_between(result, right))


def _others(roles: Roles) -> dict[str, Tensor]:
    """Values inside the branch that could be taken for x, by what they are called."""
    ordinals = phrase("ordinals").split()
    others = {}
    for name, value in roles.values.items():
        if name != "x":
            others[phrase("output of", name=roles.label(name))] = value
    reads = [layer.reads for layer in roles.case.blueprint.convolutions.values()]
    relus = [equation for equation in reads if equation.startswith("relu(norm")]
    for ordinal, equation in zip(ordinals, relus, strict=False):
        others[phrase("output of relu", ordinal=ordinal)] = evaluate(equation, roles.values)
    return others

"""Does the reader's gradient accumulation make the updates of the joined batches?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from resnet_checks.loops.calling import (
    ORDINALS,
    check_called,
    check_error,
    check_left,
    check_order,
    check_training_passes,
    check_unaltered,
    found_in,
    surroundings,
)
from resnet_checks.loops.events import Backward, Forward, OtherStep, Step, Trace
from resnet_checks.loops.gradients import name_gradient
from resnet_checks.loops.groups import NAMING
from resnet_checks.loops.positions import check_positions, drop_idle_steps
from resnet_checks.loops.probe import Probe, make_batch, make_optimizer
from resnet_checks.loops.recording import recorded
from resnet_checks.loops.reference import Momentum, Reference
from resnet_checks.loops.updates import name_move, split_updates
from resnet_checks.report import FaultFound, Report, require_function, write_report

__all__ = ["accumulation"]

CALL = "train(model, optimizer, batches, every)"


@dataclass(frozen=True)
class _Case:
    """Micro-batches of the given sizes, and how many of them make one update."""

    sizes: tuple[int, ...]
    every: int
    name: str
    passed: str
    stale: bool = False  # whether gradients lie in .grad before the call


_CASES = (
    _Case(
        (5,) * 6, 2, "",
        "6 micro-batches, two by two: 3 updates, each with the gradient of the joined batch",
    ),
    _Case(
        (5,) * 5, 3, "With 5 micro-batches, three by three",
        "5 micro-batches, three by three: the last two make an update too, and count in full",
    ),
    _Case(
        (5,) * 2, 4, "With 2 micro-batches, four by four",
        "fewer micro-batches than one update takes: they make one",
    ),
    _Case((5,) * 2, 1, "With every=1", "every=1: one update for each micro-batch"),
    _Case(
        (4, 2, 3, 1, 2), 2, "With micro-batches of 4, 2, 3, 1 and 2 images",
        "micro-batches of unequal size: each image counts the same",
    ),
    _Case(
        (5,) * 4, 2, "",
        "gradients that were in .grad before the call have no part in it",
        stale=True,
    ),
)  # fmt: skip


def accumulation(train: Callable) -> Report:
    """Check that `train(model, optimizer, batches, every)` accumulates gradients rightly.

    It is to go once through `batches`, a list of micro-batches (images, labels), and to update
    the parameters after every `every` of them, and once more for those that remain at the end.
    Each update's gradient is that of the mean cross-entropy over all images of its micro-batches,
    as if they had been one batch, also where they differ in size. To save memory, each
    micro-batch goes forward and backward on its own. The network of the check has no batch norm,
    with which the joined batch would give other gradients. The function may return anything.

    Args:
        train: the reader's function, called with four positional arguments.

    Raises:
        TypeError: `train` cannot be called, or is a class or a module.
    """
    require_function(train, "train", CALL)
    return write_report("Gradient accumulation", _steps(train))


def _steps(train: Callable) -> Iterator[str]:
    with surroundings():
        idle = False
        for case in _CASES:
            try:
                idle |= _check_case(train, case)
            except FaultFound as found:
                raise (found_in(case.name, found) if case.name else found) from None
            yield case.passed
        if idle:
            yield "the extra optimizer.step() finds no gradients, so it moves nothing"


def _check_case(train: Callable, case: _Case) -> bool:
    """Whether there was a step at the end that did nothing."""
    model = Probe(norm=False)
    reference, optimizer = Reference(model), make_optimizer(model)
    batches = [make_batch(size, seed=number) for number, size in enumerate(case.sizes)]
    for parameter in model.parameters() if case.stale else ():
        parameter.grad = torch.ones_like(parameter)
    with recorded(model, optimizer) as recorder:
        trace = recorder.call(train, batches, model, optimizer, batches, case.every)
    idle = drop_idle_steps(trace)
    check_order(trace)
    check_error(trace, CALL)
    check_called(trace)
    check_unaltered(trace)
    check_training_passes(trace)
    _check_own(trace)
    check_left(trace)
    check_positions(trace, case.every)
    momentum, updates = Momentum(), split_updates(trace, case.every, reference)
    for number, update in enumerate(updates):
        when = f"In the {ORDINALS[number]} update"
        if fault := name_gradient(updates, number, NAMING) or name_move(update, momentum, when):
            raise fault
    _check_memory(trace)
    return idle


def _check_own(trace: Trace) -> None:
    """All updates are made by the optimizer that was given."""
    if trace.of_kind(OtherStep):
        raise FaultFound(
            "An update is made by another optimizer than the one that was given.",
            "Call step() on the optimizer that comes in.",
        )
    if not trace.of_kind(Step) and not torch.equal(trace.before.parameters, trace.after.parameters):
        raise FaultFound("The parameters change, but not through optimizer.step().")


def _check_memory(trace: Trace) -> None:
    """Each micro-batch goes forward and backward on its own."""
    passes, backward = trace.of_kind(Forward), trace.of_kind(Backward)
    largest = max(forward.size for forward in passes)
    if largest > max(len(labels) for _, labels in trace.batches):
        raise FaultFound(
            f"The micro-batches are joined: the model is given {largest} images at once, and needs "
            "the memory that accumulation is there to save.",
            "Give the model one micro-batch at a time.",
        )
    if 0 < len(backward) < len(trace.batches):
        raise FaultFound(
            f"There are {len(backward)} backward passes for {len(trace.batches)} micro-batches: "
            "the losses are added up first, and all their activations stay in memory until then.",
            "Call backward() for each micro-batch. The gradients add up in .grad.",
        )

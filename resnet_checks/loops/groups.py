"""Has each update of the reader's accumulation the gradient of its joined micro-batches?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from resnet_checks.loops.calling import ORDINALS
from resnet_checks.loops.events import Step, Trace
from resnet_checks.loops.gradients import known_faults, name_missing
from resnet_checks.loops.reference import Reference
from resnet_checks.report import FaultFound


@dataclass(frozen=True, eq=False)
class Update:
    """One update: the micro-batches that belong to it, and what happened from the last update on.

    Attributes:
        trace: the update as a call of its own, on the joined batch.
        parts: its micro-batches.
        number: its number, from 0.
        every: how many micro-batches a full update has.
        total: number of all micro-batches.
    """

    trace: Trace
    parts: list[tuple[Tensor, Tensor]]
    number: int
    every: int
    total: int

    @property
    def seen(self) -> Tensor:
        return self.trace.of_kind(Step)[0].gradient

    @property
    def images(self) -> int:
        return len(self.trace.batches[0][1])


def split_updates(whole: Trace, every: int) -> list[Update]:
    """The updates of one call, where there are as many as there should be."""
    updates, before, events = [], whole.before, list(whole.events)
    ends = [step.parameters for step in whole.of_kind(Step)[1:]] + [whole.after.parameters]
    for number, end in enumerate(ends):
        place = next(n for n, event in enumerate(events) if isinstance(event, Step))
        own, events = events[: place + 1], events[place + 1 :]
        parts = whole.batches[number * every : (number + 1) * every]
        joined = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
        trace = Trace([joined], before, replace(whole.after, parameters=end), own)
        updates.append(Update(trace, parts, number, every, len(whole.batches)))
        before = replace(before, parameters=end, gradient=own[-1].gradient)
    return updates


def check_update(update: Update, reference: Reference) -> None:
    """The gradient is that of the mean cross-entropy over all images of the micro-batches."""
    trace, seen = update.trace, update.seen
    right = reference.gradient(trace.before, trace.batches[0])
    if fault := name_missing(trace, seen):
        raise fault
    if reference.agree(seen, right):
        return
    left = trace.before.gradient
    if left.any() and reference.agree(seen, right + left):
        raise _left_over(update)
    if factor := reference.factor(seen, right):
        raise _name_factor(factor, update)
    if fault := _name_parts(update, reference):
        raise fault
    known = next(known_faults(trace, seen, right, reference), None)
    raise known or FaultFound(
        f"The gradient of the {ORDINALS[update.number]} update is not that of its joined "
        f"micro-batches: {reference.gap(seen, right)}."
    )


def _left_over(update: Update) -> FaultFound:
    if update.number == 0:
        return FaultFound(
            "What lay in .grad before the call goes into the first update.",
            "Call optimizer.zero_grad() before the first micro-batch too.",
        )
    return FaultFound(
        "The gradients of an update stay and go into the next one: after the step they are not "
        "set to zero.",
        "Call optimizer.zero_grad() after each step.",
    )


def _name_factor(factor: float, update: Update) -> FaultFound:
    """The fault of a gradient that is a multiple of the right one."""
    for value, *words in _known_factors(update):
        if abs(factor - value) < 1e-4 * value:
            return FaultFound(*words)
    return FaultFound(f"The gradient is scaled: it is {factor:.3g} times the right one.")


def _known_factors(update: Update) -> Iterator[tuple]:
    """Factors that a wrong divisor gives, each with its fault, some with a hint."""
    parts, every, images = len(update.parts), update.every, update.images
    # The remainder has fewer parts than `every`; a full update has the factor 1, which is right.
    remainder = (
        f"The remainder counts too little: the loss of its {parts} micro-batches is divided by "
        f"every = {every}, not by {parts}."
    )
    yield parts / every, remainder, "Divide by the number of micro-batches that there really are."
    summed = f"The losses of the {parts} micro-batches are added up and not divided."
    yield parts, summed, "Divide each loss by the number of micro-batches in the update."
    total = f"The gradient is that of the sum over the {images} images, not of the mean."
    yield images, total, 'Look for reduction="sum" and .sum().'
    of_parts = "The summed losses are divided by the number of micro-batches, not of their images."
    yield images / parts, of_parts
    yield 1 / parts, "The loss is divided by the number of micro-batches twice."
    of_all = (
        f"The loss is divided by the number of all micro-batches, {update.total}, not by the "
        f"{parts} of the update."
    )
    yield parts / update.total, of_all


def _name_parts(update: Update, reference: Reference) -> FaultFound | None:
    """The fault of micro-batches that count too much, too little or not at all."""
    means = [reference.gradient(update.trace.before, part) for part in update.parts]
    number = len(means)
    if reference.agree(update.seen, sum(means) / number):
        return FaultFound(
            "The gradient is the mean of the micro-batches' means: an image in a small micro-batch "
            "counts more than one in a large one.",
            "Weigh the loss of each micro-batch by len(labels), and divide by the number of images "
            "in the whole update.",
        )
    for start, end in combinations(range(number + 1), 2):
        if end - start == number or not reference.factor(update.seen, sum(means[start:end])):
            continue
        if end == number:
            return FaultFound(
                f"Only the last {_count(end - start)} of an update counts: the gradients of those "
                "before are wiped out.",
                "Call zero_grad() once per update, not once per micro-batch.",
            )
        return FaultFound(f"Only {end - start} of the {number} micro-batches of an update count.")
    return None


def _count(number: int) -> str:
    return "micro-batch" if number == 1 else f"{number} micro-batches"

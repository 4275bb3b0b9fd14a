"""One update: what it used, what it should have used, and where it ends."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from resnet_checks.loops.events import Step, Trace
from resnet_checks.loops.probe import LEARNING_RATE
from resnet_checks.loops.reference import Momentum, Reference
from resnet_checks.report import FaultFound

_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Update:
    """One update: the micro-batches that belong to it, and what happened from the last update on.

    Attributes:
        trace: the update as a call of its own, on the joined batch.
        reference: the model by hand.
        number: its number, from 0.
        parts: its micro-batches; one, where nothing is accumulated.
        every: how many micro-batches a full update has.
        total: number of all micro-batches.
    """

    trace: Trace
    reference: Reference
    number: int
    parts: list[tuple[Tensor, Tensor]]
    every: int = 1
    total: int = 1

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        return self.trace.batches[0]

    @property
    def images(self) -> int:
        return len(self.batch[1])

    @property
    def seen(self) -> Tensor:
        """The gradient that the update used."""
        return self.trace.of_kind(Step)[0].gradient

    @cached_property
    def right(self) -> Tensor:
        """The gradient of the mean cross-entropy over all images."""
        return self.reference.gradient(self.trace.before, self.batch)

    @cached_property
    def factor(self) -> float | None:
        """The c of seen = c · right, or None where there is none."""
        return self.reference.factor(self.seen, self.right)


def split_updates(whole: Trace, every: int, reference: Reference) -> list[Update]:
    """The updates of one call, where there are as many as there should be."""
    updates, before, events = [], whole.before, list(whole.events)
    ends = [step.parameters for step in whole.of_kind(Step)[1:]] + [whole.after.parameters]
    for number, end in enumerate(ends):
        place = next(n for n, event in enumerate(events) if isinstance(event, Step))
        own, events = events[: place + 1], events[place + 1 :]
        parts = whole.batches[number * every : (number + 1) * every]
        joined = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
        trace = Trace([joined], before, replace(whole.after, parameters=end), own)
        updates.append(Update(trace, reference, number, parts, every, len(whole.batches)))
        before = replace(before, parameters=end, gradient=own[-1].gradient)
    return updates


def name_move(update: Update, momentum: Momentum, when: str) -> FaultFound | None:
    """The fault of an update that does not end where SGD with momentum ends."""
    trace = update.trace
    step = trace.of_kind(Step)[0]
    start, end = step.parameters, trace.after.parameters
    right = momentum.step(start, step.gradient)
    size = (right - start).norm()
    if (start - trace.before.parameters).norm() > _TOLERANCE * size:
        return FaultFound(f"{when} the parameters are changed before optimizer.step().")
    if (end - right).norm() <= _TOLERANCE * size:
        return None
    plain = start - LEARNING_RATE * step.gradient
    if (end - plain).norm() <= _TOLERANCE * size:
        return FaultFound(
            f"{when} the parameters move as plain SGD moves them: the optimizer has lost its "
            "momentum.",
            "Is the optimizer built, or its state emptied, inside the function?",
        )
    rest = end - right
    shrink = float(rest @ start / (start @ start))
    if (rest - shrink * start).norm() <= 1e-3 * rest.norm():
        return FaultFound(
            f"{when} the weights are multiplied by {1 + shrink:.6g} besides the update.",
            "The optimizer does weight decay itself, by its argument weight_decay.",
        )
    return FaultFound(
        f"{when} the parameters end elsewhere than optimizer.step() puts them: "
        f"off by {float((end - right).norm() / size):.2g} times the update."
    )

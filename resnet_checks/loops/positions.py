"""After which micro-batches does the reader's gradient accumulation update, and where should it?"""

from itertools import accumulate

import torch

from resnet_checks.loops.calling import ORDINALS
from resnet_checks.loops.events import Forward, Step, Trace
from resnet_checks.loops.groups import count
from resnet_checks.report import FaultFound


def drop_idle_steps(trace: Trace) -> bool:
    """Leave out the updates that had no gradient and moved nothing; whether there were any."""
    steps = trace.of_kind(Step)
    ends = [step.parameters for step in steps[1:]] + [trace.after.parameters] * bool(steps)
    idle = [
        step
        for step, end in zip(steps, ends, strict=True)
        if not step.gradient.any() and torch.equal(step.parameters, end)
    ]
    # A first update without a gradient moves nothing either, but it should have had one.
    idle = [step for step in idle if not _passes_since_update(trace, step)]
    trace.events[:] = [event for event in trace.events if not any(event is i for i in idle)]
    return bool(idle)


def _passes_since_update(trace: Trace, step: Step) -> int:
    number = 0
    for event in trace.events:
        if event is step:
            break
        if isinstance(event, Step):
            number = 0
        number += isinstance(event, Forward)
    return number


def check_positions(trace: Trace, every: int) -> None:
    """The updates come after every `every` micro-batches and after the last one."""
    sizes = [len(labels) for _, labels in trace.batches]
    seen = sum(forward.size for forward in trace.of_kind(Forward))
    if seen > sum(sizes):
        raise FaultFound(
            f"The model is given {seen} images, although the micro-batches hold {sum(sizes)}.",
            "Go through the micro-batches once, and call the model once for each.",
        )
    number = len(sizes)
    right = [*range(every, number, every), number]
    found = _positions(trace, sizes)
    if found != right:
        raise _name(found, right, every)


def _positions(trace: Trace, sizes: list[int]) -> list[float]:
    """How many micro-batches have gone through the model before each update."""
    borders = [0, *accumulate(sizes)]
    positions, images = [], 0
    for event in trace.events:
        if isinstance(event, Forward):
            images += event.size
        if isinstance(event, Step):
            whole = sum(border <= images for border in borders[1:])
            positions.append(whole if images == borders[whole] else whole + 0.5)
    return positions


def _name(found: list[float], right: list[int], every: int) -> FaultFound:
    number, early = right[-1], list(range(1, right[-1] + 1, every))
    if found == right[:-1] and number % every:
        return _name_remainder(number % every)
    if not found:
        return FaultFound("The parameters are as before: optimizer.step() is never called.")
    if found == [*right, number]:
        return FaultFound(
            "There is one update too many: after the last one the optimizer steps again, without "
            "a new gradient, and its momentum moves the weights.",
            "Step at the end only if micro-batches are left over.",
        )
    if found == list(range(1, number + 1)):
        return FaultFound(
            "An update is made after each micro-batch: nothing is accumulated.",
            f"Step only after every {ORDINALS[every - 1]} micro-batch.",
        )
    if found == [number]:
        return FaultFound("There is one update only, at the end: `every` has no effect.")
    where = f"after micro-batches {_list(found)}"
    if found in (early, [*early, number]):
        return FaultFound(
            f"The updates are off by one: they come {where}, not after {_list(right)}.",
            "A count that begins at 0 has done i + 1 micro-batches: (i + 1) % every == 0.",
        )
    return FaultFound(f"The updates come {where}. They belong after {_list(right)}.")


def _name_remainder(left: int) -> FaultFound:
    return FaultFound(
        f"The remainder is lost: no update follows the last {count(left)}.",
        "After the loop, or at its last micro-batch, make an update from what is left.",
    )


def _list(positions: list) -> str:
    words = [f"{position:g}" for position in positions]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

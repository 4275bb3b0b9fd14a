"""What is wrong with the gradient of an update that joins several micro-batches?"""

from collections.abc import Iterator
from itertools import combinations

from resnet_checks.loops.calling import ORDINALS
from resnet_checks.loops.gradients import Fault, Naming
from resnet_checks.loops.updates import Update


def _left_over(update: Update) -> Fault:
    if update.number == 0:
        return (
            "What lay in .grad before the call goes into the first update.",
            "Call optimizer.zero_grad() before the first micro-batch too.",
        )
    return (
        "The gradients of an update stay and go into the next one: after the step they are not "
        "set to zero.",
        "Call optimizer.zero_grad() after each step.",
    )


def _scales(update: Update) -> Iterator[tuple[float, Fault]]:
    """What a wrong divisor gives."""
    parts, every, images = len(update.parts), update.every, update.images
    # The remainder has fewer parts than `every`; a full update has the factor 1, which is right.
    remainder = (
        f"The remainder counts too little: the loss of its {parts} micro-batches is divided by "
        f"every = {every}, not by {parts}."
    )
    cure = "Divide by the number of micro-batches that there really are."
    yield parts / every, (remainder, cure)
    summed = f"The losses of the {parts} micro-batches are added up and not divided."
    yield parts, (summed, "Divide each loss by the number of micro-batches in the update.")
    total = f"The gradient is that of the sum over the {images} images, not of the mean."
    yield images, (total, 'Look for reduction="sum" and .sum().')
    of_parts = "The summed losses are divided by the number of micro-batches, not of their images."
    yield images / parts, (of_parts, None)
    yield 1 / parts, ("The loss is divided by the number of micro-batches twice.", None)
    of_all = (
        f"The loss is divided by the number of all micro-batches, {update.total}, not by the "
        f"{parts} of the update."
    )
    yield parts / update.total, (of_all, None)


def _parts(update: Update) -> Iterator[Fault]:
    """The faults of micro-batches that count too much, too little or not at all."""
    reference, seen = update.reference, update.seen
    means = [reference.gradient(update.trace.before, part) for part in update.parts]
    number = len(means)
    if reference.agree(seen, sum(means) / number):
        yield (
            "The gradient is the mean of the micro-batches' means: an image in a small micro-batch "
            "counts more than one in a large one.",
            "Weigh the loss of each micro-batch by len(labels), and divide by the number of images "
            "in the whole update.",
        )
    for start, end in combinations(range(number + 1), 2):
        if end - start == number or not reference.factor(seen, sum(means[start:end])):
            continue
        if end < number:
            yield f"Only {end - start} of the {number} micro-batches of an update count.", None
        yield (
            f"Only the last {count(end - start)} of an update counts: the gradients of those "
            "before are wiped out.",
            "Call zero_grad() once per update, not once per micro-batch.",
        )


def count(number: int) -> str:
    return "micro-batch" if number == 1 else f"{number} micro-batches"


def _other(update: Update, gap: str) -> str:
    number = ORDINALS[update.number]
    return f"The gradient of the {number} update is not that of its joined micro-batches: {gap}."


NAMING = Naming(_left_over, _scales, _parts, _other)

"""What is wrong with the gradient of an update? It is explained by the simplest known gradient.

A gradient is compared with the right one, with multiples of it, with what lay in .grad before,
and with those of a table of other losses and of a part of the images.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from resnet_checks.loops.calling import ORDER
from resnet_checks.loops.events import Backward, Step
from resnet_checks.loops.reference import CROSS_ENTROPY, WRONG_LOSSES
from resnet_checks.loops.updates import Update
from resnet_checks.report import FaultFound

Fault = tuple[str, str | None]


@dataclass(frozen=True)
class Naming:
    """What a check knows of its updates' gradients beside what all updates have in common.

    Attributes:
        left_over: the fault of a gradient to which an earlier one was added.
        scales: multiples of the right gradient with what makes them, in the same order for each
            update. All updates of a call have to show the same one.
        more: further faults that a gradient is known by.
        other: the fault of a gradient that nothing explains, from the largest difference.
    """

    left_over: Callable[[Update], Fault]
    scales: Callable[[Update], Iterable[tuple[float, Fault]]]
    more: Callable[[Update], Iterable[Fault]]
    other: Callable[[Update, str], str]


def name_gradient(updates: list[Update], number: int, naming: Naming) -> FaultFound | None:
    """The fault of the gradient in the update of that number; None where it is right."""
    update = updates[number]
    if fault := _late(update) or _missing(update):
        return FaultFound(*fault)
    if update.reference.agree(update.seen, update.right):
        return None
    return FaultFound(*next(_faults(updates, update, naming)))


def _faults(updates: list[Update], update: Update, naming: Naming) -> Iterator[Fault]:
    """What is known to make such a gradient, the simplest first."""
    reference, seen, left = update.reference, update.seen, update.trace.before.gradient
    if left.any() and reference.agree(seen, update.right + left):
        yield naming.left_over(update)
    yield from _scales(updates, update, naming)
    yield from naming.more(update)
    bound = seen.abs().max()
    if reference.agree(seen, update.right.clamp(-bound, bound)):
        yield (
            f"The gradient's values are clipped to ±{bound:.3g}. It should be used as it is.",
            None,
        )
    yield from _decays(update)
    yield from _losses(update)
    yield from _parts(update)
    yield naming.other(update, reference.gap(seen, update.right)), None


def _missing(update: Update) -> Fault | None:
    """The fault of an update that finds no gradient; None where it finds one."""
    backward = update.trace.of_kind(Backward)
    if update.seen.any():
        return None
    if any(event.arrived for event in backward):
        return (
            "The gradients are wiped out between loss.backward() and optimizer.step(): the update "
            "finds none.",
            ORDER,
        )
    if backward:
        return (
            "loss.backward() reaches no parameter: the loss is cut off from the model.",
            "Look for detach, .data or .item() between the model and the loss.",
        )
    return (
        "There is no gradient when optimizer.step() is called: loss.backward() is never called.",
        "Are its parentheses missing?",
    )


def _late(update: Update) -> Fault | None:
    """The fault of a backward pass that comes after the update."""
    trace = update.trace
    backward, step = trace.of_kind(Backward), trace.events.index(trace.of_kind(Step)[0])
    late = bool(backward) and trace.events.index(backward[0]) > step
    by_hand = not backward and not update.seen.any()
    if not late and not (by_hand and update.reference.agree(trace.after.gradient, update.right)):
        return None
    return (
        "optimizer.step() comes before loss.backward(): the update lacks the gradient of its "
        "own batch.",
        ORDER,
    )


def _scales(updates: list[Update], update: Update, naming: Naming) -> Iterator[Fault]:
    """The faults of gradients that are a multiple of the right ones."""
    if update.factor is None:
        return
    known = [u for u in updates if u.factor is not None]
    place = known.index(update)
    for rows in zip(*(naming.scales(u) for u in known), strict=True):
        pairs = zip(known, rows, strict=True)
        if all(abs(u.factor - value) < 1e-4 * abs(value) for u, (value, _) in pairs):
            yield rows[place][1]
    if any(abs(u.factor - update.factor) > 1e-4 * abs(update.factor) for u in known):
        yield from _clipping(known)
    yield f"The gradient is scaled: it is {update.factor:.3g} times the right one.", None


def _clipping(updates: list[Update]) -> Iterator[Fault]:
    """Those that were longer are as long as each other."""
    short = [u.seen.norm().item() for u in updates if u.factor < 1 - 1e-4]
    if short and max(short) - min(short) < 1e-4 * max(short):
        words = f"The gradient is clipped to the length {short[0]:.3g}."
        yield f"{words} It should be used as it is.", None


def _decays(update: Update) -> Iterator[Fault]:
    """A penalty on the weights, on all of them or on those of some parameters."""
    rest, weights = update.seen - update.right, update.trace.before.parameters
    hint = "The optimizer does weight decay itself, by its argument weight_decay."
    chunks = list(rest.split(update.reference.sizes))
    mask = torch.cat([torch.full_like(c, float(c.abs().max() > 1e-9)) for c in chunks])
    penalties = {
        ("weight decay", "the weights"): weights,
        ("an L1 penalty", "the signs of the weights"): weights.sign(),
    }
    for (name, of_what), term in penalties.items():
        part = term * mask
        share = (rest @ part) / (part @ part) if part.any() else 0
        if part.any() and (rest - share * part).norm() < 1e-3 * rest.norm():
            yield (
                f"The gradient holds {name} beside that of the cross-entropy: {share:.3g} times "
                f"{of_what} is added.",
                hint,
            )


def _losses(update: Update) -> Iterator[Fault]:
    reference, before = update.reference, update.trace.before
    for name, loss in WRONG_LOSSES.items():
        if reference.factor(update.seen, reference.gradient(before, update.batch, loss)):
            yield f"The gradient is that of {name}.", CROSS_ENTROPY
    even = reference.gradient(
        before, update.batch, lambda z, y: F.cross_entropy(z, y, label_smoothing=1.0)
    )
    direction = even - update.right
    share = float((update.seen - update.right) @ direction / (direction @ direction))
    if reference.agree(update.seen, update.right + share * direction):
        yield (
            f"The gradient is that of cross-entropy with label smoothing of {share:.3g}. It "
            "should be plain cross-entropy.",
            None,
        )


def _parts(update: Update) -> Iterator[Fault]:
    """Losses of some of the images only."""
    number = update.images
    for start in range(number):
        for end in range(start + 1, number + (start > 0)):
            part = slice(start, end)
            gradient = update.reference.gradient(
                update.trace.before,
                update.batch,
                lambda z, y, p=part: F.cross_entropy(z[p], y[p]),
            )
            if update.reference.factor(update.seen, gradient):
                yield f"Only {end - start} of the {number} images count in the loss.", None

"""What is wrong with the gradient that a training step's update uses?"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_checks.loops.calling import ORDER, ORDINALS
from resnet_checks.loops.events import Backward, Step, Trace
from resnet_checks.loops.reference import CROSS_ENTROPY, WRONG_LOSSES, Reference
from resnet_checks.report import FaultFound

ZERO_GRAD = "Call optimizer.zero_grad() once per update: before loss.backward() or after step()."


def name_gradient(traces: list[Trace], number: int, reference: Reference) -> FaultFound | None:
    """The fault of the gradient in the call of that number; None where it is right."""
    trace = traces[number]
    seen = trace.of_kind(Step)[0].gradient
    right = reference.gradient(trace.before, trace.batches[0])
    if fault := _name_order(trace, seen, right, reference) or name_missing(trace, seen):
        return fault
    if reference.agree(seen, right):
        return None
    left = trace.before.gradient
    if left.any() and reference.agree(seen, right + left):
        return FaultFound(
            f"The gradients add up over the calls: in the {ORDINALS[number]} one the update uses "
            "this batch's gradient plus what lay in .grad from before.",
            ZERO_GRAD,
        )
    if scaled := _name_scale(traces, number, reference):
        return scaled
    known = next(known_faults(trace, seen, right, reference), None)
    return known or FaultFound(
        "The gradient is not that of the mean cross-entropy of this batch: "
        f"{reference.gap(seen, right)}."
    )


def _name_order(
    trace: Trace, seen: Tensor, right: Tensor, reference: Reference
) -> FaultFound | None:
    """The fault of a backward pass that comes after the update."""
    backward = trace.of_kind(Backward)
    update = trace.events.index(trace.of_kind(Step)[0])
    late = bool(backward) and trace.events.index(backward[0]) > update
    by_hand = not backward and not seen.any() and reference.agree(trace.after.gradient, right)
    if late or by_hand:
        return FaultFound(
            "optimizer.step() comes before loss.backward(): the update lacks the gradient of its "
            "own batch.",
            ORDER,
        )
    return None


def name_missing(trace: Trace, seen: Tensor) -> FaultFound | None:
    """The fault of an update that finds no gradient; None where it finds one."""
    backward = trace.of_kind(Backward)
    if seen.any():
        return None
    if any(event.arrived for event in backward):
        return FaultFound(
            "The gradients are wiped out between loss.backward() and optimizer.step(): the update "
            "finds none.",
            ORDER,
        )
    if backward:
        return FaultFound(
            "loss.backward() reaches no parameter: the loss is cut off from the model.",
            "Look for detach, .data or .item() between the model and the loss.",
        )
    return FaultFound(
        "There is no gradient when optimizer.step() is called: loss.backward() is never called.",
        "Are its parentheses missing?",
    )


def _name_scale(traces: list[Trace], number: int, reference: Reference) -> FaultFound | None:
    """The fault of gradients that are a multiple of the right ones."""
    pairs = [
        (t.of_kind(Step)[0].gradient, reference.gradient(t.before, t.batches[0])) for t in traces
    ]
    factors = [reference.factor(seen, right) for seen, right in pairs]
    factor = factors[number]
    if factor is None:
        return None
    if any(len(t.of_kind(Backward)) > 1 for t in traces):
        return FaultFound("The gradient counts twice: loss.backward() is called more than once.")
    sizes = [len(t.batches[0][0]) for t in traces]
    if _are(factors, [float(size) for size in sizes]):
        return FaultFound(
            "The loss is the sum over the batch, not the mean: the gradient is "
            f"{sizes[number]} times too long for {sizes[number]} images.",
            'Look for reduction="sum" and .sum().',
        )
    if _are(factors, [1 / size for size in sizes]):
        return FaultFound(
            "The loss is divided by the size of the batch twice: cross_entropy takes the mean "
            "already."
        )
    if (whole := _ratio(factors, sizes)) is not None:
        return FaultFound(
            f"The summed loss is divided by {whole:g} whatever the batch holds, not by the number "
            "of its images.",
        )
    constant = _ratio(factors, [1] * len(factors)) is not None
    return (None if constant else _name_clipping(pairs, factors)) or FaultFound(
        f"The gradient is scaled: it is {factor:.3g} times the right one."
    )


def _are(factors: list[float | None], values: list[float]) -> bool:
    return all(
        f is not None and abs(f - v) < 1e-4 * abs(v) for f, v in zip(factors, values, strict=True)
    )


def _ratio(factors: list[float | None], sizes: list[int]) -> float | None:
    """The d of factor = size / d, if it is one for all calls."""
    whole = sizes[0] / factors[0]
    return whole if _are(factors, [size / whole for size in sizes]) else None


def _name_clipping(
    pairs: list[tuple[Tensor, Tensor]], factors: list[float | None]
) -> FaultFound | None:
    short = [
        seen.norm().item()
        for (seen, _), factor in zip(pairs, factors, strict=True)
        if factor is not None and factor < 1 - 1e-4
    ]
    if short and max(short) - min(short) < 1e-4 * max(short):
        return FaultFound(
            f"The gradient is clipped to the length {short[0]:.3g}. It should be used as it is."
        )
    return None


def known_faults(
    trace: Trace, seen: Tensor, right: Tensor, reference: Reference
) -> Iterator[FaultFound]:
    """What is known to make such a gradient, in words."""
    bound = seen.abs().max()
    if reference.agree(seen, right.clamp(-bound, bound)):
        yield FaultFound(
            f"The gradient's values are clipped to ±{bound:.3g}. It should be used as it is."
        )
    yield from _decays(seen - right, trace.before.parameters, reference)
    yield from _losses(trace, seen, right, reference)
    yield from _parts(trace, seen, reference)


def _decays(rest: Tensor, weights: Tensor, reference: Reference) -> Iterator[FaultFound]:
    """A penalty on the weights, on all of them or on those of some parameters."""
    hint = "The optimizer does weight decay itself, by its argument weight_decay."
    chunks = list(rest.split(reference.sizes))
    mask = torch.cat([torch.full_like(c, float(c.abs().max() > 1e-9)) for c in chunks])
    for name, term in (("weight decay", weights), ("an L1 penalty", weights.sign())):
        part = term * mask
        if part.any() and (rest - (rest @ part) / (part @ part) * part).norm() < 1e-3 * rest.norm():
            yield FaultFound(
                f"The gradient holds {name} beside that of the cross-entropy: "
                f"{(rest @ part) / (part @ part):.3g} times the "
                f"{'weights' if name == 'weight decay' else 'signs of the weights'} is added.",
                hint,
            )


def _losses(
    trace: Trace, seen: Tensor, right: Tensor, reference: Reference
) -> Iterator[FaultFound]:
    for name, loss in WRONG_LOSSES.items():
        if reference.factor(seen, reference.gradient(trace.before, trace.batches[0], loss)):
            yield FaultFound(f"The gradient is that of {name}.", CROSS_ENTROPY)
    even = reference.gradient(
        trace.before, trace.batches[0], lambda z, y: F.cross_entropy(z, y, label_smoothing=1.0)
    )
    direction = even - right
    share = float((seen - right) @ direction / (direction @ direction))
    if reference.agree(seen, right + share * direction):
        yield FaultFound(
            f"The gradient is that of cross-entropy with label smoothing of {share:.3g}. It "
            "should be plain cross-entropy.",
        )


def _parts(trace: Trace, seen: Tensor, reference: Reference) -> Iterator[FaultFound]:
    """Losses of some of the images only."""
    images, labels = trace.batches[0]
    for start in range(len(labels)):
        for end in range(start + 1, len(labels) + 1):
            if end - start == len(labels):
                continue
            part = slice(start, end)
            gradient = reference.gradient(
                trace.before, (images, labels), lambda z, y, p=part: F.cross_entropy(z[p], y[p])
            )
            if reference.factor(seen, gradient):
                yield FaultFound(
                    f"Only {end - start} of the {len(labels)} images count in the loss."
                )

"""Is the reader's training step one step of gradient descent on the mean cross-entropy?"""

from collections.abc import Callable, Iterator

import torch

from resnet_checks.loops.calling import (
    ORDINALS,
    as_number,
    check_called,
    check_error,
    check_images,
    check_left,
    check_order,
    check_training_passes,
    check_unaltered,
    surroundings,
)
from resnet_checks.loops.events import Backward, Forward, OtherStep, Step, Trace
from resnet_checks.loops.gradients import Fault, Naming, name_gradient
from resnet_checks.loops.losses import name_loss
from resnet_checks.loops.probe import Probe, make_batch, make_optimizer
from resnet_checks.loops.recording import recorded
from resnet_checks.loops.reference import Momentum, Reference, close
from resnet_checks.loops.updates import Update, name_move
from resnet_checks.report import FaultFound, Report, require_function, write_report

__all__ = ["training_step"]

CALL = "step(model, optimizer, images, labels)"

# No two alike, so that a mean and a sum over one constant differ.
_SIZES = (7, 4, 5)


def training_step(step: Callable) -> Report:
    """Check that `step(model, optimizer, images, labels)` does one step of training.

    It is to run the model once on the batch in train mode, to update the parameters once, through
    the optimizer, along the gradient of the mean cross-entropy of this batch alone, and to return
    that loss, from before the update, as a number or a tensor without graph. Plain cross-entropy:
    no label smoothing, no clipping, no weight decay by hand. It is called three times in a row,
    with batches of 7, 4 and 5 images, on a small network with batch norm and SGD with momentum,
    and compared with the same steps by hand in double precision.

    Args:
        step: the reader's function, called with four positional arguments.

    Raises:
        TypeError: `step` cannot be called, or is a class or a module.
    """
    require_function(step, "step", CALL)
    return write_report("Training step", _steps(step))


def _steps(step: Callable) -> Iterator[str]:
    with surroundings():
        model = Probe()
        reference, optimizer = Reference(model), make_optimizer(model)
        traces = []
        with recorded(model, optimizer) as recorder:
            for number, size in enumerate(_SIZES):
                batch = make_batch(size, seed=number + 1)
                traces.append(recorder.call(step, [batch], model, optimizer, *batch))
                if traces[-1].error:
                    break
        yield from _judge(traces, reference, recorder.log_probabilities)


def _judge(traces: list[Trace], reference: Reference, log_probabilities: bool) -> Iterator[str]:
    for number, trace in enumerate(traces):
        check_order(trace)
        check_error(trace, CALL, f", in its {ORDINALS[number]} call," if number else "")
        as_number(trace.result, "The loss")
    yield "it runs, on batches of 7, 4 and 5 images, and returns one number"
    for number, trace in enumerate(traces):
        _check_pass(trace)
        _check_count(trace, number)
        check_left(trace)
    yield "one update per call, through the optimizer, after a forward pass in train mode"
    updates = [Update(t, reference, n, t.batches) for n, t in enumerate(traces)]
    naming = Naming(_left_over, _scales_of(updates), lambda update: (), _other)
    for number, _ in enumerate(updates):
        if fault := name_gradient(updates, number, naming):
            raise fault
    yield "its gradient is that of the mean cross-entropy over this batch alone"
    if log_probabilities:
        yield "log_softmax before cross_entropy changes nothing: cross_entropy applies it itself"
    momentum = Momentum()
    for number, update in enumerate(updates):
        if fault := name_move(update, momentum, f"In the {ORDINALS[number]} call"):
            raise fault
    yield "the parameters move as SGD with momentum moves them, by hand in double precision"
    for trace in traces:
        _check_loss(trace, reference)
    yield "the loss is the mean cross-entropy before the update, without its graph"
    for trace in traces:
        _check_once(trace, reference)
        _check_end(trace)
    yield "the model runs once per call and stays in train mode; nothing else has changed"


def _check_pass(trace: Trace) -> None:
    check_called(trace)
    check_unaltered(trace)
    check_training_passes(trace)
    check_images(trace.of_kind(Forward)[0], trace.batches[0][0])


def _left_over(update: Update) -> Fault:
    return (
        f"The gradients add up over the calls: in the {ORDINALS[update.number]} one the update "
        "uses this batch's gradient plus what lay in .grad from before.",
        "Call optimizer.zero_grad() once per update: before loss.backward() or after step().",
    )


def _scales_of(updates: list[Update]) -> Callable[[Update], Iterator[tuple[float, Fault]]]:
    """What a second backward pass and a wrong divisor give."""
    twice = any(len(update.trace.of_kind(Backward)) > 1 for update in updates)

    def scales(update: Update) -> Iterator[tuple[float, Fault]]:
        size = update.images
        if twice:
            often = "The gradient counts twice: loss.backward() is called more than once."
            yield update.factor, (often, None)
        summed = (
            "The loss is the sum over the batch, not the mean: the gradient is "
            f"{size} times too long for {size} images."
        )
        yield size, (summed, 'Look for reduction="sum" and .sum().')
        divided = "The loss is divided by the size of the batch twice: cross_entropy takes the mean"
        yield 1 / size, (f"{divided} already.", None)
        first = next(u for u in updates if u.factor is not None)
        whole = first.images / first.factor
        constant = f"The summed loss is divided by {whole:g} whatever the batch holds, not by the"
        yield size / whole, (f"{constant} number of its images.", None)

    return scales


def _other(update: Update, gap: str) -> str:
    return f"The gradient is not that of the mean cross-entropy of this batch: {gap}."


def _check_count(trace: Trace, call: int) -> None:
    """The optimizer that was given makes one step, after the backward pass."""
    number = len(trace.of_kind(Step))
    moved = not torch.equal(trace.before.parameters, trace.after.parameters)
    if trace.of_kind(OtherStep):
        raise FaultFound(
            "The update is made by another optimizer than the one that was given: its momentum "
            "begins anew with each call.",
            "Build the optimizer once, outside, and call step() on the one that comes in.",
        )
    if number == 0 and call and not moved:
        size = len(trace.batches[0][1])
        raise FaultFound(
            f"In the {ORDINALS[call]} call, with {size} images, optimizer.step() is never called, "
            "though the first call made an update: this batch is skipped.",
            "Look for a condition on the size of the batch, and for a count that is kept between "
            "the calls.",
        )
    if number == 0 and (moved or trace.after.identities != trace.before.identities):
        raise FaultFound(
            "The parameters change, but not through optimizer.step(): momentum and all else that "
            "the optimizer keeps are left out."
        )
    if number == 0:
        raise FaultFound(
            "The parameters are as before the call: optimizer.step() is never called.",
            "Are its parentheses missing?" if trace.of_kind(Backward) else None,
        )
    if number > 1:
        raise FaultFound(f"optimizer.step() is called {number} times in one call.")


def _check_loss(trace: Trace, reference: Reference) -> None:
    found, batch = as_number(trace.result, "The loss"), trace.batches[0]
    right = reference.loss(trace.before, batch)
    if not close(found, right):
        raise name_loss(found, right, trace, reference)


def _check_once(trace: Trace, reference: Reference) -> None:
    """One forward pass, and its trace in the running statistics."""
    passes = len(trace.of_kind(Forward))
    if passes > 1:
        raise FaultFound(
            f"The model runs {passes} times in one call. Each run costs time, and in train mode "
            "batch norm counts the batch once more.",
            "Call the model once and keep the scores in a variable.",
        )
    right = reference.buffers(trace.before, trace.batches[0][0])
    for name, value in right.items():
        if not torch.allclose(trace.after.buffers[name], value.double(), rtol=1e-5):
            raise FaultFound(
                f"`{name}` is not what one forward pass in train mode leaves there.",
                "Are batch norm's statistics reset or put back?",
            )


def _check_not_clipped_late(trace: Trace) -> None:
    used, left = trace.of_kind(Step)[0].gradient, trace.after.gradient
    share, bound = left.norm() / used.norm(), left.abs().max()
    clipped = share * used, used.clamp(-bound, bound)
    if 0 < share < 1 - 1e-4 and any(torch.allclose(left, c, rtol=1e-4) for c in clipped):
        raise FaultFound(
            "The gradients are clipped after optimizer.step(), where it has no effect.",
            "The order is backward, clip, step.",
        )


def _check_end(trace: Trace) -> None:
    if not all(trace.after.modes.values()):
        raise FaultFound("The model is left in eval mode.", "Look for model.eval() at the end.")
    _check_not_clipped_late(trace)
    if trace.after.graph:
        raise FaultFound(
            "The gradients carry a graph of their own, which keeps all activations in memory.",
            "Leave create_graph=True out.",
        )

"""Does the reader's evaluation average over samples, in eval mode, and leave the model alone?"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from resnet_checks.loops.averages import Answer, by_hand, check_values
from resnet_checks.loops.calling import (
    ORDINALS,
    as_number,
    check_called,
    check_choice,
    check_error,
    check_left,
    check_unaltered,
    found_in,
    surroundings,
)
from resnet_checks.loops.events import Forward, Trace
from resnet_checks.loops.probe import CLASSES, Probe, make_batch
from resnet_checks.loops.recording import Recorder, recorded
from resnet_checks.loops.reference import Reference, close
from resnet_checks.report import FaultFound, Report, require_function, write_report

__all__ = ["evaluation_loop"]

CALL = "evaluate(model, batches)"

# Sizes of the batches and right answers in each: no two wrong averages of these agree.
_SIZES, _RIGHT = (6, 6, 4), (6, 2, 1)


def evaluation_loop(evaluate: Callable) -> Report:
    """Check that `evaluate(model, batches)` returns loss and accuracy over all samples.

    Both are averages over samples, not over batches: the mean cross-entropy, and the share of
    right answers, from 0 to 1. The model runs in eval mode without gradients, and all its parts
    are left in the mode they came in; parameters, gradients and running statistics stay as they
    are. `batches` is any iterable of (images, labels), also one without a length that can be gone
    through once only. Its last batch is shorter. Without any batch the function may do what it
    likes; the report says what it did.

    Args:
        evaluate: the reader's function, called with two positional arguments. It returns two
            numbers, or tensors with one value each and no graph; or, as `train.evaluate` does, an
            object that has them as `loss` and `accuracy`.

    Raises:
        TypeError: `evaluate` cannot be called, or is a class or a module.
    """
    require_function(evaluate, "evaluate", CALL)
    return write_report("Evaluation loop", _steps(evaluate))


def _steps(evaluate: Callable) -> Iterator[str]:
    with surroundings():
        model = _model()
        with recorded(model) as recorder:
            batches = _batches(model, recorder)
            answer = by_hand(recorder.state(), batches, Reference(model))
            trace = recorder.call(evaluate, batches, model, batches)
            yield from _judge(trace, answer)
            _check_generator(evaluate, recorder, answer)
            yield "the same with a generator, which has no length and can be gone through once"
            _check_modes(evaluate, recorder, batches)
            yield "a model that comes in eval mode stays there, and so does a part that is frozen"
            yield _describe_empty(recorder.call(evaluate, [], model, []))


def _model() -> Probe:
    """A model with running statistics and gradients that training has left behind."""
    model = Probe()
    model.norm.running_mean.fill_(0.2)
    model.norm.running_var.fill_(1.5)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return model


def _batches(model: Probe, recorder: Recorder) -> list[tuple[Tensor, Tensor]]:
    """Batches whose first images the model gets right, and the others wrong."""
    reference, state, batches = Reference(model), recorder.state(), []
    for number, (size, right) in enumerate(zip(_SIZES, _RIGHT, strict=True)):
        images, _ = make_batch(size, seed=number + 1)
        labels = reference.scores(state, images, training=False).argmax(dim=1)
        labels[right:] = (labels[right:] + 1) % CLASSES
        batches.append((images, labels))
    return batches


def _judge(trace: Trace, answer: Answer) -> Iterator[str]:
    check_error(trace, CALL)
    loss, accuracy = _pair(trace)
    yield "it runs, on batches of 6, 6 and 4 images, and returns two numbers"
    check_called(trace)
    check_unaltered(trace)
    _check_passes(trace)
    yield "the model runs in eval mode, and no gradients are tracked"
    _check_all_seen(trace, sum(answer.sizes))
    if not close(accuracy, answer.accuracy):
        check_choice(trace)
    check_values(loss, accuracy, answer)
    yield "loss and accuracy are averages over the samples, by hand in double precision"
    check_left(trace)
    _check_state(trace)
    if not trace.after.modes[""]:
        raise FaultFound(
            "A model that comes in train mode is left in eval mode.",
            "Note model.training before model.eval(), and put it back at the end.",
        )
    yield "parameters, gradients, running statistics and mode are left as they were"


def _pair(trace: Trace) -> tuple[float, float]:
    result = trace.result
    if result is None:
        raise FaultFound("The function returned None.", "Is a `return` missing?")
    if hasattr(result, "loss") and hasattr(result, "accuracy"):
        result = result.loss, result.accuracy
    if not isinstance(result, tuple | list):
        kind = type(result).__name__
        raise FaultFound(
            f"The function returned an object of type {kind}, not the pair (loss, accuracy).",
        )
    if len(result) != 2:
        raise FaultFound(f"The function returned {len(result)} values, not (loss, accuracy).")
    return as_number(result[0], "The loss"), as_number(result[1], "The accuracy")


def _check_passes(trace: Trace) -> None:
    """Each forward pass in eval mode and without gradients."""
    passes = trace.of_kind(Forward)
    for number, forward in enumerate(passes):
        if any(forward.modes.values()):
            where = f" in its {ORDINALS[number]} run" if number else ""
            part = next(name for name, training in forward.modes.items() if training)
            what = f"The model's part `{part}`" if part else "The model"
            raise FaultFound(
                f"{what} is in train mode{where}: batch norm takes the batch's statistics and "
                "changes its running ones, and dropout is at work.",
                "Call model.eval() before the loop.",
            )
    if any(forward.tracked for forward in passes):
        raise FaultFound(
            "Gradients are tracked: each run keeps its activations for a backward pass that never "
            "comes.",
            "Put the loop under torch.no_grad() or torch.inference_mode().",
        )


def _check_all_seen(trace: Trace, number: int) -> None:
    """The model has seen each image once."""
    sizes = [forward.size for forward in trace.of_kind(Forward)]
    seen = sum(sizes)
    if seen < number:
        last = " The last batch is left out." if sizes == list(_SIZES[:-1]) else ""
        raise FaultFound(f"The model is given {seen} of the {number} images.{last}")
    # A batch may be padded: what the padding gives is left out, as the averages show.
    if seen > number and len(sizes) != len(_SIZES):
        raise FaultFound(
            f"The model is given {seen} images, although the batches hold {number}.",
            "Call the model once per batch and keep the scores in a variable.",
        )


def _check_state(trace: Trace) -> None:
    before, after = trace.before, trace.after
    if not torch.equal(after.parameters, before.parameters):
        raise FaultFound("The parameters change during the evaluation.")
    if not torch.equal(after.gradient, before.gradient):
        raise FaultFound(
            "The gradients that training left in .grad change during the evaluation.",
            "Look for backward() and zero_grad().",
        )
    for name, value in before.buffers.items():
        if not torch.equal(after.buffers[name], value):
            raise FaultFound(f"The running statistics change: `{name}` is not as it was.")


def _check_generator(evaluate: Callable, recorder: Recorder, answer: Answer) -> None:
    batches = answer.batches
    generator = (batch for batch in batches)
    trace = recorder.call(evaluate, batches, recorder.model, generator)
    check_error(trace, CALL, " with a generator, which has no length and no indices,")
    try:
        _check_all_seen(trace, sum(answer.sizes))
        check_values(*_pair(trace), answer)
    except FaultFound as found:
        where = "With a generator, which can be gone through once only"
        raise found_in(where, FaultFound(found.fault, "Go through the batches once.")) from None


def _check_modes(evaluate: Callable, recorder: Recorder, batches: list) -> None:
    """Modes that are not the usual one: all in eval mode, and one part of it."""
    model = recorder.model
    trace = recorder.call(evaluate, batches, model.eval(), batches)
    check_error(trace, CALL, " with a model in eval mode")
    if any(trace.after.modes.values()):
        raise FaultFound(
            "A model that comes in eval mode is left in train mode.",
            "Note model.training before model.eval(), and put it back at the end.",
        )
    model.train()
    model.norm.eval()
    trace = recorder.call(evaluate, batches, model, batches)
    check_error(trace, CALL, " with a batch norm in eval mode")
    if trace.after.modes != trace.before.modes:
        raise FaultFound(
            "A batch norm that was frozen in eval mode, in a model in train mode, is left in train "
            "mode: model.train() reaches all parts.",
            "Note the mode of each of model.modules(), and put each back.",
        )


def _describe_empty(trace: Trace) -> str:
    if trace.error is not None:
        return f"without any batch it raises {type(trace.error).__name__}"
    return f"without any batch it returns {_short(trace.result)}"


def _short(result: object) -> str:
    values = result if isinstance(result, tuple | list) else [result]
    try:
        return " and ".join(f"{float(value):g}" for value in values) or "nothing"
    except (TypeError, ValueError, RuntimeError):
        return f"an object of type {type(result).__name__}"

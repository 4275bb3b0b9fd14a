"""What holds for every call of the reader's function: it ran, and it used the model rightly."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet_checks.comparing import equal
from resnet_checks.loops.events import Backward, Forward, OtherStep, Step, Trace
from resnet_checks.loops.probe import CLASSES
from resnet_checks.report import FaultFound
from resnet_checks.running import attempt, describe_error, isolated, message_of

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")

ORDER = "The order is zero_grad, backward, step."

SHAPE_ERRORS = (RuntimeError, ValueError, IndexError)
PROBE = (
    f"The check's model tells {CLASSES} classes apart, and its images are (N, 3, 6, 5): take such "
    "numbers from the scores, the labels and the images."
)

_NO_GRADIENTS = "Look for no_grad, inference_mode and set_grad_enabled."


@contextmanager
def surroundings() -> Iterator[None]:
    """As `isolated`, and new tensors on the CPU."""
    # Without need no device is set: a step that sets the default would take this one away.
    is_cpu = torch.get_default_device().type == "cpu"
    with isolated(), nullcontext() if is_cpu else torch.device("cpu"):
        yield


def check_error(trace: Trace, call: str, where: str = "") -> None:
    """The call raised nothing. `where` says which call it was, as in " with a generator"."""
    if trace.error is None:
        return
    passes = trace.of_kind(Forward)
    # A pass that ended in an error has no scores, so nothing is known of its gradients.
    if "does not require grad" in message_of(trace.error) and passes and not passes[-1].tracked:
        raise _untracked()
    found = describe_error(f"{call}{where}", trace.error, f"It is called as {call}.")
    if isinstance(trace.error, SHAPE_ERRORS):
        check_choice(trace)
        if trace.shares:
            raise FaultFound(
                f"The labels are given as shares of {trace.shares} classes, and the model puts out "
                f"{CLASSES} scores per image.",
                "Take the number of classes from the scores: scores.shape[1].",
            )
        if found.hint is None or "shapes do not agree" in found.hint:
            found.hint = PROBE
    raise found


def check_choice(trace: Trace) -> None:
    """An answer is the best class of each image, not the best image of each class."""
    if trace.over_images:
        raise FaultFound(
            f"{trace.over_images} is taken over dim 0, the images: it finds for each class the "
            "image with the highest score.",
            "An image's answer is the class with the highest score: scores.argmax(dim=1).",
        )


def check_order(trace: Trace) -> None:
    """No update stands between a forward pass and its backward pass.

    PyTorch raises an error there, but only where the update changes something.
    """
    kinds = [type(event) for event in trace.events]
    for number, kind in enumerate(kinds):
        if kind is Step and kinds[number - 1 : number + 2] == [Forward, Step, Backward]:
            raise FaultFound(
                "optimizer.step() comes before loss.backward(): the update lacks the gradient of "
                "the batch that the model was just given.",
                ORDER,
            )


def check_called(trace: Trace) -> None:
    """The model that was given ran."""
    if not trace.of_kind(Forward):
        raise FaultFound(
            "The model that was given is never called.",
            "Does the function use a model from outside in its place?",
        )


def check_training_passes(trace: Trace) -> None:
    """The passes up to the first update ran in train mode, with gradients, in full precision."""
    for forward in before_update(trace):
        if not all(forward.modes.values()):
            raise _in_eval(forward)
        if not forward.tracked:
            raise _untracked()
        if forward.autocast:
            raise FaultFound(
                f"The forward pass runs under autocast, in {_name(forward.autocast)}. It should "
                "run in the precision of the model."
            )


def before_update(trace: Trace) -> list[Forward]:
    """The forward passes before the first update, or all where there is none."""
    passes = []
    for event in trace.events:
        if isinstance(event, Step | OtherStep):
            break
        if isinstance(event, Forward):
            passes.append(event)
    return passes


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _in_eval(forward: Forward) -> FaultFound:
    if not forward.modes[""]:
        return FaultFound(
            "The forward pass runs in eval mode: batch norm takes its running statistics and does "
            "not update them, and dropout does nothing.",
            "Look for model.eval(). Training needs model.train().",
        )
    part = next(name for name, training in forward.modes.items() if not training)
    return FaultFound(
        f"In the forward pass the model is in train mode, but its part `{part}` is not.",
        "Look for eval().",
    )


def _untracked() -> FaultFound:
    return FaultFound(
        "The forward pass runs with gradients switched off, so backward() finds nothing to go "
        "through.",
        _NO_GRADIENTS,
    )


def check_unaltered(trace: Trace) -> None:
    """Images and labels are as they were, and so is the list that holds them."""
    if trace.emptied:
        raise FaultFound(
            "The list of batches that was given is changed: whoever calls the function again finds "
            "another one.",
            "Go through it with `for`, or take a copy: list(batches).",
        )
    if trace.altered:
        raise FaultFound(
            "The images or the labels that were given are changed in place.",
            "Look for functions that end in _, and for operators such as -= and /=.",
        )


def check_images(forward: Forward, images: Tensor) -> None:
    """The model was given the images that came."""
    if forward.size != len(images):
        raise FaultFound(f"The model is given {forward.size} images, not all {len(images)}.")
    short = forward.dtype in (torch.float16, torch.bfloat16)
    if short and equal(forward.images, images.to(forward.dtype)):
        raise FaultFound(
            f"The forward pass runs in {_name(forward.dtype)}. It should run in the precision of "
            "the model.",
            "Look for half() and bfloat16().",
        )
    if not equal(_sorted(forward.images), _sorted(images)):
        raise FaultFound(
            "The model is given other values than the images that came.",
            "Are they normalised or augmented inside? They come ready for the model.",
        )


def _sorted(images: Tensor) -> Tensor:
    """The images in an order that is the same however they came: labels may be shuffled alike."""
    rows = images.flatten(1).double()
    return rows[rows[:, 0].argsort()]


def check_left(trace: Trace) -> None:
    """Gradients are on, the model's parameters and the optimizer's settings are what they were."""
    before, after = trace.before, trace.after
    if trace.gradients_off:
        raise FaultFound(
            "After the call gradients stay switched off for the whole program.",
            "Use no_grad as a `with` block or as a decorator.",
        )
    if after.buffers.keys() != before.buffers.keys():
        raise FaultFound("The model has lost or gained a part in the call.")
    if after.identities != before.identities:
        raise FaultFound(
            "The model's parameters are replaced by new ones, which the optimizer does not know."
        )
    if after.trainable != before.trainable:
        raise FaultFound(
            "After the call some parameters no longer ask for a gradient.",
            "Look for requires_grad.",
        )
    if changed := _changed_setting(trace):
        raise FaultFound(f"The call changes the optimizer's settings: {changed}.")


def _changed_setting(trace: Trace) -> str | None:
    before, after = trace.before.settings, trace.after.settings
    if len(before) != len(after):
        return f"it had {len(before)} group of parameters and has {len(after)}"
    for old, new in zip(before, after, strict=True):
        for name, value in old.items():
            if name not in new or new[name] != value:
                return f"`{name}` was {value} and is {new.get(name)}"
    return None


def found_in(where: str, found: FaultFound) -> FaultFound:
    """The fault with the case it was found in."""
    return FaultFound(f"{where}: {found.fault[0].lower()}{found.fault[1:]}", found.hint)


def as_number(value: Any, name: str) -> float:
    """The value of a number or of a tensor with one value and no graph."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise FaultFound(
                f"{name} is returned with its graph: whoever keeps it keeps all activations of "
                "the forward pass in memory.",
                "Return loss.item() or loss.detach().",
            )
        if value.dim():
            raise FaultFound(f"{name} is a tensor of shape {tuple(value.shape)}, not one number.")
        value = attempt(f"Reading {name[0].lower()}{name[1:]}", value.item)
    if isinstance(value, np.ndarray) and value.shape == ():  # as loss.detach().numpy() gives
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        kind = "None" if value is None else f"an object of type {type(value).__name__}"
        hint = "Is a `return` missing?" if value is None else None
        raise FaultFound(f"{name} is {kind}, not a number.", hint)
    return float(value)

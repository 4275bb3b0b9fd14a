"""A model and a batch, looked at from outside: what is wrong with them?"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from resnet_checks.diagnosis import judging
from resnet_checks.diagnosis.findings import (
    Diagnosis,
    Fact,
    Finding,
    Remark,
    Remarks,
    Unseen,
    gathered,
)
from resnet_checks.diagnosis.shortcuts import look_at_shortcuts
from resnet_checks.diagnosis.watching import watch
from resnet_lib.arguments import check_classes, check_labels
from resnet_lib.probes.running import eager, unwrapped

__all__ = ["diagnose"]

NEVER_SEEN = (
    "how it was trained: loss, loop, rate, order, and whether training and test share images"
)


def diagnose(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    purpose: Literal["training", "use"] | None = None,
    residual: bool | None = None,
) -> Diagnosis:
    """Find what can be found out about a model from outside, without the code that trained it.

    It looks at the images, at weights that are no finite numbers, at batch norm's mode and running
    statistics, at silent channels (dead ReLUs), at the scores, at parameters without a gradient,
    and at blocks that do not hand their input on. The model runs in eval mode, and uncompiled. It
    is left as it was: weights, buffers, gradients, modes, torch's random numbers. A network fresh
    from its start is no fault, nor is one in train mode, unless `purpose` says so; where a look
    needs more than it was given, `unseen` says what. The borders stand in
    `resnet_checks.diagnosis.judging`.

    Shapes: images (N, C, ...) as the model is to get them, on its device; at least 16 of them for
    statistics and silent channels. Scores (N, K).

    Args:
        model: any module that is called with one tensor.
        images: a batch, of the kind that the model is made for.
        labels: (N,) int64, the classes.
        mean, std: one number per channel, by which the model's images are normalised, on a scale
            where a pixel goes from 0 to 1; a model card names them.
        purpose: what the model is about to do: "training", or "use", that is, answer.
        residual: True where every block is meant to have a shortcut.

    Raises:
        TypeError: the model is no module, or images or labels are no tensors of the right type.
        ValueError: the batch is empty or of integers, the labels do not fit it, only one of mean
            and std is given or not one number per channel, or `purpose` is unknown.
    """
    model = unwrapped(model)
    statistics = _checked(images, labels, mean, std, purpose)
    remarks: list[Remark] = list(judging.look_at_input(images, *statistics))
    remarks += judging.look_at_weights(model)
    remarks += judging.look_at_modes(model, purpose)
    if any(isinstance(one, Finding) and one.kind == "non-finite" for one in remarks):
        remarks.append(Unseen("what numbers go through it: they are not finite"))
    else:
        with eager():
            remarks += _run(model, images, labels, residual)
    return gathered([*remarks, Unseen(NEVER_SEEN)])


def _run(model: nn.Module, images: Tensor, labels: Tensor | None, residual: bool | None) -> Remarks:
    try:
        sight = watch(model, images)
    except Exception as error:  # the model's own, whatever it is
        said = str(error).strip().splitlines() or [type(error).__name__]
        yield Finding("error", f"images of {tuple(images.shape)} do not go through: {said[0]}")
        return
    moved = judging.has_moved(model)
    classes = sight.scores.shape[1] if sight.scores is not None and sight.scores.dim() == 2 else 0
    yield from judging.look_at_statistics(sight.fits, moved, labels, len(images), classes)
    yield from judging.look_at_silence(sight.silent, len(images))
    if sight.smallest:
        yield Fact(f"the last convolution looks at {sight.smallest} positions")
    yield from judging.look_at_gradients(model, sight)
    if sight.scores is None:
        yield Unseen("the scores: the model gives back no tensor")
    else:
        yield from judging.look_at_scores(sight.scores)
        yield from _against_labels(sight.scores, labels, moved)
    yield from look_at_shortcuts(model, images, residual)


def _against_labels(scores: Tensor, labels: Tensor | None, moved: bool) -> Remarks:
    if labels is None:
        yield Unseen("whether the answers are right: give labels")
    elif scores.dim() != 2:
        yield Unseen(f"whether the answers are right: scores of {tuple(scores.shape)} are not read")
    else:
        check_classes("labels", labels, scores.shape[1])
        yield from judging.look_at_labels(scores, labels, moved)


def _check_labels(labels: object, images: Tensor) -> None:
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor, got {type(labels).__name__}")
    check_labels(labels, images)
    if labels.is_floating_point():
        raise ValueError("labels must be classes, torch.int64, got shares of classes")


def _checked(images, labels, mean, std, purpose) -> tuple[Tensor | None, Tensor | None]:
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor, got {type(images).__name__}")
    if images.dim() < 2 or len(images) == 0 or not images.is_floating_point():
        kind = f"{images.dtype} of {tuple(images.shape)}"
        raise ValueError(f"images must be floating-point numbers (N, C, ...), N > 0, got {kind}")
    if labels is not None:
        _check_labels(labels, images)
    if purpose not in (None, "training", "use"):
        raise ValueError(f"purpose must be 'training', 'use' or None, got {purpose!r}")
    if (mean is None) != (std is None):
        raise ValueError("mean and std must be given together, got one of them")
    if mean is None or std is None:
        return None, None
    found = tuple(torch.as_tensor(v, dtype=images.dtype, device=images.device) for v in (mean, std))
    for name, value in zip(("mean", "std"), found, strict=True):
        if value.shape != (images.shape[1],):
            channels = images.shape[1]
            raise ValueError(f"{name} must hold {channels} numbers, one per channel, got {value}")
    return found[0], found[1]

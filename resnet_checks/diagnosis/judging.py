"""What the sights mean: each function looks at one thing, and yields findings and facts."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_checks.diagnosis.findings import Fact, Finding, Remark, Remarks, Unseen
from resnet_checks.diagnosis.watching import NORMS, Fit, Sight

FEWEST = 16
"""Images below which a batch says too little of statistics and silent channels."""

FARTHEST_SHIFT, FARTHEST_STRETCH = 0.7, 1.7
"""What separates running statistics that fit the batch from those that do not."""

FEWEST_CLASSES = 2.5
"""A batch of no more classes, or of no more than half of all, says too little of statistics."""

MOST_SILENT = 0.9
"""Share of a layer's input channels that may be silent."""

LARGEST = 20.0
"""Normalised pixels stay below this; bytes do not."""


def look_at_input(images: Tensor, mean: Tensor | None, std: Tensor | None) -> Remarks:
    """Are the numbers finite, and such as normalising gives?"""
    if not images.isfinite().all():
        yield Finding("input", "the images hold numbers that are not finite")
        return
    low, high, shape = images.min().item(), images.max().item(), (1, -1, *[1] * (images.dim() - 2))
    seen = f"the images go from {low:.2f} to {high:.2f}, mean {images.float().mean():.2f}"
    if mean is None or std is None:
        if max(-low, high) > LARGEST:
            yield Finding("input", f"{seen}: these look like bytes that were never normalised")
            return
        yield Fact(seen)
        yield Unseen("whether the images fit the network's normalisation: give mean and std")
        return
    back = images * std.view(shape) + mean.view(shape)
    least, most = back.min().item(), back.max().item()
    if least < -0.05 or most > 1.05:
        what = "bytes never normalised" if max(-low, high) > LARGEST else "normalised twice"
        yield Finding(
            "input",
            f"{seen}; with mean and std taken back they go from {least:.2f} to {most:.2f}, and "
            f"pixels go from 0 to 1: {what}?",
        )
    elif low >= 0 and mean.min() > 0.1:
        yield Finding(
            "input", f"{seen}: none is below 0, as dark pixels are once normalised. Fractions?"
        )
    else:
        yield Fact(f"{seen}, as mean and std would have it")


def look_at_weights(model: nn.Module) -> Remarks:
    """Is every weight and statistic a finite number?"""
    named = [*model.named_parameters(), *model.named_buffers()]
    wrong = [name for name, tensor in named if not tensor.isfinite().all()]
    if wrong:
        text = f"{len(wrong)} of {len(named)} tensors hold numbers that are not finite"
        yield Finding("non-finite", f"{text}; the first is {wrong[0]}")


def look_at_modes(model: nn.Module, purpose: str | None) -> Remarks:
    """Which mode is batch norm in, and is that right for what the model is to do?"""
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    training = sum(norm.training for norm in norms)
    if not norms:
        yield Fact("there is no batch norm")
        return
    text = f"{training} of {len(norms)} batch norms are in train mode"
    trainable = [n for n in norms if n.weight is not None and n.weight.requires_grad]
    idle = [n for n in trainable if not n.training]
    if purpose == "use" and training:
        yield Finding(
            "mode", f"{text}: an answer depends on the batch's other images. Call model.eval()"
        )
    elif purpose == "training" and idle:
        yield Finding(
            "mode", f"{text}; {len(idle)} are in eval mode though their weights train: "
            "their statistics stand still. Call model.train()"
        )  # fmt: skip
    else:
        yield Fact(text)
        if purpose is None:
            yield Unseen("whether that mode is the right one: give purpose='training' or 'use'")


def has_moved(model: nn.Module) -> bool:
    """Whether a norm's weights differ between channels, which they do not at a start."""
    tensors = [
        tensor
        for module in model.modules()
        if isinstance(module, (*NORMS, nn.GroupNorm))
        for tensor in (module.weight, module.bias)
        if tensor is not None
    ]
    return any(bool((tensor != tensor[:1]).any()) for tensor in tensors)


def look_at_statistics(
    fits: dict[str, Fit], moved: bool, labels: Tensor | None, images: int, classes: int
) -> Remarks:
    """Do the running statistics fit the batch?"""
    if not fits:
        return
    if not moved:
        yield Unseen("whether the running statistics fit: no batch norm has been trained yet")
    elif images < FEWEST:
        yield Unseen(f"whether the running statistics fit: {FEWEST} images or more are needed")
    else:
        yield _of_fits(fits, _held(labels), classes)


def _held(labels: Tensor | None) -> float | None:
    """How many classes, all equally often, would mix as these do; one that is rare counts little.

    It is 1 over the chance that two labels agree.
    """
    if labels is None:
        return None
    shares = labels.unique(return_counts=True)[1].double() / len(labels)
    return 1 / shares.square().sum().item()


def _of_fits(fits: dict[str, Fit], held: float | None, classes: int) -> Remark:
    shift, stretch = (max(getattr(f, key) for f in fits.values()) for key in ("shift", "stretch"))
    text = f"means up to {shift:.2g} deviations off, deviations up to {stretch:.2g} times off"
    bad = [n for n, f in fits.items() if f.shift > FARTHEST_SHIFT or f.stretch > FARTHEST_STRETCH]
    if not bad:
        return Fact(f"the running statistics fit the batch: {text}")
    if held is not None and classes > 1 and held <= min(classes / 2, FEWEST_CLASSES):
        return Unseen(
            f"whether the running statistics fit: the labels amount to {held:.2g} of {classes} "
            "classes, too few to stand for the training images"
        )
    counts = [f.counted for f in fits.values() if f.counted is not None]
    counted = f"; batches they have seen: {min(counts)}" if counts else ""
    early = bad[0] == next(iter(fits))
    cause = "other images than these" if early else "too few batches, or older weights"
    cause += "; or the batch holds few classes, which labels would tell" if held is None else ""
    return Finding(
        "statistics",
        f"the running statistics do not fit the batch, from {bad[0]} on ({text}{counted}): they "
        f"come from {cause}",
    )


def look_at_silence(silent: dict[str, tuple[float, int]], images: int) -> Remarks:
    """Are there layers that get next to nothing?"""
    if images < FEWEST:
        yield Unseen(f"whether ReLUs are dead: {FEWEST} images or more are needed")
        return
    wide = {name: share for name, (share, channels) in silent.items() if channels >= 8}
    dead = [name for name, share in wide.items() if share > MOST_SILENT]
    worst = max(wide.values(), default=0.0)
    if dead:
        text = f"{len(dead)} of {len(wide)} layers get nothing but zeros"
        yield Finding("dead", f"{text} in more than {MOST_SILENT:.0%} of their channels, from "
                              f"{dead[0]} on: the ReLUs before them are dead")  # fmt: skip
    elif wide:
        yield Fact(f"at most {worst:.0%} of a layer's input channels are silent")


def look_at_scores(scores: Tensor) -> Remarks:
    """Are these scores, and do they depend on the image?"""
    if not scores.isfinite().all():
        yield Finding("non-finite", "the scores are not finite for every image")
        return
    if len(scores) > 1 and torch.equal(scores, scores[:1].expand_as(scores)):
        yield Finding("constant", "the scores are the same for every image")
    if scores.dim() != 2 or scores.shape[1] < 2:
        return
    sums = scores.double().sum(dim=1)
    if scores.min() >= 0 and (sums - 1).abs().max() < 1e-3:
        yield Finding(
            "probabilities", "the outputs lie between 0 and 1 and add up to 1 for each image: "
            "probabilities, where a loss expects scores"
        )  # fmt: skip


def look_at_gradients(model: nn.Module, sight: Sight) -> Remarks:
    """Does every trainable parameter have a way to the scores?"""
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    frozen = sum(1 for _ in model.parameters()) - len(trainable)
    cut = [name for name in trainable if name not in sight.connected]
    if frozen:
        yield Fact(f"{frozen} parameters are frozen (requires_grad is False)")
    if cut:
        text = f"{len(cut)} of {len(trainable)} trainable parameters have no way to the scores"
        yield Finding("gradient", f"{text}, {cut[0]} to {cut[-1]}: detach, .data, or never used")


def look_at_labels(scores: Tensor, labels: Tensor, moved: bool) -> Remarks:
    """How many answers are right, and would another naming of the classes be?"""
    classes, answers = scores.shape[1], scores.argmax(dim=1)
    right = (answers == labels).double().mean().item()
    loss = F.cross_entropy(scores.double(), labels).item()
    text = (
        f"{right:.0%} of {len(labels)} answers are right, loss {loss:.2f}; guessing among "
        f"{classes} would be {1 / classes:.0%} and {math.log(classes):.2f}"
    )
    renamed, names = _renamed(answers, labels, classes)
    if right < 0.5 and renamed > 0.8 and len(labels) >= 2 * classes:
        yield Finding("labels", f"{text}. Renamed ({names}) {renamed:.0%} would be right")
    elif moved and right < 1.5 / classes and len(labels) >= 10 * classes:
        yield Finding("chance", text)
    else:
        yield Fact(text)


def _renamed(answers: Tensor, labels: Tensor, classes: int) -> tuple[float, str]:
    """The share that would be right under the best naming, and that naming."""
    counts = torch.bincount(labels * classes + answers, minlength=classes**2).view(classes, -1)
    best = counts.argmax(dim=1)
    if len(set(best.tolist())) < classes:  # no naming: two classes would share a name
        return 0.0, ""
    share = counts.max(dim=1).values.sum().item() / len(labels)
    pairs = [f"{label}→{int(best[label])}" for label in range(classes) if best[label] != label]
    return share, ", ".join(pairs[:4]) + (", ..." if len(pairs) > 4 else "")

"""What is measured on a finished training: one number each, apart for sick and healthy ones."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_checks.diagnosis.shortcuts import handed_on
from resnet_checks.diagnosis.watching import watch
from resnet_checks.ward.trainings import Course, evaluate, normalised
from resnet_lib import probes


def steps_done(course: Course) -> float:
    """Steps before an error, or before a loss that is no finite number."""
    return float(sum(map(math.isfinite, course.losses)))


def sizes_taken(course: Course) -> float:
    """Of the sizes 8, 9, 16 and 32, how many the network answers."""
    taken = 0
    for size in (8, 9, 16, 32):
        try:
            _scores(course.model, F.interpolate(course.test_batch[0][:8], size=(size, size)))
        except RuntimeError:
            continue
        taken += 1
    return float(taken)


def last_loss(course: Course) -> float:
    """Mean training loss of the last ten steps; a million stands for more, and for none."""
    return _bounded(sum(course.losses[-10:]) / len(course.losses[-10:]))


def silent_share(course: Course) -> float:
    """The largest share of a layer's input channels that are zero for every test digit."""
    seen = watch(course.model, course.test_batch[0]).silent.values()
    return max(share for share, _ in seen)


def mode_cost(course: Course) -> float:
    """Accuracy of the test digits in eval mode, minus what the test says."""
    return evaluate(course.model, [course.test_batch])[1] - course.test


def batches_counted(course: Course) -> float:
    """Share of the training's batches that batch norm's running statistics have seen."""
    counted = [m.num_batches_tracked.item() for m in course.model.modules()
               if isinstance(m, nn.BatchNorm2d)]  # fmt: skip
    return min(counted) / len(course.losses)


def test_accuracy(course: Course) -> float:
    """Accuracy on the test digits, as the training's own evaluation says."""
    return course.test


def test_loss(course: Course) -> float:
    """Loss on the test digits, as the training's own evaluation says; a million at most."""
    return _bounded(course.test_loss)


def pixel_mean(course: Course) -> float:
    """Mean of what the test gives to the network."""
    return course.test_batch[0].mean().item()


def first_layer_moved(course: Course) -> float:
    """How far the first convolution moved, relative to its length at the start."""
    now = next(p for p in course.model.parameters() if p.dim() == 4)
    start = next(p for p in course.at_the_start().parameters() if p.dim() == 4)
    return ((now - start).norm() / start.norm()).item()


def flattery(course: Course) -> float:
    """What the test says above the accuracy on digits kept fresh."""
    fresh = [(normalised(course.parts.fresh_images), course.parts.fresh_labels)]
    return course.test - evaluate(course.model, fresh)[1]


def gradient_ratio(course: Course) -> float:
    """Length of one update over that of the mean loss's gradient, same weights and digits."""
    images = course.recipe.prepare(course.parts.images[:32])
    labels = course.recipe.read(course.parts.labels[:32])
    model = course.at_the_start().eval()  # batch norm in eval mode: a part is like the whole
    start = [p.detach().clone() for p in model.parameters()]
    loss = F.cross_entropy(model(images), labels)
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    course.recipe.update(model, torch.optim.SGD(model.parameters(), lr=1e-3), images, labels)
    moved = [a.detach() - b for a, b in zip(model.parameters(), start, strict=True)]
    return _length(moved) / (1e-3 * _length(gradient))


def blocks_open(course: Course) -> float:
    """Share of the blocks without projection that hand their input on."""
    told = [
        one for one in handed_on(course.model, course.test_batch[0]).values() if one is not None
    ]
    return sum(told) / len(told)


def gap(course: Course) -> float:
    """Training accuracy minus test accuracy."""
    return course.training - course.test


def _bounded(value: float) -> float:
    return min(value, 1e6) if math.isfinite(value) else 1e6


def _scores(model: nn.Module, images: Tensor) -> Tensor:
    with probes.preserved(model), torch.no_grad():
        return model.eval()(images)


def _length(tensors) -> float:
    return math.sqrt(sum(t.square().sum().item() for t in tensors))

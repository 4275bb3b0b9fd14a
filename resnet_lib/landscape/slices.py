"""Slices through the loss surface, along one direction or two."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.landscape.points import Batches, Direction, Loss, check_all, losses, modes


def loss_along(
    model: nn.Module,
    batches: Batches,
    direction: Direction,
    steps: Sequence[float],
    *,
    statistics: str = "batch",
    loss_function: Loss = F.cross_entropy,
) -> Tensor:
    """The loss at θ + a·d for the steps a: a slice through the loss surface.

    The loss is the mean over all images. The network is in eval mode, so that dropout drops
    nothing; what batch norm does, `statistics` says.

    Args:
        model: the network, at its weights θ.
        batches: pairs of images and labels on the model's device, the same ones each time they are
            gone through: a list, or `data.Batches` without `shuffle`.
        direction: d, a tensor for each parameter.
        steps: the numbers a.
        statistics: "batch": every batch is normalised by its own mean and variance, at each point
            anew, as in training. "running": by the running statistics, which belong to θ.
        loss_function: maps (outputs, labels) to the mean over a batch.

    Returns:
        As many losses as steps, in double precision; one may be infinite or NaN.

    Raises:
        TypeError: the model is no module, the direction no dictionary, or `batches` can be gone
            through only once.
        ValueError: `statistics` is neither, there is no image, or the direction does not have a
            tensor of each parameter's shape.
    """
    check_all(model, batches, statistics, direction=direction)
    points = [(float(a),) for a in steps]
    return _at(points, model, batches, [direction], statistics, loss_function)


def loss_plane(
    model: nn.Module,
    batches: Batches,
    first: Direction,
    second: Direction,
    steps: Sequence[float],
    *,
    statistics: str = "batch",
    loss_function: Loss = F.cross_entropy,
) -> Tensor:
    """The loss at θ + a·d + b·e for all pairs of steps a and b: a slice in two dimensions.

    Arguments and errors are those of `loss_along`; `first` is d, `second` is e.

    Returns:
        (S, S) losses for S steps; b grows from row to row, a from column to column.
    """
    check_all(model, batches, statistics, first=first, second=second)
    points = [(float(a), float(b)) for b in steps for a in steps]
    found = _at(points, model, batches, [first, second], statistics, loss_function)
    return found.view(len(steps), len(steps))


@torch.no_grad()
def _at(
    points: list[tuple[float, ...]],
    model: nn.Module,
    batches: Batches,
    directions: list[Direction],
    statistics: str,
    loss_function: Loss,
) -> Tensor:
    """The mean loss at each point, in coordinates along the directions."""
    found = []
    with modes(model, statistics):
        for point in points:
            weights: Direction = dict(model.named_parameters())
            for step, direction in zip(point, directions, strict=True):
                weights = {name: w + step * direction[name] for name, w in weights.items()}
            parts = [
                (number, number * loss.item())
                for number, loss in losses(model, weights, batches, loss_function)
            ]
            images, total = map(sum, zip(*parts, strict=True))
            found.append(total / images)
    return torch.tensor(found, dtype=torch.float64)

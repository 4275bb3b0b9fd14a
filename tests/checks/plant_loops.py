"""Right steps, evaluations and accumulations, each put together so that one piece can be wrong."""

from collections.abc import Callable

import torch
import torch.nn.functional as F


def nothing(*_) -> None:
    pass


def step(
    order: str = "zero forward backward update",
    *,
    scores: Callable = lambda model, images: model(images),
    loss: Callable = F.cross_entropy,
    first: Callable = nothing,
    grads: Callable = nothing,
    last: Callable = nothing,
    returned: Callable = lambda loss, *_: loss.item(),
) -> Callable:
    """A training step whose parts run in the given order.

    `first` and `last` get all four arguments; `grads` gets the model after the backward pass;
    `returned` gets the loss and all four arguments.
    """

    def planted(model, optimizer, images, labels):
        value = torch.zeros(())
        first(model, optimizer, images, labels)
        for part in order.split():
            if part == "zero":
                optimizer.zero_grad()
            elif part == "forward":
                value = loss(scores(model, images), labels)
            elif part == "backward":
                value.backward()
                grads(model)
            else:
                optimizer.step()
        last(model, optimizer, images, labels)
        return returned(value, model, optimizer, images, labels)

    return planted


def evaluation(
    *,
    losses: Callable = lambda scores, labels: F.cross_entropy(scores, labels, reduction="sum"),
    scores: Callable = lambda model, images: model(images),
    mode: Callable = lambda model: model.eval(),
    back: Callable | None = None,
    gradients: Callable = torch.no_grad,
    chosen: Callable = lambda batches: batches,
    result: Callable = lambda loss, right, images, batches: (loss / images, right / images),
) -> Callable:
    """An evaluation. `result` gets the sums, the number of images and the number of batches."""

    def planted(model, batches):
        before = [(module, module.training) for module in model.modules()]
        mode(model)
        loss = right = images = number = 0
        with gradients():
            for batch, labels in chosen(batches):
                found = scores(model, batch)
                loss += losses(found, labels).item()
                right += (found.argmax(dim=1) == labels).sum().item()
                images, number = images + len(labels), number + 1
        if back is not None:
            back(model)
        else:
            for module, training in before:
                module.training = training
        return result(loss, right, images, number)

    return planted


def groups(batches: list, every: int) -> list[list]:
    """The micro-batches of each update."""
    return [batches[start : start + every] for start in range(0, len(batches), every)]


def accumulating(
    *,
    divisor: Callable = lambda group, every, batches: sum(len(labels) for _, labels in group),
    losses: Callable = lambda scores, labels: F.cross_entropy(scores, labels, reduction="sum"),
    scores: Callable = lambda model, images: model(images),
    before: Callable = lambda optimizer: optimizer.zero_grad(),
    each: Callable = nothing,
    grads: Callable = nothing,
    after: Callable = lambda optimizer: optimizer.zero_grad(),
    last: Callable = nothing,
    chosen: Callable = groups,
) -> Callable:
    """An accumulation that divides each loss by `divisor(group, every, batches)`."""

    def planted(model, optimizer, batches, every):
        before(optimizer)
        for group in chosen(batches, every):
            for images, labels in group:
                each(optimizer)
                loss = losses(scores(model, images), labels)
                (loss / divisor(group, every, batches)).backward()
            grads(model)
            optimizer.step()
            after(optimizer)
        last(model, optimizer)

    return planted

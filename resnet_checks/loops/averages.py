"""What is wrong with a loss and an accuracy that were averaged over batches of unequal size?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from resnet_checks.loops.events import State
from resnet_checks.loops.losses import rounded
from resnet_checks.loops.reference import CROSS_ENTROPY, WRONG_LOSSES, Reference, close
from resnet_checks.report import FaultFound

_WEIGH = (
    "Weigh each batch by its size: add up loss.item() * len(labels) and the right answers, and "
    "divide by the number of images at the end."
)
_DIVIDE = "Divide once, at the end, by the number of images: the sum of len(labels)."

Average = Callable[[Sequence[float], Sequence[int]], float]


def mean_over_images(means: Sequence[float], sizes: Sequence[int]) -> float:
    """The right average, from the means of the batches."""
    return _total(means, sizes) / sum(sizes)


def _total(means: Sequence[float], sizes: Sequence[int]) -> float:
    return sum(m * n for m, n in zip(means, sizes, strict=True))


# How else the batches' means are put together, in words, and where to look.
_WRONG_AVERAGES: dict[str, tuple[Average, str]] = {
    "the mean of the batches' means: the last batch, which is smaller, counts as much as the "
    "others": (lambda m, n: sum(m) / len(m), _WEIGH),
    "that of the last batch alone": (lambda m, n: m[-1], "Look for = where += is meant."),
    "that of the first batch alone": (lambda m, n: m[0], "Does `return` stand in the loop?"),
    "taken without the last batch": (
        lambda m, n: mean_over_images(m[:-1], n[:-1]),
        "Look for a condition that leaves a smaller batch out.",
    ),
    "taken without the first batch": (
        lambda m, n: mean_over_images(m[1:], n[1:]),
        "Look for a sum that begins, or begins anew, within the loop.",
    ),
    "the sum over all images, not the mean": (lambda m, n: _total(m, n), _DIVIDE),
    "the sum of the batches' means": (lambda m, n: sum(m), _WEIGH),
    "the sum over all images, divided by the number of batches": (
        lambda m, n: _total(m, n) / len(n),
        _DIVIDE,
    ),
    "the sum of the batches' means, divided by the number of images": (
        lambda m, n: sum(m) / sum(n),
        _WEIGH,
    ),
    "the sum over all images, divided as if all batches were as large as the first": (
        lambda m, n: _total(m, n) / (len(n) * n[0]),
        _DIVIDE,
    ),
    "weighted as if all batches were as large as the first": (
        lambda m, n: sum(m) * n[0] / sum(n),
        _WEIGH,
    ),
}


@dataclass(frozen=True, eq=False)
class Answer:
    """What is right for a model and its batches, batch by batch."""

    state: State
    batches: list[tuple[Tensor, Tensor]]
    reference: Reference
    losses: list[float]
    accuracies: list[float]

    @property
    def sizes(self) -> list[int]:
        return [len(labels) for _, labels in self.batches]

    @property
    def loss(self) -> float:
        return mean_over_images(self.losses, self.sizes)

    @property
    def accuracy(self) -> float:
        return mean_over_images(self.accuracies, self.sizes)

    def shares(self, hits: Callable[[Tensor, Tensor], Tensor]) -> tuple[list[float], list[float]]:
        """Each batch's hits: their sum by the number of images, and their mean."""
        sums, means = [], []
        for images, labels in self.batches:
            with torch.no_grad():
                scores = self.reference.scores(self.state, images, training=False)
            found = hits(scores, labels).double()
            sums.append(found.sum().item() / len(labels))
            means.append(found.mean().item())
        return sums, means


def by_hand(state: State, batches: list[tuple[Tensor, Tensor]], reference: Reference) -> Answer:
    """Losses and accuracies of the batches in eval mode."""
    losses = [reference.loss(state, batch, training=False) for batch in batches]
    answer = Answer(state, batches, reference, losses, [])
    answer.accuracies.extend(answer.shares(lambda z, y: z.argmax(dim=1) == y)[0])
    return answer


def check_values(loss: float, accuracy: float, answer: Answer) -> None:
    """Loss and accuracy are averages over the images."""
    right_loss, right_accuracy = close(loss, answer.loss), close(accuracy, answer.accuracy)
    if right_loss and right_accuracy:
        return
    if close(loss, answer.accuracy) and close(accuracy, answer.loss):
        raise FaultFound(
            "The two values are in the wrong order: the accuracy comes first.",
            "Return loss, accuracy.",
        )
    of_loss = _average(loss, answer.losses, answer.sizes)
    of_accuracy = _average(accuracy, answer.accuracies, answer.sizes)
    if of_loss and of_loss == of_accuracy:
        raise FaultFound(f"Loss and accuracy are each {of_loss}.", _WRONG_AVERAGES[of_loss][1])
    if not right_loss:
        raise _name_loss(loss, of_loss, answer)
    raise _name_accuracy(accuracy, of_accuracy, answer)


def _average(found: float, means: list[float], sizes: list[int]) -> str | None:
    return next((w for w, (f, _) in _WRONG_AVERAGES.items() if close(found, f(means, sizes))), None)


def _name_loss(found: float, average: str | None, answer: Answer) -> FaultFound:
    if average:
        return FaultFound(f"The loss is {average}.", _WRONG_AVERAGES[average][1])
    for name, formula in WRONG_LOSSES.items():
        means = [
            answer.reference.loss(answer.state, batch, formula, training=False)
            for batch in answer.batches
        ]
        fits = close(found, mean_over_images(means, answer.sizes))
        if fits or _average(found, means, answer.sizes):
            return FaultFound(f"The loss is {name}.", CROSS_ENTROPY)
    return _plain("loss", found, answer.loss)


def _name_accuracy(found: float, average: str | None, answer: Answer) -> FaultFound:
    right = answer.accuracy
    if close(found, 100 * right):
        return FaultFound("The accuracy is in percent. It should be a fraction of 1.")
    if close(found, right * sum(answer.sizes)):
        return FaultFound(
            "The accuracy is the number of right answers. It should be their share.",
            "Divide by the number of images.",
        )
    if close(found, 1 - right):
        return FaultFound("The accuracy is the share of wrong answers: the error rate.")
    if average:
        return FaultFound(f"The accuracy is {average}.", _WRONG_AVERAGES[average][1])
    pairs = answer.shares(lambda z, y: z.argmax(dim=1, keepdim=True) == y)
    if any(close(found, mean_over_images(values, answer.sizes)) for values in pairs):
        return FaultFound(
            "The accuracy counts every pair of an answer and a label: a column (N, 1) and a row "
            "(N,) are compared as a table (N, N).",
            "Compare tensors of one shape: leave keepdim=True out, or squeeze the column.",
        )
    return _plain("accuracy", found, right)


def _plain(name: str, found: float, right: float) -> FaultFound:
    if found == right // 1:
        return FaultFound(
            f"The {name} has lost its decimal places: it is {found:g}, by hand {right:.4g}.",
            "// divides whole numbers; / is the division that is meant.",
        )
    if rounding := rounded(found, right):
        return FaultFound(f"The {name} is {rounding}.", "Round where it is printed.")
    return FaultFound(f"The {name} is {found:.4g}. By hand it is {right:.4g}.")

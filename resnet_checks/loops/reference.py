"""The same by hand: losses, gradients and updates of the probe, in double precision."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import vector_to_parameters

from resnet_checks.loops.events import State
from resnet_checks.loops.probe import CLASSES, LEARNING_RATE, MOMENTUM, Probe

Loss = Callable[[Tensor, Tensor], Tensor]

# Above what single precision leaves of a loss, below a weight decay of 1e-4.
_TOLERANCE = 3e-6


def _one_hot(labels: Tensor) -> Tensor:
    return F.one_hot(labels, CLASSES).double()


CROSS_ENTROPY = "Call F.cross_entropy on the scores as the model puts them out."

# Losses that are computed in place of the mean cross-entropy, in words.
WRONG_LOSSES: dict[str, Loss] = {
    "the cross-entropy of probabilities: softmax is applied before cross_entropy, which applies "
    "it itself": lambda z, y: F.cross_entropy(z.softmax(dim=1), y),
    "the cross-entropy of a softmax over the images: softmax(0) is applied before cross_entropy, "
    "which applies its own over the classes": lambda z, y: F.cross_entropy(z.softmax(dim=0), y),
    "nll_loss of a log_softmax over the images, dim 0, in place of the classes, dim 1": (
        lambda z, y: F.nll_loss(z.log_softmax(dim=0), y)
    ),
    "the cross-entropy of sigmoids: sigmoid is applied before cross_entropy": lambda z, y: (
        F.cross_entropy(z.sigmoid(), y)
    ),
    "nll_loss of the scores: it takes log-probabilities": F.nll_loss,
    "nll_loss of probabilities: it takes their logarithms": lambda z, y: F.nll_loss(
        z.softmax(dim=1), y
    ),
    "the squared error of the scores": lambda z, y: F.mse_loss(z, _one_hot(y)),
    "the squared error of the probabilities": lambda z, y: F.mse_loss(
        z.softmax(dim=1), _one_hot(y)
    ),
    "a binary cross-entropy for each class": lambda z, y: F.binary_cross_entropy_with_logits(
        z, _one_hot(y)
    ),
    "a hinge loss": F.multi_margin_loss,
    "the cross-entropy against the model's own predictions": lambda z, y: F.cross_entropy(
        z, z.argmax(dim=1)
    ),
}


class Reference:
    """The probe, computed apart from the reader's code, at the states that were noted."""

    def __init__(self, model: Probe):
        self.model = copy.deepcopy(model)
        self.model.recorder = None
        self.sizes = [p.numel() for p in self.model.parameters()]

    def scores(self, state: State, images: Tensor, training: bool = True) -> Tensor:
        """The model's scores at a state; they can be differentiated."""
        vector_to_parameters(state.parameters.clone(), self.model.parameters())
        for name, buffer in self.model.named_buffers():
            buffer.copy_(state.buffers[name])
        return self.model.train(training)(images)

    def loss(
        self,
        state: State,
        batch: tuple[Tensor, Tensor],
        loss: Loss = F.cross_entropy,
        training: bool = True,
    ) -> float:
        with torch.no_grad():
            return loss(self.scores(state, batch[0], training), batch[1]).item()

    def gradient(
        self, state: State, batch: tuple[Tensor, Tensor], loss: Loss = F.cross_entropy
    ) -> Tensor:
        """The gradient of the loss in train mode, in one row."""
        value = loss(self.scores(state, batch[0]), batch[1])
        gradients = torch.autograd.grad(value, list(self.model.parameters()))
        return torch.cat([gradient.flatten() for gradient in gradients])

    def buffers(self, state: State, images: Tensor) -> dict[str, Tensor]:
        """The buffers after one forward pass in train mode."""
        self.scores(state, images)
        return {name: buffer.clone() for name, buffer in self.model.named_buffers()}

    def agree(self, seen: Tensor, right: Tensor) -> bool:
        """Whether two rows are equal up to rounding, each parameter on its own scale."""
        floor = 0.03 * right.abs().max()
        return all(
            (s - r).abs().max() <= _TOLERANCE * (r.abs().max() + floor)
            for s, r in self._pairs(seen, right)
        )

    def factor(self, seen: Tensor, right: Tensor) -> float | None:
        """The c of seen = c·right, or None where there is none."""
        factor = float(seen @ right / (right @ right)) if right.any() else 0.0
        return factor if factor and self.agree(seen, factor * right) else None

    def gap(self, seen: Tensor, right: Tensor) -> str:
        """How far apart two rows are, and at which parameter."""
        gaps = [(s - r).abs().max() for s, r in self._pairs(seen, right)]
        names = [name for name, _ in self.model.named_parameters()]
        place = names[int(torch.stack(gaps).argmax())]
        return f"the largest difference is {max(gaps):.1g}, in `{place}`"

    def _pairs(self, seen: Tensor, right: Tensor) -> zip:
        return zip(seen.split(self.sizes), right.split(self.sizes), strict=True)


def close(seen: float, right: float) -> bool:
    """Whether two numbers are equal, up to what single precision leaves of them."""
    return abs(seen - right) <= 1e-5 * abs(right) + 1e-9


class Momentum:
    """SGD with momentum by hand: v ← μ·v + g, then w ← w − η·v."""

    def __init__(self) -> None:
        self.velocity: Tensor | float = 0.0

    def step(self, parameters: Tensor, gradient: Tensor) -> Tensor:
        """The parameters after an update."""
        self.velocity = MOMENTUM * self.velocity + gradient
        return parameters - LEARNING_RATE * self.velocity

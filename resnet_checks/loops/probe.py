"""The model and the batches that the checks of loops bring along."""

from typing import Any

import torch
from torch import Tensor, nn

from resnet_checks.comparing import random_values

CLASSES = 5
LEARNING_RATE = 1e-3
MOMENTUM = 0.9


class Probe(nn.Module):
    """A small classifier of (N, 3, 6, 5) images, in double precision.

    Its features are large and its classifier's weights small. So the gradient is long enough for
    clipping to show, while no softmax saturates.

    Attributes:
        recorder: is told of each forward pass, if there is one.
    """

    def __init__(self, norm: bool = True):
        super().__init__()
        self.recorder: Any = None
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.head = nn.Linear(4, CLASSES)
        self.double()
        for number, parameter in enumerate(self.parameters()):
            values = random_values(*parameter.shape, seed=20 + number).double()
            with torch.no_grad():
                parameter.copy_(0.5 * values)
        with torch.no_grad():
            self.head.weight.mul_(0.03)
            if norm:
                self.norm.weight.mul_(40).add_(40 * self.norm.weight.sign())
            else:
                self.conv.weight.mul_(20)

    def forward(self, images: Tensor) -> Tensor:
        if self.recorder is not None:
            self.recorder.note_forward(self, images)
        # Single precision in, double within: the reader may cast images, and rounding stays small.
        features = torch.relu(self.norm(self.conv(images.to(self.conv.weight.dtype))))
        scores = self.head(features.mean(dim=(2, 3)))
        if self.recorder is not None:
            self.recorder.note_scores(scores)
        return scores


def make_batch(size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images in single precision, and labels."""
    images = random_values(size, 3, 6, 5, seed=seed)
    images += 0.5 * random_values(size, 3, 1, 1, seed=10 + seed)  # or their means are all alike
    labels = torch.arange(size, device="cpu") ** 2 + seed  # some classes more often than others
    return images, labels % CLASSES


def make_optimizer(model: nn.Module) -> torch.optim.SGD:
    """SGD with momentum, which remembers the gradients of the steps before."""
    return torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

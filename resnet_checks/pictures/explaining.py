"""What was done to a picture before it reached the network? The simplest way that fits is named."""

from collections.abc import Callable

import torch
from torch import Tensor

from resnet_checks.observing import is_plain
from resnet_checks.pictures.files import Picture
from resnet_lib.weights import ModelCard

# Readers and filters that are right differ by a few steps of 255.
_TOLERANCE = 5 / 255

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Undone = Callable[[Tensor, Tensor, Tensor], Tensor]

# How numbers were made from pixels p, in words, and how p comes back from them.
_SCALES: dict[str, Undone] = {
    "": lambda x, m, s: x * s + m,
    "its numbers lie between 0 and 1: the card's mean and deviation are not applied": (
        lambda x, m, s: x
    ),
    "its numbers lie between 0 and 255: they are neither divided by 255 nor normalised": (
        lambda x, m, s: x / 255
    ),
    "its bytes are normalised without being divided by 255, though the card's mean and deviation "
    "are on a scale from 0 to 1": lambda x, m, s: (x * s + m) / 255,
    "it is normalised twice": lambda x, m, s: (x * s + m) * s + m,
    "it is divided by 255 twice": lambda x, m, s: (x * s + m) * 255,
    "the mean is taken off, and nothing is divided by the deviation": lambda x, m, s: x + m,
    "it is divided by the deviation, and the mean is not taken off": lambda x, m, s: x * s,
    "mean and deviation stand in each other's place": lambda x, m, s: x * m + s,
    "it is multiplied by the deviation, not divided": lambda x, m, s: x / s + m,
    "it is normalised with ImageNet's mean and deviation, not the card's": (
        lambda x, m, s: x * _channels(_IMAGENET[1]) + _channels(_IMAGENET[0])
    ),
    "it is normalised with 0.5 and 0.5, not with the card's mean and deviation": (
        lambda x, m, s: x * 0.5 + 0.5
    ),
    "it is normalised with the card's mean and deviation in another order of the channels": (
        lambda x, m, s: x * s.flip(0) + m.flip(0)
    ),
}

# What was done to the pixels (3, H, W).
_CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda p: p,
    "red and blue are swapped": lambda p: p.flip(0),
    "rows and columns are swapped": lambda p: p.transpose(1, 2),
    "it is mirrored": lambda p: p.flip(2),
    "it stands upside down": lambda p: p.flip(1),
    "its colours are gone": lambda p: _grey(p),
    "its numbers (H, W, 3) are reshaped to (3, H, W), not permuted": (
        lambda p: p.permute(1, 2, 0).reshape(p.shape)
    ),
}


def explain(found: Tensor, picture: Picture, card: ModelCard) -> str | None:
    """What was done wrong to a picture, in words; "" for nothing, None for what is not known.

    Args:
        found: (3, H, W), of the right size, as the network was given it.
    """
    if not is_plain(found):
        return None
    mean, std = _channels(card.mean), _channels(card.std)
    found = found.detach().cpu().float()
    for scale, undo in _SCALES.items():
        pixels = undo(found, mean, std)
        changed = {words: change(picture.right) for words, change in _CHANGES.items()}
        read = {f"it is {words}": value for words, value in picture.wrong.items()}
        for words, value in (changed | read).items():
            if _near(pixels, value):
                return ", and ".join(part for part in (scale, words) if part)
    own = picture.right.mean(dim=(1, 2), keepdim=True), picture.right.std(dim=(1, 2), keepdim=True)
    if _near(found * own[1] + own[0], picture.right):
        return "it is normalised with its own mean and deviation, not with the card's"
    return None


def scaled(pixels: Tensor, card: ModelCard) -> Tensor:
    """The right numbers of pixels from 0 to 1."""
    return (pixels - _channels(card.mean)) / _channels(card.std)


def _near(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and bool((one - two).abs().mean() < _TOLERANCE)


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values)[:, None, None]  # (3, 1, 1)


def _grey(pixels: Tensor) -> Tensor:
    shares = torch.tensor((0.299, 0.587, 0.114))[:, None, None]
    return (pixels * shares).sum(dim=0, keepdim=True).expand(3, -1, -1)

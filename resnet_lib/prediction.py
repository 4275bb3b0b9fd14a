"""What a trained network takes pictures for: from a file, a folder or a tensor to class names."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from PIL import Image
from torch import Tensor, nn

from resnet_lib.arguments import check_choice, check_module, check_positive
from resnet_lib.data import Normalize
from resnet_lib.data.folder_layout import is_ignored
from resnet_lib.data.pictures import is_picture, read_pictures
from resnet_lib.train import device_of, eval_mode

__all__ = ["Card", "Prediction", "predict"]

# As text, because the pages are built where Image and Tensor are mocks.
Picture: TypeAlias = "str | os.PathLike | Image.Image | Tensor"
PICTURES = (str, os.PathLike, Image.Image, Tensor)
Named: TypeAlias = "Iterator[tuple[str, Picture]]"


class Card(Protocol):
    """What has to be known of a network's input and output; a `weights.ModelCard` is one.

    Attributes:
        classes: the classes' names, in the order of the scores; empty: their numbers are taken.
        image: shape (C, H, W) of the pictures that the network was trained on: 1 or 3, and H = W.
        mean, std: what `data.Normalize` takes.
    """

    classes: Sequence[str]
    image: Sequence[int]
    mean: Sequence[float]
    std: Sequence[float]


@dataclass(frozen=True)
class Prediction:
    """What the network takes one picture for.

    Attributes:
        source: the picture's file, or its number in the list or batch.
        classes: names of the likeliest classes, the likeliest first.
        probabilities: the softmax of their scores, from 0 to 1. How far to trust them is another
            question: a network is sure of pictures, too, that show none of its classes.
        fault: why the picture could not be read, without classes then; else empty.
    """

    source: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    fault: str = ""


@torch.no_grad()
def predict(
    model: nn.Module,
    pictures: "Picture | Iterable[Picture]",
    card: Card,
    *,
    top: int = 3,
    batch_size: int = 64,
    device: str | torch.device | None = None,
) -> list[Prediction]:
    """What the network takes pictures for, in eval mode and in the model's own precision.

    Each picture is read and brought to the card's size by `data.read_picture`, as for a training,
    and normalised as the card says. The model keeps its modes and its place.

    Args:
        model: gives (N, K) scores for (N, C, H, W) images.
        pictures: a file; a folder, of which all pictures are taken, at any depth, in the order of
            their names; bytes as a tensor (C, H, W) or (N, C, H, W); a PIL image; or several of
            these. Tensors and PIL images are called by their number.
        card: a `weights.ModelCard`, or what has its `classes`, `image`, `mean` and `std`.
        top: how many classes to name; all, where there are no more.
        batch_size: pictures that go through the network at once.
        device: where to compute; None: where the model is. Elsewhere a copy of it runs.

    Returns:
        One `Prediction` for each picture. A file that cannot be read is none of the errors below:
        its `fault` says why.

    Raises:
        TypeError: `pictures` holds what is no picture, the card lacks an entry, or the model is no
            module or gives no scores.
        FileNotFoundError: `pictures` is a path at which there is nothing.
        ValueError: a number is out of range; there is no picture; the card says too little, or
            something else than the model or a tensor; or a score is not finite.
    """
    check_module("model", model)
    check_positive(top=top, batch_size=batch_size)
    channels, size = _checked_image(card)
    normalize = Normalize(card.mean, card.std)
    device = device_of(model) if device is None else torch.device(device)
    if device != device_of(model):
        model = copy.deepcopy(model).to(device)
    normalize.to(device)
    found: list[Prediction] = []
    named = _named(pictures)
    with eval_mode(model):
        while some := list(islice(named, batch_size)):
            images, faults = _read([picture for _, picture in some], channels, size)
            probabilities = _probabilities(model, normalize(images.to(device)))
            for row, (name, _) in enumerate(some):
                if row in faults:
                    found.append(Prediction(name, fault=faults[row]))
                else:
                    best = _likeliest(probabilities[row], card.classes, top)
                    found.append(Prediction(name, *best))
    if not found:
        raise ValueError(f"pictures must hold at least one picture, got none: {pictures!r:.200}")
    return found


def _checked_image(card: Card) -> tuple[int, int]:
    """Channels and side of the network's input."""
    for name in ("classes", "image", "mean", "std"):
        if not hasattr(card, name):
            raise TypeError(f"card must have {name}, and {type(card).__name__} has not")
    shape = tuple(card.image)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"card.image must be the shape (C, H, W) of a square, got {shape}")
    check_choice("the channels of card.image", shape[0], (1, 3))
    check_positive(**{"the side of card.image": shape[1]})
    if not len(card.mean) == len(card.std) == shape[0]:
        raise ValueError(
            f"card.mean and card.std must be {shape[0]} numbers, as card.image has channels, got "
            f"{len(card.mean)} and {len(card.std)}"
        )
    return shape[0], shape[1]


def _named(pictures: Any) -> Named:
    """Each picture with what it is called; folders are entered."""
    if isinstance(pictures, str | os.PathLike) and not Path(pictures).exists():
        raise FileNotFoundError(f"pictures names no file or folder: {pictures}")
    is_batch = isinstance(pictures, Tensor) and pictures.dim() != 3
    several = [pictures] if isinstance(pictures, PICTURES) and not is_batch else pictures
    if not isinstance(several, Iterable):
        raise TypeError(
            "pictures must be a path, a tensor of bytes, a PIL image or several of these, got "
            f"{type(pictures).__name__}"
        )
    for number, one in enumerate(several):
        if not isinstance(one, PICTURES):
            raise TypeError(f"pictures must hold pictures, got {type(one).__name__}")
        if isinstance(one, str | os.PathLike):
            place = Path(one)
            yield from _in_folder(place) if place.is_dir() else [(str(place), place)]
        else:
            yield str(number), one


def _in_folder(folder: Path) -> Named:
    for path in sorted(folder.rglob("*")):
        ignored = any(is_ignored(part) for part in path.relative_to(folder).parts)
        if path.is_file() and not ignored and is_picture(path):
            yield str(path), path


def _read(pictures: list[Picture], channels: int, size: int) -> tuple[Tensor, dict[int, str]]:
    """Bytes (N, C, size, size); and by row why a picture cannot be read, which is black then."""
    images = torch.zeros(len(pictures), channels, size, size, dtype=torch.uint8)
    sources = [_for_pillow(one, channels) if isinstance(one, Tensor) else one for one in pictures]
    return images, read_pictures(sources, images)[0]


def _for_pillow(image: Tensor, channels: int) -> Image.Image:
    if image.dtype != torch.uint8 or image.dim() != 3 or len(image) != channels:
        raise ValueError(
            f"a tensor among the pictures must be bytes ({channels}, H, W), with the card's "
            f"number of channels, got {tuple(image.shape)} of {image.dtype}"
        )
    pixels = image.permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def _probabilities(model: nn.Module, images: Tensor) -> Tensor:
    parameter = next((p for p in model.parameters() if p.is_floating_point()), images)
    scores = model(images.to(parameter.dtype))
    if not isinstance(scores, Tensor) or scores.dim() != 2:
        came = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise TypeError(f"model must give a tensor of scores (N, K), got {came}")
    if not scores.isfinite().all():
        raise ValueError("model gives scores that are not finite: its weights may be damaged")
    return scores.float().softmax(dim=1).cpu()  # (N, K)


def _likeliest(
    probabilities: Tensor, classes: Sequence[str], top: int
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    names = tuple(classes) or tuple(map(str, range(len(probabilities))))
    if len(names) != len(probabilities):
        raise ValueError(
            f"card.classes must name the model's {len(probabilities)} classes, got {len(names)}"
        )
    best, numbers = probabilities.topk(min(top, len(names)))
    return tuple(names[number] for number in numbers), tuple(best.tolist())

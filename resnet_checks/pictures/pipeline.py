"""Does the reader's function bring a picture file to the network as it was trained, and back?"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_checks.limits import LONG
from resnet_checks.pictures.explaining import explain, scaled
from resnet_checks.pictures.files import CLASSES, SIZE, Picture, odd, plain, wide
from resnet_checks.report import FaultFound, Report, require_function, write_report
from resnet_checks.running import attempt, isolated
from resnet_lib.weights import ModelCard

__all__ = ["pipeline"]

PREDICT, LOAD = "predict(model, file, card)", "load(folder, card)"
# Far from each other and from the usual ones, so that each mistake shows.
_CARD = ModelCard("", CLASSES, (3, SIZE, SIZE), (0.35, 0.5, 0.6), (0.2, 0.26, 0.32), Path())


def pipeline(predict: Callable, load: Callable | None = None) -> Report:
    """Check that `predict(model, file, card)` brings a picture file to its class.

    It is to read the file upright, in red, green and blue, on white ground; to take the middle
    square at the card's size; to normalise it as the card says; to ask the model once, in eval
    mode; and to return the name of the class with the highest score. The card is a
    `weights.ModelCard` with `classes`, `image` (3, H, W), `mean` and `std`, the last two on a scale
    from 0 to 1. With `load`, the pictures of a training are compared too: training and use have to
    be alike.

    Args:
        predict: the reader's function, called with three positional arguments.
        load: the reader's function, called as `load(folder, card)`. The folder holds one folder
            per class, named as the class is. It returns images (N, 3, H, W), ready for the
            network and not augmented, and labels (N,): places in `card.classes`.

    Raises:
        TypeError: `predict` or `load` cannot be called, or is a class or a module.
    """
    require_function(predict, "predict", PREDICT)
    if load is not None:
        require_function(load, "load", LOAD)
    return write_report("Picture pipeline", _steps(predict, load))


class _Watched(nn.Module):
    """Scores by the mean colour, through a batch norm; notes what it is given, and its mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, len(CLASSES))
        self.given: list[tuple[object, bool]] = []
        colors = torch.tensor([[1.0, 1, -2], [2.0, -2, -1], [-2.0, 2, 0], [-1.0, -2, 2]])
        with torch.no_grad():
            self.fc.weight.copy_(colors)
            self.fc.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        self.given.append((images, any(part.training for part in self.modules())))
        return self.fc(self.norm(images).mean(dim=(2, 3)))


def _steps(predict: Callable, load: Callable | None) -> Iterator[str]:
    with isolated(), tempfile.TemporaryDirectory() as scratch:
        files = [plain(Path(scratch), "melon"), wide(Path(scratch), "fig")]
        trained = _loaded(load, Path(scratch) / "set") if load else None
        _check_alike({p.kind: _ask(predict, p)[0] for p in files}, trained)
        yield "the network is given each picture as the card says, of any size"
        if load:
            yield "training and use are alike, and the labels are places in card.classes"
        yield "the model runs once, in eval mode"
        for picture in odd(Path(scratch)):
            if words := _ask(predict, picture)[0]:
                raise FaultFound(f"A picture {picture.kind}: {words}.", _READ)
            files.append(picture)
        yield "transparency, orientation, grey and palettes are read as they are meant"
        _check_names(predict, files)
        yield "it returns the name of the class with the highest score"


_READ = "ImageOps.exif_transpose turns it; Image.alpha_composite lays it on white; then convert."
_SCALE = "It is (byte / 255 − mean) / std, once, with the card's mean and std for each channel."


def _ask(predict: Callable, picture: Picture) -> tuple[str, object]:
    """What was done wrong to one picture, in words, and the answer."""
    model = _Watched()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    action = f"{PREDICT}, for a picture {picture.kind},"
    hint = f"It is called as {PREDICT}."
    try:
        answer = attempt(action, lambda: predict(model, picture.path, _CARD), hint)
    except FaultFound:
        if model.given:  # a wrong shape says more than what it makes PyTorch raise
            _explained(model.given[0][0], picture)
        raise
    if not model.given:
        raise FaultFound("The model that was given is never called.")
    image, training = model.given[0]
    words = _explained(image, picture)
    if training:
        raise FaultFound(
            "The model is in train mode: batch norm normalises by this one picture.",
            "Call model.eval() before.",
        )
    if len(model.given) > 1:
        raise FaultFound(f"The model runs {len(model.given)} times for one picture.")
    if any(not torch.equal(value, before[name]) for name, value in model.state_dict().items()):
        raise FaultFound("The model's weights or running statistics change.")
    return words, answer


def _explained(images: Any, picture: Picture) -> str:
    """What was wrong with what the model was given for one picture; empty for nothing."""
    shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
    right = (1, 3, SIZE, SIZE)
    if shape == right:
        words = explain(images[0], picture, _CARD)
        return "it is not the picture as the card says" if words is None else words
    known = {
        right[1:]: "The first dimension, that of the batch, is missing: image[None] adds it.",
        (1, SIZE, SIZE, 3): "The channels stand last. PyTorch has them before the rows: permute.",
    }
    raise FaultFound(
        f"For a picture {picture.kind} the model is given {shape}, not {right}.", known.get(shape)
    )


def _check_alike(ways: dict[str, str], trained: dict[str, str] | None) -> None:
    for kind, words in ways.items():
        other = words if trained is None else trained[kind]
        if other != words:
            said = [text or "it is as the card says" for text in (other, words)]
            raise FaultFound(
                f"Training and use are not alike. A picture {kind}: in training {said[0]}; in use "
                f"{said[1]}.",
                "Let one function prepare the pictures for both.",
            )
        if words:
            where = "" if trained is None else ", in training and in use"
            geometry = "square" in words or "smaller" in words or "cropped" in words
            hint = "Bring the shorter side to the size, antialiased, and keep the middle square."
            raise FaultFound(f"A picture {kind}{where}: {words}.", hint if geometry else _SCALE)


def _loaded(load: Callable, folder: Path) -> dict[str, str]:
    """What was done to the pictures of a training, by their kind, when the labels are right."""
    pictures = []
    for number, name in enumerate(CLASSES):
        place = folder / name
        place.mkdir(parents=True)
        pictures += [plain(place, name, 10 + number), wide(place, name, 20 + number)]
    found = attempt(LOAD, lambda: load(folder, _CARD), f"It is called as {LOAD}.", LONG)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise FaultFound(f"{LOAD} returned {type(found).__name__}, not images and labels.")
    images, labels = found
    right = (len(pictures), 3, SIZE, SIZE)
    shape = tuple(getattr(images, "shape", ()))
    if not isinstance(images, Tensor) or shape != right:
        raise FaultFound(f"{LOAD} returned images {shape or type(images).__name__}, not {right}.")
    kind = isinstance(labels, Tensor) and not labels.is_floating_point()
    if not kind or tuple(labels.shape) != right[:1]:
        raise FaultFound(f"{LOAD} returned labels that are no {right[:1]} whole numbers.")
    return _matched(images, labels.tolist(), pictures)


def _matched(images: Tensor, labels: list[int], pictures: list[Picture]) -> dict[str, str]:
    """Find out which image is which picture; its label is the place of its class."""
    ways, right = {}, []
    for image in images:
        known = ((picture, explain(image, picture, _CARD)) for picture in pictures)
        found = next(((p, words) for p, words in known if words is not None), None)
        if found is None:
            raise FaultFound(
                f"{LOAD} returned an image that is no picture as the card says.", _SCALE
            )
        ways[found[0].kind] = found[1]
        right.append(CLASSES.index(found[0].name))
    if len(set(right)) < len(CLASSES) or len(ways) < 2:
        raise FaultFound(f"{LOAD} returned some pictures several times, and others not.")
    _check_labels(labels, right)
    return ways


def _check_labels(labels: list[int], right: list[int]) -> None:
    if labels == right:
        return
    shifts = {(found - label) for found, label in zip(labels, right, strict=True)}
    by_name = [sorted(CLASSES).index(CLASSES[label]) for label in right]
    what = "The labels do not fit the pictures: they are not in the pictures' order."
    if len(shifts) == 1 or {shift % len(CLASSES) for shift in shifts} == {shifts.pop() % 4}:
        what = f"The labels are shifted: for the first picture it is {labels[0]}, not {right[0]}."
    elif labels == by_name:
        what = "The labels follow the order of the alphabet, not that of card.classes."
    raise FaultFound(what, "A label is a place in card.classes: card.classes.index(name).")


def _check_names(predict: Callable, pictures: list[Picture]) -> None:
    """The answers are the names of the classes with the highest scores."""
    model = _Watched().eval()
    answers, right, low = [], [], []
    for picture in pictures:
        answers.append(_ask(predict, picture)[1])
        with torch.no_grad():
            scores = model(scaled(picture.right, _CARD)[None])[0]
        right.append(int(scores.argmax()))
        low.append(int(scores.argmin()))
    if answers == [CLASSES[place] for place in right]:
        return
    raise _wrong_names(answers, right, low)


def _wrong_names(answers: list, right: list[int], low: list[int]) -> FaultFound:
    if answers[0] is None:
        return FaultFound("It returns None, not the name of a class.", "Is a `return` missing?")
    if not all(isinstance(answer, str) for answer in answers):
        kind = type(answers[0]).__name__
        hint = "card.classes has the names, in the order of the scores."
        return FaultFound(f"It returns an object of type {kind}, not the name of a class.", hint)
    for shift in range(1, len(CLASSES)):
        if answers == [CLASSES[(place + shift) % len(CLASSES)] for place in right]:
            return FaultFound("The name is that of another place: the classes are shifted.")
    if answers == [sorted(CLASSES)[place] for place in right]:
        return FaultFound(
            "The names are taken in the order of the alphabet, not in that of card.classes.",
            "The card's order is that of the scores.",
        )
    if answers == [CLASSES[place] for place in low]:
        return FaultFound("It returns the class with the lowest score.", "Look for argmin.")
    wrong = next(n for n, place in enumerate(right) if answers[n] != CLASSES[place])
    return FaultFound(
        f"It returns {answers[wrong]!r} where the highest score is that of "
        f"{CLASSES[right[wrong]]!r}."
    )

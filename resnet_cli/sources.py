"""Data sets by name, and what is done to their images on the way into the network."""

import hashlib
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from resnet_cli import fields
from resnet_cli.faults import Failure, UsageError, in_one_line
from resnet_lib import data
from resnet_lib.train import World

# A picture of a folder is held at the size of the network's input: from a smaller box it would be
# enlarged more than twice.
LEAST_BOX = 0.25
FOLDER_SIZE = 64


Part = tuple[Tensor, Tensor]  # images and labels


class Parts(NamedTuple):
    """Images and labels to train with, to evaluate after each epoch, and to evaluate at the end.

    `judge` is the word for the second part: "validation", or "test" where it is the third.
    """

    train: Part
    judged: Part
    test: Part
    judge: str


def load(settings: dict[str, Any], world: World) -> data.ImageData:
    """The data set that the settings name; process 0 loads, or downloads, it before the others.

    Raises:
        UsageError: a setting is not allowed.
        Failure: data are missing or damaged.
    """
    found, fault = None, None
    if world.is_main:
        try:
            found = _load(settings)
        except (UsageError, Failure) as error:
            fault = error
            fault.everywhere = True
    fault = world.share(fault)
    if fault is not None:
        raise fault
    return found or _load(settings)


def split(images: data.ImageData, validation: float) -> Parts:
    """Hold a share of each class's training images out, the same ones in each run.

    Raises:
        UsageError: a class has too few images for that.
    """
    train = images.train_images, images.train_labels
    test = images.test_images, images.test_labels
    if not validation:
        return Parts(train, test, test, "test")
    # Here, because it takes a second to import, in every process.
    from sklearn.model_selection import train_test_split

    try:
        rows = train_test_split(
            torch.arange(len(train[1])), test_size=validation, random_state=0, stratify=train[1]
        )
    except ValueError:
        raise UsageError(
            f"argument --validation: must leave images of each of the {len(images.classes)} "
            f"classes on both sides, got {validation} of {len(train[1]):,} images"
        ) from None
    kept, held_out = ((train[0][some], train[1][some]) for some in rows)
    return Parts(kept, held_out, test, "validation")


def transforms(
    settings: dict[str, Any], size: int, mean: list[float], std: list[float]
) -> tuple[nn.Module, nn.Module]:
    """What is done to images in training, and in evaluation.

    Raises:
        UsageError: `color_jitter` is not allowed.
        Failure: a channel is the same everywhere, so that it cannot be normalised.
    """
    try:
        normalize = data.Normalize(mean, std)
    except ValueError as error:
        raise Failure(f"the images of {settings['data']} are all alike: {error}") from None
    steps: list[nn.Module] = []
    if settings["augment"]:
        name = settings["data"]
        if name == "digits":
            steps.append(data.RandomCrop(1))
        elif name == "cifar10":
            steps += [data.RandomCrop(4), data.RandomFlip()]
        else:
            steps += [data.RandomResizedCrop(size, scale=(LEAST_BOX, 1)), data.RandomFlip()]
    if settings["color_jitter"] is not None:
        try:
            steps.append(data.ColorJitter(*settings["color_jitter"]))
        except ValueError as error:
            raise UsageError(f"argument --color-jitter: {error}") from None
    return nn.Sequential(*steps, normalize), normalize


def describe(images: data.ImageData) -> dict[str, Any]:
    """What a run keeps of its data."""
    return {
        "classes": list(images.classes),
        "image": list(images.train_images.shape[1:]),
        "train_images": len(images.train_labels),
        "test_images": len(images.test_labels),
        "skipped": list(images.skipped),
        "mean": list(images.mean),
        "std": list(images.std),
        "sha256": fingerprint(images),
    }


def fingerprint(images: data.ImageData) -> str:
    """A checksum of all images, as bytes, and labels."""
    found = hashlib.sha256()
    for pixels, labels in (
        (images.train_images, images.train_labels),
        (images.test_images, images.test_labels),
    ):
        if pixels.is_floating_point():
            # The last bits of fractions depend on the machine.
            pixels = (pixels * 255).round().to(torch.uint8)
        found.update(str(tuple(pixels.shape)).encode())
        found.update(pixels.contiguous().numpy())
        found.update(labels.numpy())
    return found.hexdigest()


def _load(settings: dict[str, Any]) -> data.ImageData:
    name, size = settings["data"], settings["size"]
    try:
        if name == "digits":
            return _digits(8 if size is None else size)
        if name == "cifar10":
            return data.cifar10(settings["data_root"])
        skip = settings["skip_unreadable"]
        return data.image_folder(name, FOLDER_SIZE if size is None else size, skip_unreadable=skip)
    except ValueError as error:
        word, _, rest = str(error).partition(" ")
        if word == "size":
            raise UsageError(f"argument {fields.option(word)}: {rest}") from None
        raise Failure(in_one_line(error)) from None
    except OSError as error:
        raise Failure(in_one_line(error)) from None


def _digits(size: int) -> data.ImageData:
    """Digits as they were before normalising, so that a shift brings in paper, not grey."""
    found = data.digits(size)
    raw = {
        name: (getattr(found, name) * found.std + found.mean).clamp(0, 1)
        for name in ("train_images", "test_images")
    }
    return data.ImageData(
        raw["train_images"],
        found.train_labels,
        raw["test_images"],
        found.test_labels,
        tuple("0123456789"),
        (found.mean,),
        (found.std,),
    )

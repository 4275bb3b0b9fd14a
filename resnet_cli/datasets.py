"""Data sets by name, their parts, and what is done to their images on the way into the network."""

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resnet_cli.errors import Failure, UsageError
from resnet_cli.library_errors import in_words, refusal
from resnet_cli.run_folder import DataFacts
from resnet_cli.settings import FOLDER_SIZE, DataSettings, TrainSettings
from resnet_lib import data
from resnet_lib.train import World

Part = tuple[Tensor, Tensor]  # images and labels


class Parts(NamedTuple):
    """Images and labels to train with, to evaluate after each epoch, and to evaluate at the end.

    `judge` is the word for the second part: "validation", or "test" where it is the third.
    """

    train: Part
    judged: Part
    test: Part
    judge: str


def load(settings: DataSettings, world: World) -> data.ImageData:
    """The data set that the settings name; process 0 loads, or downloads, it before the others.

    Raises:
        UsageError: a setting is not allowed.
        Failure: data are missing or damaged.
    """
    found, fault = None, None
    if world.is_main:
        try:
            found = _load(settings)
        except UsageError as error:
            fault = error
        except Failure as error:
            fault = Failure(str(error), everywhere=True)
    fault = world.share(fault)
    if fault is not None:
        raise fault
    return found or _load(settings)


def parts_of(images: data.ImageData) -> dict[str, Part]:
    """The parts that the data set has, by name."""
    parts = {
        "train": (images.train_images, images.train_labels),
        "validation": (images.validation_images, images.validation_labels),
        "test": (images.test_images, images.test_labels),
    }
    return {name: part for name, part in parts.items() if part[0] is not None}  # type: ignore[misc]


def split(images: data.ImageData, validation: float) -> Parts:
    """The parts of a training; a share of each class may be held out, the same in each run.

    Raises:
        UsageError: a class has too few images for that, or there is a validation part already.
    """
    own = parts_of(images)
    train, test = own["train"], own["test"]
    if validation and "validation" in own:
        raise UsageError("argument --validation: the folder has a validation part: leave it out")
    if not validation:
        judge = "validation" if "validation" in own else "test"
        return Parts(train, own[judge], test, judge)
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


def transforms(settings: TrainSettings, about: DataFacts) -> tuple[nn.Module, nn.Module]:
    """What is done to images in training, and in evaluation.

    Raises:
        UsageError: `color_jitter`, `mean` or `std` is not allowed.
        Failure: a channel is the same everywhere, so that it cannot be normalised.
    """
    normalize = normalization(settings, about.mean, about.std, about.image[0])
    steps: list[nn.Module] = []
    if settings.crops:
        steps.append(data.RandomCrop(max(1, about.image[-1] // 8)))
    if settings.flips:
        steps.append(data.RandomFlip())
    if settings.color_jitter is not None:
        try:
            steps.append(data.ColorJitter(*settings.color_jitter))
        except ValueError as error:
            raise UsageError(f"argument --color-jitter: {error}") from None
    return nn.Sequential(*steps, normalize), normalize


def normalization(
    settings: DataSettings, mean: tuple[float, ...], std: tuple[float, ...], channels: int
) -> data.Normalize:
    """With the settings' numbers, else with those given.

    Raises:
        UsageError: the settings' numbers are not allowed.
        Failure: the others are not.
    """
    if settings.mean is None or settings.std is None:
        try:
            return data.Normalize(mean, std)
        except ValueError as error:
            raise Failure(f"the images of {settings.data} are all alike: {error}") from None
    for name, numbers in (("mean", settings.mean), ("std", settings.std)):
        if len(numbers) != channels:
            raise UsageError(
                f"argument --{name}: must be {channels} number(s), one per channel, got "
                f"{len(numbers)}"
            )
    try:
        return data.Normalize(settings.mean, settings.std)
    except ValueError as error:
        raise UsageError(f"argument --mean, --std: {error}") from None


def describe(images: data.ImageData, settings: DataSettings) -> DataFacts:
    """What a run keeps of its data."""
    counts = {f"{name}_images": len(labels) for name, (_, labels) in parts_of(images).items()}
    return DataFacts(
        classes=images.classes,
        image=tuple(images.train_images.shape[1:]),
        mean=settings.mean or images.mean,
        std=settings.std or images.std,
        sha256=fingerprint(images),
        skipped=images.skipped,
        **counts,
    )


def fingerprint(images: data.ImageData) -> str:
    """A checksum of all images, as bytes, and labels."""
    found = hashlib.sha256()
    parts = parts_of(images)
    for pixels, labels in (
        parts[name] for name in ("train", "test", "validation") if name in parts
    ):
        found.update(str(tuple(pixels.shape)).encode())
        found.update(pixels.contiguous().numpy())
        found.update(labels.numpy())
    return found.hexdigest()


def _load(settings: DataSettings) -> data.ImageData:
    name, size = settings.data, settings.size
    try:
        if name == "digits":
            return data.digits(8 if size is None else size)
        if name == "cifar10":
            return data.cifar10(settings.data_root)
        return data.image_folder(
            name,
            FOLDER_SIZE if size is None else size,
            skip_unreadable=settings.skip_unreadable,
            cache=settings.cache,
        )
    except (ValueError, OSError) as error:
        if vars(error).get("argument") == "size":
            raise refusal(error) from None
        raise Failure(in_words(error)) from None

"""The reader's own pictures: a folder per class, all at one size in memory."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from resnet_lib.arguments import check_number, check_whole
from resnet_lib.data.image_data import ImageData, channel_statistics
from resnet_lib.data.pictures import read_pictures

TEST_FOLDERS = ("val", "validation", "test")
# What file managers leave behind, besides hidden files.
CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True)
class Part:
    """One part of a set: its classes, and its picture files with the number of their class."""

    folder: Path
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]


def image_folder(
    root: str | os.PathLike,
    size: int = 64,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    skip_unreadable: bool = False,
) -> ImageData:
    """Load pictures from one folder per class, as `root/cat/1.jpg`, at one size.

    Classes are numbered in the order of their names, and files lie at any depth below them, as in
    torchvision's `ImageFolder`. If root holds `train` and one of `val`, `validation` and `test`,
    these are the two parts; else each class is split by itself, with at least one picture of it
    in each part. Each picture is turned as its EXIF data say, made RGB, resized (bilinear,
    antialiased) so that its shorter side has `size` pixels, and cropped to the middle square.

    All pictures are held in memory, at 3·size² bytes each: 12 kB at 64 pixels, 151 kB at 224.

    No file of a class is skipped in silence, also none that is no image by its suffix. Hidden
    files and folders, Thumbs.db, desktop.ini and __MACOSX are ignored, and so are files beside
    the class folders that are no images.

    Args:
        root: the folder.
        size: side of the images in pixels, from 8 on.
        test_fraction: share of each class that is held back, from 0.01 to 0.99.
        seed: seed of the split, from 0 to 2³² - 1.
        skip_unreadable: whether to leave out files that cannot be read. They are then named in
            `skipped` and in a warning.

    Raises:
        TypeError: `root` is no path.
        FileNotFoundError: there is no such folder.
        ValueError: an argument is out of range; there are no two classes, the parts' classes
            differ, or a class is empty or too small to split; or files cannot be read and
            `skip_unreadable` is False: the message lists them all.
    """
    place = _checked_root(root)
    check_whole("size", size, 8)
    check_number("test_fraction", test_fraction, 0.01, 0.99)
    check_whole("seed", seed, 0, 2**32 - 1)
    parts, faults = _parts(place)
    images, labels = [], []
    for part in parts:
        pictures, unreadable = read_pictures(part.files, size)
        faults |= unreadable
        kept = [row for row, file in enumerate(part.files) if file not in unreadable]
        images.append(pictures[kept] if unreadable else pictures)
        labels.append(torch.tensor(part.labels, dtype=torch.int64)[kept])
    skipped = _skipped(faults, place, skip_unreadable)
    for part, kept_labels in zip(parts, labels, strict=True):
        _check_counts(part, kept_labels, least=3 - len(parts))
    if len(parts) == 1:
        rows = _split(labels[0], test_fraction, seed)
        images, labels = [images[0][r] for r in rows], [labels[0][r] for r in rows]
    (train_images, test_images), (train_labels, test_labels) = images, labels
    return ImageData(
        train_images,
        train_labels,
        test_images,
        test_labels,
        parts[0].classes,
        *channel_statistics(train_images),
        skipped,
    )


def _checked_root(root: str | os.PathLike) -> Path:
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path, got {type(root).__name__}")
    place = Path(root).expanduser()
    if not place.is_dir():
        raise FileNotFoundError(f"root must be a folder, and there is none at {place}")
    return place


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _parts(place: Path) -> tuple[list[Part], dict[Path, str]]:
    """The parts that the folders give, one or two, and what in them is no picture of a class."""
    folders = _folders(place)
    train = [folder for folder in folders if folder.name.lower() == "train"]
    test = [folder for folder in folders if folder.name.lower() in TEST_FOLDERS]
    if not train or not test:
        part, faults = _part(place)
        return [part], faults
    if len(train + test) > 2:
        raise ValueError(
            f"root must hold train and one of {', '.join(TEST_FOLDERS)}, got "
            f"{', '.join(f.name for f in train + test)} in {place}: move away what is not to be "
            "trained or tested on"
        )
    parts, faults = [], _loose(place)
    for folder in (*train, *test):
        part, more = _part(folder)
        parts.append(part)
        faults |= more
    _check_same_classes(*parts)
    for folder in folders:
        if folder not in (*train, *test):
            faults[folder] = f"folder beside {train[0].name} and {test[0].name}"
    return parts, faults


def _check_same_classes(one: Part, other: Part) -> None:
    found = []
    for here, there in ((one, other), (other, one)):
        if lone := sorted(set(here.classes) - set(there.classes)):
            found.append(f"only in {here.folder.name}: {', '.join(lone)}")
    if found:
        raise ValueError(
            f"{one.folder.name} and {other.folder.name} must have the same classes, "
            f"got {'; '.join(found)}"
        )


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not _ignored(path.name))


def _part(folder: Path) -> tuple[Part, dict[Path, str]]:
    # Here, because torchvision takes a second to import, in every process.
    from torchvision.datasets.folder import make_dataset

    names = [path.name for path in _folders(folder)]
    if len(names) < 2:
        found = f"only {names[0]}" if names else "none"
        raise ValueError(f"{folder} must hold a folder for each of at least 2 classes, got {found}")
    numbers = {name: number for number, name in enumerate(names)}
    found = make_dataset(folder, numbers, is_valid_file=lambda _: True, allow_empty=True)
    every = [(Path(path), label) for path, label in found]
    files = [(p, n) for p, n in every if not any(map(_ignored, p.relative_to(folder).parts))]
    if empty := set(range(len(names))) - {label for _, label in files}:
        listed = ", ".join(names[i] for i in sorted(empty))
        raise ValueError(f"each class folder of {folder} must hold pictures, got none in {listed}")
    pictures = [(path, label) for path, label in files if _is_picture(path)]
    strays = {p: "not the suffix of an image" for p, _ in files if not _is_picture(p)}
    paths, labels = zip(*pictures, strict=True) if pictures else ((), ())
    return Part(folder, tuple(names), paths, labels), strays | _loose(folder)


def _is_picture(path: Path) -> bool:
    from torchvision.datasets.folder import IMG_EXTENSIONS

    return path.name.lower().endswith(IMG_EXTENSIONS)


def _loose(folder: Path) -> dict[Path, str]:
    """Pictures that lie beside the class folders."""
    files = (f for f in sorted(folder.iterdir()) if f.is_file() and not _ignored(f.name))
    return {f: "in no class folder" for f in files if _is_picture(f)}


def _skipped(faults: dict[Path, str], place: Path, skip: bool) -> tuple[str, ...]:
    """Names of the files that are left out, with a warning; an error if that is not allowed."""
    named = {path.relative_to(place).as_posix(): fault for path, fault in sorted(faults.items())}
    if not named:
        return ()
    listed = "".join(f"\n  {name}: {fault}" for name, fault in named.items())
    if not skip:
        error = ValueError(
            f"{len(named)} of the files in {place} cannot be read. Mend or remove them, or leave "
            f"them out with skip_unreadable=True:{listed}"
        )
        vars(error)["remedy"] = {"skip_unreadable": True}
        raise error
    # Shown at the line that called image_folder.
    warnings.warn(f"{len(named)} of the files in {place} are left out:{listed}", stacklevel=3)
    return tuple(named)


def _check_counts(part: Part, labels: Tensor, least: int) -> None:
    counts = labels.bincount(minlength=len(part.classes)).tolist()
    few = [f"{n} in {name}" for name, n in zip(part.classes, counts, strict=True) if n < least]
    if few:
        why = "" if least == 1 else " to be split"
        raise ValueError(
            f"each class of {part.folder} must have at least {least} readable pictures{why}, "
            f"got {', '.join(few)}"
        )


def _split(labels: Tensor, test_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of the training and of the test part; the share of each class is kept."""
    generator = torch.Generator().manual_seed(seed)
    held_back = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        count = min(max(1, round(test_fraction * len(rows))), len(rows) - 1)
        held_back[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return (~held_back).nonzero()[:, 0], held_back.nonzero()[:, 0]

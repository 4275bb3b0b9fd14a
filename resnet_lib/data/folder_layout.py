"""What a folder of pictures holds: its parts, its classes, and the files of each class."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resnet_lib.data.pictures import is_picture

PARTS = ("train", "validation", "test")
WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# What file managers leave behind, besides hidden files.
CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True)
class Layout:
    """The files of a set, with the number of each one's class and the name of its part.

    `parts` is None where the folder holds no parts, so that the set is still to be split.
    `faults` says what lies there and is no picture of a class.
    """

    place: Path
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    parts: tuple[str, ...] | None
    faults: dict[Path, str]


def lay_out(root: Path) -> Layout:
    """Find parts, classes and files.

    Raises:
        ValueError: the folder holds no set of pictures, or one that can be taken in two ways.
    """
    place = _unwrapped(root)
    folders = _parts(place)
    if not folders:
        classes, files, labels, faults = _classes(place)
        return Layout(place, classes, tuple(files), tuple(labels), None, faults)
    found = {part: _classes(_unwrapped(folder)) for part, folder in folders.items()}
    _check_same_classes({folders[part].name: found[part][0] for part in folders})
    faults = _loose(place)
    for folder in _folders(place):
        if folder not in folders.values():
            faults[folder] = f"folder beside {' and '.join(f.name for f in folders.values())}"
    files, labels, parts = [], [], []
    for part, (_, some, numbers, more) in found.items():
        # Where there are two parts, the second is the one to test on, whatever it is called.
        name = "test" if part == "validation" and len(found) == 2 else part
        files += some
        labels += numbers
        parts += [name] * len(some)
        faults |= more
    return Layout(place, found["train"][0], tuple(files), tuple(labels), tuple(parts), faults)


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is passed over without a word."""
    return name.startswith(".") or name.lower() in CLUTTER


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not is_ignored(path.name))


def _loose(folder: Path) -> dict[Path, str]:
    """Pictures that lie beside the class folders."""
    files = (f for f in sorted(folder.iterdir()) if f.is_file() and not is_ignored(f.name))
    return {file: "in no class folder" for file in files if is_picture(file)}


def _unwrapped(folder: Path) -> Path:
    """The folder inside those that hold one folder and no picture, as archives unpack."""
    seen = set()
    while len(inside := _folders(folder)) == 1 and folder.resolve() not in seen:
        seen.add(folder.resolve())
        if not _folders(inside[0]) or _loose(folder) or _loose(inside[0]):
            break
        folder = inside[0]
    return folder


def _part_of(name: str) -> str | None:
    """The part that a folder of this name holds: "Training_set" is "train"."""
    word = re.sub(r"[ _-]?(set|data|images)$", "", name.lower())
    return next((part for part, words in WORDS.items() if word in words), None)


def _parts(place: Path) -> dict[str, Path]:
    """The folders of the parts, training first; none where the folder holds classes."""
    folders = _folders(place)
    named = defaultdict(list)
    for folder in folders:
        named[_part_of(folder.name)].append(folder)
    others = named.pop(None, [])
    if "train" not in named or len(named) < 2:
        _check_are_classes(place, [f for some in named.values() for f in some], others)
        return {}
    for part, some in named.items():
        if len(some) > 1:
            listed = ", ".join(folder.name for folder in some)
            raise ValueError(f"{place} must hold one folder of the {part} part, got {listed}")
    return {part: named[part][0] for part in PARTS if part in named}


def _check_are_classes(place: Path, parts: list[Path], others: list[Path]) -> None:
    """Refuse folders that are named like parts and built like parts, but make up no set."""
    for folder in parts:
        if len(parts + others) > 1 and len(_folders(folder)) > 1 and not _loose(folder):
            beside = ", ".join(f.name for f in (*parts, *others) if f != folder)
            raise ValueError(
                f"{place} holds {folder.name}, which looks like a part of a set, beside {beside}: "
                "a set in parts holds a training part and one or both of validation and test. "
                f"Rename folders, or give {folder} as root"
            )


def _check_same_classes(classes: dict[str, tuple[str, ...]]) -> None:
    (first, names), *others = classes.items()
    for second, more in others:
        found = [
            f"only in {here}: {', '.join(sorted(lone))}"
            for here, lone in ((first, set(names) - set(more)), (second, set(more) - set(names)))
            if lone
        ]
        if found:
            raise ValueError(
                f"{first} and {second} must have the same classes, got {'; '.join(found)}"
            )


def _classes(folder: Path) -> tuple[tuple[str, ...], list[Path], list[int], dict[Path, str]]:
    """Names of the classes, files, their numbers of class, and faults."""
    names = _in_order([path.name for path in _folders(folder)])
    _check_names(folder, names)
    faults, files, labels = _loose(folder), [], []
    for number, name in enumerate(names):
        for path, fault in _walk(folder / name, (folder.resolve(),)):
            if fault is None:
                files.append(path)
                labels.append(number)
            else:
                faults[path] = fault
    if empty := set(range(len(names))) - set(labels):
        listed = ", ".join(names[i] for i in sorted(empty))
        raise ValueError(f"each class folder of {folder} must hold pictures, got none in {listed}")
    return names, files, labels, faults


def _in_order(names: list[str]) -> tuple[str, ...]:
    """By name, but numbers by their value: 1, 2, 10."""
    if all(re.fullmatch("[0-9]+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _check_names(folder: Path, names: tuple[str, ...]) -> None:
    if len(names) < 2:
        found = f"only {names[0]}" if names else "none"
        raise ValueError(f"{folder} must hold a folder for each of at least 2 classes, got {found}")
    alike = defaultdict(list)
    for name in names:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
        parts = {_part_of(path.name) for path in _folders(folder / name)} - {None}
        if "train" in parts and len(parts) > 1:
            raise ValueError(
                f"{folder / name} holds parts of a set ({', '.join(sorted(parts))}): parts stand "
                "above the classes, as in root/train/cat and root/test/cat"
            )
    for some in alike.values():
        if len(some) > 1:
            raise ValueError(
                f"class folders of {folder} must differ in more than their case, got "
                f"{', '.join(some)}: put them together, or rename one"
            )


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str | None]]:
    """Files at any depth, each with its fault or None; links are followed, but in no circle."""
    here = folder.resolve()
    if above[0].is_relative_to(here) or here in above:
        yield folder, "link to a folder that it lies in"
        return
    try:
        paths = sorted(p for p in folder.iterdir() if not is_ignored(p.name))
    except OSError:
        yield folder, "folder that cannot be opened"
        return
    for path in paths:
        if path.is_file():
            yield path, None
        elif not path.is_dir():
            yield path, "not a regular file" if path.exists() else "broken link"
    for path in paths:
        if path.is_dir():
            yield from _walk(path, (*above, here))

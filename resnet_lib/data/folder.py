"""The reader's own pictures: a folder per class, all at one size."""

import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from resnet_lib.arguments import check_number, check_path, check_whole
from resnet_lib.data.folder_layout import Layout, lay_out
from resnet_lib.data.folder_split import split_rows
from resnet_lib.data.image_data import ImageData, channel_statistics
from resnet_lib.data.picture_cache import InMemory, NewCache, cache_path, load
from resnet_lib.data.pictures import read_pictures

READING = 1  # raised with each change of what becomes of a picture, so that caches are renewed
LISTED = 10  # pictures of a single colour


def image_folder(
    root: str | os.PathLike,
    size: int = 64,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    skip_unreadable: bool = False,
    cache: str | os.PathLike | None = None,
) -> ImageData:
    """Load pictures from one folder per class, as `root/cat/1.jpg`, at one size.

    Classes are numbered in the order of their names (numbers by their value: 1, 2, 10), and files
    lie at any depth below them. If root holds folders of a training part and of a validation or a
    test part, or of both (`train`, `val`, `test`, and other names of these), they are kept; where
    there are two, the second is the test part, whatever its name. Else each class is split by
    itself, with at least one picture of it in each part. Each picture is read by `read_picture`.
    The page *API* lists what a folder can hold, and what becomes of it.

    The pictures are held in memory, at 3·size² bytes each: 12 kB at 64 pixels, 151 kB at 224. With
    `cache` they lie on the disk and are mapped into memory: what is used is read, the rest is not.
    The next call finds them there and decodes nothing, unless a file, its size or time of change,
    or an argument is another; then it decodes all of them anew.

    No file of a class is skipped in silence. Hidden files and folders, Thumbs.db, desktop.ini and
    __MACOSX are ignored, and so are files beside the class folders that are no pictures. Pictures
    of a single colour are taken, with a warning.

    Args:
        root: the folder.
        size: side of the images in pixels, from 8 on.
        test_fraction: share of each class that is held back, from 0.01 to 0.99.
        seed: seed of the split, from 0 to 2³² - 1.
        skip_unreadable: whether to leave out files that cannot be read. They are then named in
            `skipped` and in a warning.
        cache: a file for the decoded pictures, outside of root; or a folder that is to hold it.
            Beside it comes a JSON file of the same name.

    Raises:
        TypeError: `root` or `cache` is no path.
        FileNotFoundError: there is no such folder.
        ValueError: an argument is out of range; the folder can be taken in two ways, has no two
            classes, or a class that is empty or too small to split, or the parts' classes differ;
            the pictures do not fit into memory, or the cache onto its disk; or files cannot be
            read and `skip_unreadable` is False: the message lists them all.
    """
    place = _checked_root(root)
    check_whole("size", size, 8)
    check_number("test_fraction", test_fraction, 0.01, 0.99)
    check_whole("seed", seed, 0, 2**32 - 1)
    path = None if cache is None else cache_path(cache, place, size)
    layout = lay_out(place)
    split = partial(split_rows, layout, test_fraction=test_fraction, seed=seed)
    planned = split(range(len(layout.files)))
    made_from = _made_from(layout, place, size, [test_fraction, seed])
    with nullcontext(InMemory()) if path is None else NewCache(path) as new:
        stored = None if path is None else load(path, made_from)
        notes = stored[1] if stored else _read(layout, place, planned, new.room, size)
        unreadable = notes["unreadable"]
        skipped = _skipped(layout.faults, unreadable, place, skip_unreadable)
        if notes["single_colour"]:
            warnings.warn(_of_single_colours(notes["single_colour"], place), stacklevel=2)
        rows = split([r for r, f in enumerate(layout.files) if _name(f, place) not in unreadable])
        images = stored[0] if stored else _finished(new, planned, rows, made_from, notes)
    return _as_data(images, layout, rows, notes, skipped)


def _checked_root(root: str | os.PathLike) -> Path:
    check_path("root", root)
    place = Path(root).expanduser()
    if not place.is_dir():
        raise FileNotFoundError(f"root must be a folder, and there is none at {place}")
    return place


def _name(path: Path, place: Path) -> str:
    return path.relative_to(place).as_posix()


def _made_from(layout: Layout, place: Path, size: int, split: list[float]) -> dict[str, Any]:
    """All that decides the bytes of a cache and their order."""
    states = ((file, file.stat()) for file in layout.files)
    files = [[_name(file, place), state.st_size, state.st_mtime_ns] for file, state in states]
    return {"reading": READING, "size": size, "split": split, "files": files}


def _read(
    layout: Layout,
    place: Path,
    rows: list[list[int]],
    room: Callable[[int, int], Tensor],
    size: int,
) -> dict[str, Any]:
    """Decode files into a new room, in the order of the rows, and note what was found."""
    files = [layout.files[row] for row in chain.from_iterable(rows)]
    unreadable, single = read_pictures(files, room(len(files), size))
    return {
        "unreadable": {_name(files[row], place): fault for row, fault in unreadable.items()},
        "single_colour": sorted(_name(files[row], place) for row in single),
    }


def _finished(
    new: InMemory | NewCache,
    planned: list[list[int]],
    rows: list[list[int]],
    made_from: dict[str, Any],
    notes: dict[str, Any],
) -> Tensor:
    """The pictures that could be read, in the order of the rows, from that of the plan."""
    order = list(chain.from_iterable(rows))
    if notes["unreadable"]:
        at = {row: position for position, row in enumerate(chain.from_iterable(planned))}
        read = cast(Tensor, new.images)
        kept = new.room(len(order), read.shape[-1])
        for position, row in enumerate(order):
            kept[position] = read[at[row]]
        del read, kept
    notes["mean"], notes["std"] = channel_statistics(cast(Tensor, new.images)[: len(rows[0])])
    return new.keep(made_from, notes)


def _as_data(
    images: Tensor,
    layout: Layout,
    rows: list[list[int]],
    notes: dict[str, Any],
    skipped: tuple[str, ...],
) -> ImageData:
    train, validation, test = images.split([len(part) for part in rows])
    labels = [torch.tensor([layout.labels[r] for r in part], dtype=torch.int64) for part in rows]
    return ImageData(
        train,
        labels[0],
        test,
        labels[2],
        layout.classes,
        tuple(notes["mean"]),
        tuple(notes["std"]),
        skipped,
        validation if rows[1] else None,
        labels[1] if rows[1] else None,
    )


def _skipped(
    strays: dict[Path, str], unreadable: dict[str, str], place: Path, skip: bool
) -> tuple[str, ...]:
    """Names of the files that are left out, with a warning; an error if that is not allowed."""
    faults = {_name(path, place): fault for path, fault in strays.items()} | unreadable
    if not faults:
        return ()
    listed = "".join(f"\n  {name}: {fault}" for name, fault in sorted(faults.items()))
    if not skip:
        error = ValueError(
            f"{len(faults)} of the files in {place} cannot be read. Mend or remove them, or leave "
            f"them out with skip_unreadable=True:{listed}"
        )
        vars(error).update(remedy={"skip_unreadable": True})
        raise error
    # Shown at the line that called image_folder.
    warnings.warn(f"{len(faults)} of the files in {place} are left out:{listed}", stacklevel=3)
    return tuple(sorted(faults))


def _of_single_colours(names: list[str], place: Path) -> str:
    listed = "".join(f"\n  {name}" for name in names[:LISTED])
    if len(names) > LISTED:
        listed += f"\n  and {len(names) - LISTED} more"
    return (
        f"{len(names)} of the pictures in {place} have a single colour all over, as an empty "
        f"picture has, or a white shape on transparent ground, which is laid on white:{listed}"
    )

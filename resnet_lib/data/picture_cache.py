"""Where decoded pictures lie: in memory, or on the disk and mapped into memory.

A cache is a file of raw bytes, (N, 3, size, size), and beside it a JSON file that says which
files they were made from. A cache is put in place whole, the JSON file last.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resnet_lib.data.free_memory import free_memory
from resnet_lib.files import sync_folder, write_whole

FORMAT = "resnet_lib pictures 1"
SUFFIX = ".pictures"


def cache_path(cache: str | os.PathLike, root: Path, size: int) -> Path:
    """The file of the bytes; in a folder it is called after the pictures' folder and size.

    Raises:
        TypeError: `cache` is no path.
        ValueError: it names a file of another kind, or one among the pictures.
    """
    if not isinstance(cache, str | os.PathLike):
        raise TypeError(f"cache must be a path or None, got {type(cache).__name__}")
    path = Path(cache).expanduser()
    if path.is_dir():
        path = path / f"{root.resolve().name}-{size}{SUFFIX}"
    if not path.parent.is_dir():
        raise ValueError(f"cache must name a file in a folder that is there, got {cache}")
    if path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"cache must lie outside of the pictures' folder, got {cache}")
    if path.exists() and _stored(path) is None:
        raise ValueError(
            f"cache must name a new file or a cache, and {path} is another file: it is not "
            "written over"
        )
    return path


def load(path: Path, made_from: dict) -> tuple[Tensor, dict] | None:
    """Bytes and notes of the cache; None if there is none, or one of other files or settings.

    None, too, if its JSON file is not as `keep` wrote it.
    """
    stored = _stored(path)
    if stored is None or stored.pop("sha256", None) != _digest(stored):
        return None
    if stored["made_from"] != made_from or stored["state"] != _state(path):
        return None
    return _mapped(path, stored["shape"]), stored["notes"]


class InMemory:
    """Room for pictures in memory, where nothing is kept of them."""

    images: Tensor

    def room(self, count: int, size: int) -> Tensor:
        """Black pictures (count, 3, size, size).

        Raises:
            ValueError: they do not fit into the memory that is free.
        """
        needed, free = count * 3 * size**2, free_memory()
        if free is not None and needed > free:
            error = ValueError(
                f"{count:,} pictures of {size} × {size} must fit into memory: they take {needed:,} "
                f"bytes, and {free:,} are free. Name a file for them with cache, or choose a "
                "smaller size"
            )
            vars(error).update(remedy={"cache": ["FILE"]})
            raise error
        self.images = torch.zeros(count, 3, size, size, dtype=torch.uint8)
        return self.images

    def keep(self, made_from: dict, notes: dict) -> Tensor:
        """The last room."""
        return self.images


class NewCache:
    """Room for pictures on the disk, of which nothing is seen under its name before `keep`.

    `with NewCache(path) as new` removes what was not kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images = torch.empty(0, dtype=torch.uint8)
        self._aside: tempfile.TemporaryDirectory | None = None
        self._rooms: list[np.memmap] = []

    def __enter__(self) -> "NewCache":
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()
        if self._aside is not None:
            self._aside.cleanup()

    def room(self, count: int, size: int) -> Tensor:
        """Black pictures (count, 3, size, size); the last room is the one to keep.

        Raises:
            ValueError: the disk has too little room.
        """
        folder = self.path.parent
        needed, free = count * 3 * size**2, shutil.disk_usage(folder).free
        if needed > free:
            raise ValueError(
                f"cache must lie on a disk with room for {count:,} pictures of {size} × {size}, "
                f"{needed:,} bytes; {folder} has {free:,}"
            )
        if self._aside is None:
            self._aside = tempfile.TemporaryDirectory(dir=folder, prefix=f".{self.path.name}-")
        file = Path(self._aside.name) / str(len(self._rooms))
        self._rooms.append(np.memmap(file, np.uint8, "w+", shape=(count, 3, size, size)))
        self.images = torch.from_numpy(self._rooms[-1])
        return self.images

    def keep(self, made_from: dict, notes: dict) -> Tensor:
        """Put the last room in place, whole, and after it what it was made from; map it anew."""
        last = self._rooms[-1]
        file, shape = Path(last.filename), last.shape
        last.flush()
        del last
        self._let_go()
        os.utime(file)  # settles the time of change, which a mapped file gets late
        os.replace(file, self.path)
        sync_folder(self.path.parent)
        stored = {
            "format": FORMAT,
            "made_from": made_from,
            "state": _state(self.path),
            "shape": shape,
            "notes": notes,
        }
        content = json.dumps({"sha256": _digest(stored), **stored})
        write_whole(_about(self.path), content.encode())
        return _mapped(self.path, shape)

    def _let_go(self) -> None:
        """Windows neither renames nor removes a file that is mapped."""
        self.images = torch.empty(0, dtype=torch.uint8)
        self._rooms.clear()


def _mapped(path: Path, shape: Sequence[int]) -> Tensor:
    # Copy on write: whoever changes the tensor does not change the file.
    return torch.from_numpy(np.memmap(path, np.uint8, "c", shape=tuple(shape)))


def _digest(stored: dict) -> str:
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _stored(path: Path) -> dict | None:
    """What the JSON file says; None if it, or the file of bytes, is not there or another's."""
    try:
        stored = json.loads(_about(path).read_text(encoding="utf-8"))
        is_own = path.is_file() and stored["format"] == FORMAT
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return stored if is_own else None

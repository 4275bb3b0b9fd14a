"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["sync_folder", "write_whole", "written_aside"]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, so that it survives a power cut once this returns.

    Raises:
        OSError: the system cannot write there; an older file of that name is as it was.
    """
    with written_aside(path, content) as aside:
        os.replace(aside, path)
    sync_folder(path.parent)


@contextmanager
def written_aside(path: Path, content: bytes) -> Iterator[Path]:
    """A new file on the disk that may take the place of `path`; it is gone afterwards.

    Raises:
        OSError: the system cannot write there.
    """
    aside = path.with_name(path.name + ".new")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the system put the folder's names on the disk, after files in it were renamed."""
    if os.name == "posix":  # elsewhere a folder cannot be opened, and a rename needs no sync
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

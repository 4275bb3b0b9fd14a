"""Whether a loader of files withstands damaged ones: it takes an input or refuses it in words.

An input is a folder of valid files of which some were damaged; it follows from the loader's name
and a seed alone. Anything but a loader's own refusal is a fault: another error, a model that was
changed by what was refused, code that a file has run, a file that was left behind.
"""

import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

SECONDS = 20  # for one input


class Loader(NamedTuple):
    """What fills a folder, what damages it, what reads it, and the errors of its refusals."""

    fill: Callable[[Path], None]
    damage: Callable[[Path, Random], None]
    read: Callable[[Path], None]
    refusals: tuple[type[Exception], ...]


class Fault(Exception):
    """Something that is wrong though no error came."""


class Hang(BaseException):
    """It took too long."""


def tried(name: str, loader: Loader, seed: int, folder: Path) -> tuple[str, str]:
    """What a loader makes of an input: "taken", "refused" or "fault", and the fault in words."""
    lay_down(name, loader, seed, folder)
    before = names_in(folder)
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loader.read(folder)
        answer = "taken", ""
    except loader.refusals:
        answer = "refused", ""
    except (Exception, Hang) as error:
        return "fault", f"{type(error).__name__}: {str(error)[:200]!r} at {origin(error)}"
    if left := names_in(folder) - before:
        return "fault", f"left behind: {sorted(left)}"
    return answer


def lay_down(name: str, loader: Loader, seed: int, folder: Path) -> None:
    """Fill a folder with the input of this seed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, content in valid(loader).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    loader.damage(folder, Random(f"{name} {seed}"))


def require_taken(loader: Loader, folder: Path) -> None:
    """Have the loader read its valid files; what it imports is then there."""
    for path, content in valid(loader).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    loader.read(folder)


@cache
def valid(loader: Loader) -> dict[str, bytes]:
    """The valid files of a loader, by their paths."""
    with tempfile.TemporaryDirectory() as made:
        loader.fill(Path(made))
        files = [path for path in sorted(Path(made).rglob("*")) if path.is_file()]
        return {path.relative_to(made).as_posix(): path.read_bytes() for path in files}


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def origin(error: BaseException) -> str:
    """The last line of the repository's own packages that the error came through."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if any(part in frame.filename for part in ("resnet_lib", "resnet_cli", "bench"))
    ]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "the fuzzer"


@contextmanager
def limited():
    """An error after some seconds; native code does not hear of it."""

    def ring(*_):
        raise Hang(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def in_one_file(*ways: Callable[[bytes, Random], bytes]) -> Callable[[Path, Random], None]:
    """Damage one file of the folder, in one of these ways."""

    def damage(folder: Path, dice: Random) -> None:
        path = dice.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        path.write_bytes(dice.choice(ways)(path.read_bytes(), dice))

    return damage


def every(folder: Path, *reads: Callable[[Path], object], refusals: Iterable = ()) -> None:
    """Each reader on each file; refused only if all of them refuse."""
    taken = False
    last: Exception | None = None
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for read in reads:
            try:
                read(path)
                taken = True
            except tuple(refusals) as error:
                last = error
    if not taken and last is not None:
        raise last


def keep_one(damage: Callable[[Path, Random], None]) -> Callable[[Path, Random], None]:
    """Leave one file in the folder, and damage it."""

    def chosen(folder: Path, dice: Random) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        kept = dice.choice(files)
        for path in files:
            if path != kept:
                path.unlink()
        damage(folder, dice)

    return chosen

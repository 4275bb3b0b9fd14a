"""Tables of bad input: for each function a call that is good, and by argument what is refused.

    TABLE = [Entry(conv3x3, {"in_channels": 4, "out_channels": 8}, {"in_channels": WHOLE})]

A value goes with the error that it meets; the message begins with the argument's name and "must",
or has other words where an entry says so.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn


class Bad(NamedTuple):
    """A value, its error, and words of the message; None: the argument's name and "must"."""

    value: Any
    error: type[Exception]
    words: str | None = None


class Entry(NamedTuple):
    """What is called, with good arguments, and what each of them must not be."""

    call: Callable
    good: Mapping[str, Any]
    bad: Mapping[str, Sequence[Bad]]


class Odd:
    """What no argument is."""

    def __repr__(self) -> str:
        return "Odd()"


NAN, INFINITE = float("nan"), math.inf
NO_ATTRIBUTE = r"has no attribute '\w+'$"
WHOLE = [Bad(value, TypeError) for value in (None, "4", 2.5, True, NAN, torch.tensor(4), Odd())]
WHOLE += [Bad(-1, ValueError)]
FROM_ONE = [*WHOLE, Bad(0, ValueError)]
NUMBER = [Bad(value, TypeError) for value in (None, "1", True, torch.tensor(1.0), Odd())]
NUMBER += [Bad(NAN, ValueError), Bad(INFINITE, ValueError)]
SHARE = [*NUMBER, Bad(-0.1, ValueError), Bad(1.5, ValueError)]
POSITIVE = [*NUMBER, Bad(-0.1, ValueError), Bad(0, ValueError)]
MODULE = [Bad(value, TypeError) for value in (None, "net", nn.Linear, Odd())]
TEXT = [Bad(value, TypeError) for value in (None, 3, Odd())]
PATH = [Bad(value, TypeError) for value in (None, 3, Odd())]
CHOICE = [Bad(value, ValueError) for value in (None, "nonsense", "", 3, Odd())]
IMAGES = [Bad(value, TypeError) for value in (None, [[1.0]], Odd())]
IMAGES += [Bad(torch.zeros(shape), ValueError) for shape in ((3, 8, 8), (0, 3, 8, 8), ())]
IMAGES += [Bad(torch.zeros(2, 3, 8, 8, dtype=torch.int64), ValueError)]
# A function that a chapter builds line by line has no door; Python says what is wrong.
BY_HAND = [Bad(value, AttributeError, NO_ATTRIBUTE) for value in (None, "net", Odd())]


def assert_refused(entry: Entry, folder: Path) -> None:
    """Each bad value meets its error, and nothing is written into the folder."""
    before = set(folder.rglob("*"))
    for argument, values in entry.bad.items():
        for bad in values:
            text, kind = _answer(entry, argument, bad.value)
            said = f"{entry.call.__qualname__}({argument}={bad.value!r:.80}) gives {kind}: {text}"
            assert issubclass(kind, bad.error), said
            assert re.search(bad.words or rf"\b{argument}\b(\[\d+\])? must ", text), said
            assert set(folder.rglob("*")) == before, f"{said}, and has written"


def _answer(entry: Entry, argument: str, value: object) -> tuple[str, type]:
    try:
        entry.call(**{**entry.good, argument: value})
    except Exception as error:
        return str(error), type(error)
    return "no error", type(None)


def each(table: Sequence[Entry]) -> list:
    """The entries as parameters of a test, by name and number."""
    return [
        pytest.param(entry, id=f"{number}-{entry.call.__qualname__}")
        for number, entry in enumerate(table)
    ]


def called(table: Sequence[Entry]) -> set[str]:
    """The names of what a table calls."""
    return {entry.call.__name__ for entry in table}

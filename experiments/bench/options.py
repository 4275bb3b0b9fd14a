"""Kinds of values on the command lines of the experiments."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def at_least(least: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least` up."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            problem = f"must be a whole number of at least {least}, got {text!r}"
            raise argparse.ArgumentTypeError(problem)
        return int(text)

    return number


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def json_file(text: str) -> Path:
    """Read the path of a record."""
    path = Path(text)
    if path.suffix != ".json" or path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file ending in .json, got {path}")
    return path

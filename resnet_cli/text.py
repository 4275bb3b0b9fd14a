"""Text for people, on any console."""

import sys
from collections.abc import Iterable, Sequence

from resnet_lib.console import printable


def say(*lines: str) -> None:
    """Print at once, so that a full disk or a closed pipe is noticed here."""
    print(*map(printable, lines), sep="\n", flush=True)


def complain(*lines: str) -> None:
    """Print to where errors and warnings go."""
    print(*(printable(line, sys.stderr) for line in lines), sep="\n", file=sys.stderr, flush=True)


def shape(sizes: Iterable[int]) -> str:
    """Sizes as in 3 × 32 × 32."""
    return " × ".join(map(str, sizes))


def count(number: int) -> str:
    """A count in millions, or in billions from one on."""
    unit, word = (1e9, "billion") if number >= 1e9 else (1e6, "million")
    return f"{number / unit:.3f} {word}"


def percent(share: float) -> str:
    """A share of 1 in percent, with two decimals."""
    return f"{100 * share:.2f} %"


def listed(names: Sequence[str], most: int = 12) -> str:
    """The names, or the first of them and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def in_columns(rows: Iterable[Sequence[str]], right: Iterable[int]) -> list[str]:
    """Lines in columns, those with the numbers in `right` flush right."""
    # Before the widths are taken: a substitute may be wider.
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = set(right)
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]

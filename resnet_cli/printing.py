"""Text for people."""

from collections.abc import Iterable


def say(*lines: str) -> None:
    """Print at once, so that a full disk or a closed pipe is noticed here."""
    print(*lines, sep="\n", flush=True)


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


def in_columns(rows: list[tuple[str, ...]], right: set[int]) -> list[str]:
    """Lines in columns, those with the numbers in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

"""Each picture has alt text that says what it shows."""

from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode
from notebooks import picture_kinds

from rules import Fault
from rules.reading import numbered

SHORTEST = 40  # characters
EMPTY_OPENINGS = ("image of", "figure", "picture of")


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found, seen = [], {}
    for number, cell in numbered(notebook, "code"):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        found += [Fault(path.name, number, *what) for what in _complaints(cell, alt, seen)]
        if alt:
            seen.setdefault(alt, number)
    return found


def _complaints(cell: NotebookNode, alt: str, seen: dict[str, int]) -> Iterator[tuple[str, str]]:
    pictures = sum(bool(picture_kinds(output)) for output in cell.outputs)
    place = 'the cell\'s metadata, "mystnb": {"image": {"alt": "…"}}'
    if not pictures:
        if alt and cell.execution_count is not None:
            yield "has alt text, but shows no picture.", "Run the cell, or delete the alt text."
    elif not alt:
        yield "shows a picture without alt text.", f"Say what it shows in {place}."
    elif len(alt) < SHORTEST:
        yield (
            f"has alt text of {len(alt)} characters, which cannot say what the picture shows.",
            f"State the finding in at least {SHORTEST} in {place}.",
        )
    elif alt.lower().startswith(EMPTY_OPENINGS):
        yield f"has alt text that begins {alt[:12]!r}.", "Begin with what is seen."
    elif alt in seen:
        yield f"has the alt text of cell {seen[alt]}.", "Say what this picture shows."
    if pictures > 1:
        yield f"shows {pictures} pictures with one alt text.", "Show one picture in each cell."

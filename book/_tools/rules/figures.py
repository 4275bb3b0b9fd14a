"""Each picture has alt text that says what it shows, a numbered caption, and its code folded."""

from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode
from notebooks import picture_kinds

from rules import Fault
from rules.reading import is_folded, is_solution, numbered

SHORTEST = 40  # characters
MOST_OPEN = 3  # lines of code that draw and may stand open: a call is no obstacle
EMPTY_OPENINGS = ("image of", "figure", "picture of")


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found, seen = [], {}
    for number, cell in numbered(notebook, "code"):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        found += [Fault(path.name, number, *what) for what in _complaints(cell, alt, seen)]
        if alt:
            seen.setdefault(alt, number)
    if not is_solution(path):
        found += [Fault(path.name, *what) for what in _captions(path, notebook)]
    return found


def _captions(path: Path, notebook: NotebookNode) -> Iterator[tuple[int, str, str]]:
    """In a chapter, "**Figure 1.2.** What it shows." stands under each picture."""
    chapter = path.name.partition("_")[0].lstrip("0")
    shown = [n for n, cell in numbered(notebook, "code") if any(map(picture_kinds, cell.outputs))]
    for count, number in enumerate(shown, start=1):
        start = f"**Figure {chapter}.{count}.** "
        after = notebook.cells[number] if number < len(notebook.cells) else None
        if after is None or after.cell_type != "markdown" or not after.source.startswith(start):
            cure = f"Begin the next cell, a Markdown cell, with {start}and say what it shows."
            yield number, "shows a picture without its numbered caption.", cure
        lines = notebook.cells[number - 1].source.strip().count("\n") + 1
        if lines > MOST_OPEN and not is_folded(notebook.cells[number - 1]):
            cure = "Compute in a cell of its own, draw in this one, and tag this one hide-input."
            yield number, "shows a picture, and the code that draws it is not folded.", cure


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

"""Each plot keeps the numbers that it shows, for the table under it, or says why it has none."""

from collections.abc import Iterator
from pathlib import Path

from figure_tables import unpacked
from nbformat import NotebookNode
from notebooks import NUMBERS, picture_kinds

from rules import Fault
from rules.reading import numbered

AGAIN = "Run  make numbers ONLY={}  and commit the result."
LABEL = "Give it a label in the call that draws it: label=…; it shows only in a legend."


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    return [
        Fault(path.name, number, *what)
        for number, cell in numbered(notebook, "code")
        for output in cell.outputs
        for what in _lacks(output, AGAIN.format(path.name[:2]))
    ]


def _lacks(output: NotebookNode, again: str) -> Iterator[tuple[str, str]]:
    drawn = "<Figure" in output.get("data", {}).get("text/plain", "")
    if not picture_kinds(output) or not drawn:
        return
    if NUMBERS not in output.metadata:
        yield "shows a plot without the numbers for its table.", again
        return
    found = unpacked(output.metadata[NUMBERS])
    if not found.get("panels") and not found.get("none"):
        yield "shows a plot whose table is empty, without a reason.", again
    for panel in found.get("panels", ()):
        names = [series["name"] for series in panel["series"]]
        if len(names) > 1 and not all(names):
            yield f"has a series without a name in its panel {panel['title']!r}.", LABEL
        lengths = {len(s["x"]) == len(s["y"]) for s in panel["series"]}
        if not names or lengths != {True}:
            yield f"has a panel {panel['title']!r} whose numbers are not whole.", again

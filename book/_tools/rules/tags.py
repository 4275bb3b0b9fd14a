"""Cells carry no tag but the book's own, and no comment that switches the comparison off."""

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from rules import Fault
from rules.reading import root_of
from rules.sameness import PREFIX

IGNORE = "nbval-ignore-output"
KNOWN = (IGNORE, "hide-input", "raises-exception", "photographs")
# A cell so tagged shows the still picture of a living figure, or what stands above it.
LIVING, SCRIPTS = "living:", "book/_static/living"
NBVAL_COMMENT = re.compile(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE_\w+)")


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    return [
        Fault(path.name, number, *what)
        for number, cell in enumerate(notebook.cells, start=1)
        for what in (*_faults_of(cell), *_living_faults(cell, root_of(path) / SCRIPTS))
    ]


def _living_faults(cell: NotebookNode, scripts: Path) -> Iterator[tuple[str, str]]:
    for tag in cell.metadata.get("tags", []):
        if not tag.startswith(LIVING):
            continue
        name = re.split("[/?]", tag.removeprefix(LIVING))[0]
        if not (scripts / f"{name}.js").is_file():
            yield f"asks for the living figure {name!r}.", f"Write {SCRIPTS}/{name}.js, or another."
        if not cell.get("outputs"):
            cure = "Tag the cell that shows its picture or table: it stands where no script runs."
            yield f"carries the tag {tag!r} and shows nothing.", cure


def _faults_of(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    for tag in cell.metadata.get("tags", []):
        if tag.startswith(LIVING):
            continue
        if tag not in KNOWN and not tag.startswith(PREFIX):
            cure = f"Delete it, or mend its spelling: {', '.join(KNOWN)}, {PREFIX}…, {LIVING}…"
            yield f"carries the tag {tag!r}, which means nothing here.", cure
    if cell.cell_type == "code" and (comment := NBVAL_COMMENT.search(cell.source)):
        cure = f"Tag the cell {IGNORE} if what it prints differs between machines."
        yield f"holds the comment {comment[0]!r}, which readers need not see.", cure

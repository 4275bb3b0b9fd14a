"""Cells carry no tag but the book's own, and no comment that switches the comparison off."""

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from rules import Fault
from rules.sameness import PREFIX

IGNORE = "nbval-ignore-output"
KNOWN = (IGNORE, "hide-input", "raises-exception", "photographs")
NBVAL_COMMENT = re.compile(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE_\w+)")


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    return [
        Fault(path.name, number, *what)
        for number, cell in enumerate(notebook.cells, start=1)
        for what in _faults_of(cell)
    ]


def _faults_of(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    for tag in cell.metadata.get("tags", []):
        if tag not in KNOWN and not tag.startswith(PREFIX):
            cure = f"Delete it, or mend its spelling: {', '.join(KNOWN)}, {PREFIX}…"
            yield f"carries the tag {tag!r}, which means nothing here.", cure
    if cell.cell_type == "code" and (comment := NBVAL_COMMENT.search(cell.source)):
        cure = f"Tag the cell {IGNORE} if what it prints differs between machines."
        yield f"holds the comment {comment[0]!r}, which readers need not see.", cure

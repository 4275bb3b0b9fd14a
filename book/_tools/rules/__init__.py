"""The chapter rules: what each notebook of the book must keep to.

One module holds one rule: a function ``faults(path, notebook)`` that returns a list of
:class:`Fault`, empty for a good notebook. ``tests/book/test_chapters.py`` runs every rule over
every notebook; ``tests/book/test_rules.py`` feeds every rule broken notebooks.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """One fault in a notebook: where it is, what is wrong and what the author can do."""

    notebook: str  # the file's name
    cell: int | None  # counted from 1, Markdown cells too; None for the notebook as a whole
    problem: str
    cure: str

    def __str__(self) -> str:
        where = self.notebook if self.cell is None else f"{self.notebook}, cell {self.cell}"
        return f"{where}: {self.problem} {self.cure}"

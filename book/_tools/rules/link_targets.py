"""Do the files and headings exist that a notebook links to?"""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mdit_py_plugins.anchors.index import slugify  # what the book itself makes anchors with
from nbformat.v4 import new_markdown_cell, new_notebook
from notebooks import read

from rules.reading import headings

LABEL = re.compile(r"^\(([\w-]+)\)=\s*$|\{#([\w-]+)", re.MULTILINE)


def missing(address: str, path: Path) -> tuple[str, str] | None:
    """What is wrong with an address inside the book, and the cure; None where nothing is."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    target = path.parent / unquote(parts.path) if parts.path else path
    if parts.path.startswith("/") or not target.is_file():
        return f"leads to {address}, which is no file.", "Mend the path; it starts at the notebook."
    if parts.fragment and unquote(parts.fragment) not in (anchors := _anchors(target)):
        cure = f"{target.name} has: {', '.join(sorted(anchors))}."
        return f"leads to {address}, but there is no such heading.", cure
    return None


def _anchors(target: Path) -> set[str]:
    if target.suffix == ".ipynb":
        labels, notebook = [], read(target)
    else:
        text = target.read_text(encoding="utf-8")
        labels = [before or behind for before, behind in LABEL.findall(text)]
        notebook = new_notebook(cells=[new_markdown_cell(text)])
    return {slugify(heading.title) for heading in headings(notebook)} | set(labels)

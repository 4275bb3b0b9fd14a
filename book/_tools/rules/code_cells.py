"""Code cells short enough to read at once, and nothing private of the library in them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from rules import Fault
from rules.reading import is_folded, is_solution, numbered, parse_code
from rules.sameness import PREFIX

MOST_LINES = 25
MOST_LINES_WHOLE = 40  # a class of the library has to stand whole; folded code is not in the way


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found, ours = [], {"resnet_lib"}
    for number, cell in numbered(notebook, "code"):
        what = [] if is_solution(path) else [*_too_long(cell)]
        tree = parse_code(cell.source)
        ours |= set(_names_of_ours(tree))
        found += [Fault(path.name, number, *w) for w in (*what, *_private(tree, ours))]
    return found


def _too_long(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    lines = sum(bool(line.strip()) for line in cell.source.splitlines())
    tagged = any(tag.startswith(PREFIX) for tag in cell.metadata.get("tags", []))
    most = MOST_LINES_WHOLE if tagged or is_folded(cell) else MOST_LINES
    if lines > most:
        yield f"has {lines} lines of code; {most} are the most.", "Split it where a thought ends."


def _names_of_ours(tree: ast.AST) -> Iterator[str]:
    """The names that a cell gives to resnet_lib, its modules and what is in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [n for n in node.names if n.name.split(".")[0] == "resnet_lib"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resnet_lib"):
            names = node.names
        else:
            continue
        yield from ((name.asname or name.name).split(".")[0] for name in names)


def _private(tree: ast.AST, ours: set[str]) -> Iterator[tuple[str, str]]:
    cure = "Use what the library offers without an underscore, or make it public."
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resnet_lib"):
            used = [*node.module.split("."), *(name.name for name in node.names)]
        elif isinstance(node, ast.Attribute) and _base(node) in ours:
            used = [node.attr]
        else:
            continue
        for name in used:
            if name.startswith("_") and not name.startswith("__"):
                yield f"uses {name}, which is private to resnet_lib.", cure


def _base(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", None)

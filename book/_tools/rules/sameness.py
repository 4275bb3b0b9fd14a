"""What a chapter builds by hand is the library's code, to the syntax tree, docstrings aside.

A cell that defines a thing of the library carries the tag ``lib:resnet_lib.<module>.<name>``, where
the name is a function, a class or ``Class.method``, and the module the file that defines it.
"""

import ast
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from nbformat import NotebookNode

from rules import Fault
from rules.reading import is_solution, numbered, parse_code, root_of

PREFIX = "lib:"
# Notebooks that build nothing of the library, each with the reason.
EXEMPT: dict[str, str] = {
    "A1_paper_tables": "counts what the library's networks have and cost",
    "A2_cost_of_many_gpus": "models what many GPUs cost; no part of the library is built there",
    "A4_speed_run": "builds a network of its own, which the library does not have",
    "13_degradation": "reads records of experiments; it uses the library and builds none of it",
    "14_your_own_pictures": "uses the library on a folder of pictures, as a reader of it would",
    "22_serving": "shows a request by hand, and asks a server; the library runs it",
    "21_export_int8": "shows by hand what ONNX Runtime does; the library only calls it",
    "24_the_ward": "breaks trainings and looks for the fault; it builds none of the library",
}

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    tagged = [
        (number, cell, tag.removeprefix(PREFIX))
        for number, cell in numbered(notebook, "code")
        for tag in cell.metadata.get("tags", [])
        if tag.startswith(PREFIX)
    ]
    if not tagged and not is_solution(path) and path.stem not in EXEMPT:
        problem = f"no cell carries a tag {PREFIX}resnet_lib.<module>.<name>."
        cure = (
            "Tag the cell that builds the library's code, or name the chapter in EXEMPT in "
            "book/_tools/rules/sameness.py, with the reason."
        )
        return [Fault(path.name, None, problem, cure)]
    return [
        Fault(path.name, number, *what)
        for number, cell, name in tagged
        for what in _differences(cell, name, root_of(path))
    ]


def _differences(cell: NotebookNode, name: str, root: Path) -> Iterator[tuple[str, str]]:
    source, inner = _split(name, root)
    theirs = source and _find(ast.parse(source.read_text(encoding="utf-8")), inner)
    mine = _find(parse_code(cell.source), inner)
    if theirs is None:
        file = source.relative_to(root) if source else "resnet_lib/"
        yield f"the tag {PREFIX}{name} names nothing in {file}.", "Mend the tag's spelling."
    elif mine is None:
        cure = "Define it there, or move the tag to the cell that does."
        yield f"carries the tag {PREFIX}{name}, but does not define {inner}.", cure
    elif ast.dump(mine) != ast.dump(theirs):
        here, there = _first_difference(mine, theirs)
        cure = f"Bring the cell and {source.relative_to(root)} in line."
        yield f"{inner} differs from the library: the cell has {here}, the library {there}.", cure


def _split(name: str, root: Path) -> tuple[Path | None, str]:
    """The file that the longest leading part of a dotted name stands for, and what is left."""
    parts = name.split(".")
    if parts[0] != "resnet_lib":
        return None, parts[-1]
    for end in range(len(parts) - 1, 0, -1):
        place = root.joinpath(*parts[:end])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file, ".".join(parts[end:])
    return None, parts[-1]


def _find(tree: ast.AST, dotted: str) -> ast.AST | None:
    """The definition by that name, without docstrings."""
    for part in dotted.split("."):
        body = reversed(getattr(tree, "body", []))  # of two by one name, the last holds
        tree = next((n for n in body if isinstance(n, DEFINITIONS) and n.name == part), None)
    return tree and _without_docstrings(tree)


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _first_difference(mine: ast.AST, theirs: ast.AST) -> tuple[str, str]:
    lines = zip_longest(ast.unparse(mine).splitlines(), ast.unparse(theirs).splitlines())
    return next((_quoted(a), _quoted(b)) for a, b in lines if a != b)


def _quoted(line: str | None) -> str:
    return "nothing more" if line is None else f"`{line.strip()}`"

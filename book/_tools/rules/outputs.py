"""Every code cell was executed, and what it shows was kept.

nbval alone does not see this: it compares only the outputs that a notebook holds, so a notebook
without outputs passes.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode
from notebooks import complaints

from rules import Fault
from rules.reading import numbered, parse_code

SHOWING = {"print", "display", "plots.figure"}
# Calls by these names return None, so a cell that ends in one shows nothing.
QUIET = {"append", "backward", "clear", "close", "extend", "sort", "step", "update", "zero_grad"}
AGAIN = "Run  make execute ONLY={}  and commit the result."


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    again = AGAIN.format(path.name[:2])
    found = [Fault(path.name, i + 1, text, again) for i, text in complaints(notebook)]
    for number, cell in numbered(notebook, "code"):
        found += [Fault(path.name, number, *what) for what in _lacks(cell, again)]
    return found


def _lacks(cell: NotebookNode, again: str) -> Iterator[tuple[str, str]]:
    if not cell.source.strip():
        yield "the code cell is empty.", "Delete it."
        return
    if cell.execution_count is None:
        yield "was never executed.", again
        return
    kinds = {output.output_type for output in cell.outputs}
    if "raises-exception" in cell.metadata.get("tags", []):
        if "error" not in kinds:
            yield "is tagged raises-exception, but keeps no error.", again
    elif not kinds and (what := _shows(cell.source)):
        yield f"{what} shows something, but no output is kept.", _cure(what, again)


def _shows(source: str) -> str | None:
    """The first piece of code that must leave an output behind."""
    body = parse_code(source).body
    for node in _surely_run(body):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SHOWING:
            return f"{ast.unparse(node.func)}(…)"
    if not body or not isinstance(body[-1], ast.Expr) or source.rstrip().endswith(";"):
        return None
    value = body[-1].value
    if isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in QUIET:
        return None
    return f"the last line, {ast.unparse(value).splitlines()[0]!r},"


def _surely_run(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes that run with the cell: not in a definition, and not under a condition."""
    skipped = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.IfExp)
    for node in nodes:
        if not isinstance(node, (*skipped, ast.ExceptHandler)):
            yield node
            yield from _surely_run(list(ast.iter_child_nodes(node)))


def _cure(what: str, again: str) -> str:
    if what.startswith("the last line"):
        quiet = "add its name to QUIET in book/_tools/rules/outputs.py."
        return f"{again} If it is a call that returns None, {quiet}"
    return again

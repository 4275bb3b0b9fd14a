"""Runs one notebook and notes every number that it compares or prints; for borders.py."""

from __future__ import annotations

import ast
import json
import operator
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from notebooks import read

CLOSE = ("allclose", "assert_close", "isclose")
SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NAMES = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
TOLERANCES = {"math": (1e-9, 0.0), "assert_close": (1.3e-6, 1e-5)}  # where none are named
LONGEST = 200  # notes of one place; a loop over pixels adds nothing after that


class Notes:
    """What the rewritten cells call. Each note has its place: cell, line, column."""

    def __init__(self) -> None:
        self.cell, self.kept, self.times = 0, [], Counter()

    def add(self, place: tuple[int, int], kind: str, **what: Any) -> None:
        where = (self.cell, *place)
        self.times[where] += 1
        if self.times[where] <= LONGEST:
            self.kept.append({"where": list(where), "kind": kind, **what})

    def compared(self, place: tuple[int, int], signs: str, *operands: Any) -> Any:
        """Compare, as in ``a < b <= c``, and note each pair of numbers."""
        result = True
        for sign, left, right in zip(signs.split(), operands, operands[1:], strict=False):
            a, b = number(left), number(right)
            if a is not None and b is not None and not (whole(left) and whole(right)):
                self.add(place, "compared", sign=sign, left=a, right=b)
            result = result and SIGNS[sign](left, right)
        return result

    def shown(self, place: tuple[int, int], value: Any, form: str) -> Any:
        """Note a number that is about to be printed in that form."""
        a = number(value)
        if a is not None and not whole(value):
            self.add(place, "printed", value=a, form=form)
        return value

    def close(self, place: tuple[int, int], function: Callable, *pair: Any, **how: Any) -> Any:
        """Note how much of its tolerance a call such as torch.allclose used up."""
        import torch

        a, b = (
            one.detach().cpu()
            if isinstance(one, torch.Tensor)
            else torch.tensor(one, dtype=torch.double)
            for one in pair[:2]
        )
        kind = "math" if function.__module__ == "math" else function.__name__
        relative, absolute = TOLERANCES.get(kind, (1e-5, 1e-8))
        relative = how.get("rtol", how.get("rel_tol", relative))
        absolute = how.get("atol", how.get("abs_tol", absolute))
        if a.is_floating_point() and a.shape == b.shape and a.numel():
            a, b = a.double(), b.double()
            used = ((a - b).abs() / (absolute + relative * b.abs() + 1e-300)).max().item()
            self.add(place, "close", used=used)
        return function(*pair, **how)


def number(value: Any) -> float | None:
    """The value as a float, where it is one number; else None."""
    if isinstance(value, bool | str) or getattr(value, "ndim", 0):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def whole(value: Any) -> bool:
    """Whether the value counts something, so that rounding cannot change it."""
    return isinstance(value, int) or "int" in str(getattr(value, "dtype", ""))


class Rewrite(ast.NodeTransformer):
    """Has each comparison, tolerance and printed number of a cell noted."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if not all(type(sign) in NAMES for sign in node.ops):
            return node
        signs = ast.Constant(" ".join(NAMES[type(sign)] for sign in node.ops))
        return self._call("compared", node, signs, node.left, *node.comparators)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        form = node.format_spec
        self.generic_visit(node)
        if form is None or not all(isinstance(part, ast.Constant) for part in form.values):
            return node
        text = "".join(part.value for part in form.values)
        node.value = self._call("shown", node, node.value, ast.Constant(text))
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOSE:
            call = self._call("close", node, node.func, *node.args)
            call.keywords = node.keywords
            return call
        return node

    def _call(self, name: str, node: ast.expr, *values: ast.expr) -> ast.Call:
        place = ast.Tuple([ast.Constant(node.lineno), ast.Constant(node.col_offset)], ast.Load())
        notes = ast.Attribute(ast.Name("__borders__", ast.Load()), name, ast.Load())
        return ast.Call(notes, [place, *values], [])


def run(path: Path) -> list[dict]:
    """Run the notebook's cells in its own folder and return the notes, in order."""
    from IPython.core.interactiveshell import InteractiveShell

    os.environ.setdefault("MPLBACKEND", "agg")
    os.chdir(path.parent)
    shell, notes = InteractiveShell.instance(), Notes()
    shell.ast_transformers.append(Rewrite())
    shell.user_ns["__borders__"] = notes
    for notes.cell, cell in enumerate(read(path).cells):
        if cell.cell_type != "code":
            continue
        error = shell.run_cell(cell.source, store_history=False).error_in_exec
        if error and "raises-exception" not in cell.metadata.get("tags", []):
            notes.add((0, 0), "raised", says=f"{type(error).__name__}: {error}")
    return notes.kept


if __name__ == "__main__":
    found = run(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")

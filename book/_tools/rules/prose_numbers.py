"""Every number in the prose is proven.

A number that states something must stand, with the same value, in an output or in the code of its
notebook, or in a record that the code names, or in a sentence that links its source. What states
something, and what a value is, stands in rules.numbers.
"""

import ast
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from rules import Fault
from rules.numbers import (
    FORMULA,
    FORMULA_END,
    GAP,
    HOLE,
    KINDS,
    SOURCE,
    Number,
    claims,
    normal,
    numbers,
)
from rules.prose import sentences
from rules.reading import numbered, parse_code, root_of

PROMISE = re.compile(r"· reads in about \d+ minutes\.")  # the rule `limits` reckons it
RECORD = re.compile(r"\bresults/[\w./-]+\.json\b")
CURE = (
    "Print it in a cell of this notebook, or name the record that holds it (results/….json) in the "
    "code, or link its source in the same sentence or table row."
)


class Proof(NamedTuple):
    """The values that a notebook's cells and records hold."""

    values: set[Decimal]
    percentages: set[Decimal]  # proves percentages only: "24 %" does not prove "24 pairs"

    def holds(self, claim: Number) -> bool:
        by_percentage = claim.kind == "percentage" and claim.value in self.percentages
        return by_percentage or claim.value in self.values

    def add_text(self, text: str) -> None:
        for number in numbers(normal(text)):
            kind = self.percentages if number.kind == "percentage" else self.values
            kind.add(number.value)


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    """One fault for each number without proof in a sentence, and for each record not there."""
    proof, found = Proof(set(), set()), []
    for number, cell in numbered(notebook, "code"):
        for record in _add_cell(proof, cell, path):
            problem = f"names the record {record}, which is not there or is no JSON."
            found.append(Fault(path.name, number, problem, "Correct the name, or make the record."))
    for number, cell in enumerate(notebook.cells, start=1):
        for place, sentence in sentences(cell):
            if SOURCE not in sentence and not PROMISE.search(sentence):
                unproven = {c.text: c for c in claims(sentence) if not proof.holds(c)}
                for claim in unproven.values():
                    problem = _problem(claim, place, sentence)
                    found.append(Fault(path.name, number, problem, CURE))
    return found


def _problem(claim: Number, place: str, sentence: str) -> str:
    what = f"the {claim.kind}" if claim.kind in KINDS else "the number"
    start, end = max(claim.start - 60, 0), claim.end + 60
    quote = ("…" if start else "") + sentence[start:end] + ("…" if end < len(sentence) else "")
    shown = str.maketrans({FORMULA: "$", FORMULA_END: "$", HOLE: "`…`", SOURCE: None})
    quote = " ".join(quote.translate(shown).split())
    return f"{what} {claim.text!r} in the {place} has no proof: “{quote}”."


# What proves a number.


def _add_cell(proof: Proof, cell: NotebookNode, path: Path) -> Iterator[str]:
    """Add what a code cell holds; yield the records it names that cannot be read."""
    for text in _printed(cell):
        proof.add_text(text)
    for constant in _constants(cell.source):
        if isinstance(constant, Decimal):
            proof.values.add(constant)
            continue
        proof.add_text(constant)
        for name in RECORD.findall(constant):
            if not _add_record(proof, name, path):
                yield name


def _printed(cell: NotebookNode) -> Iterator[str]:
    """The text that a reader sees below a cell; a picture's repr is not part of it."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.output_type == "stream" and output.name == "stdout":
            yield output.text
        elif output.output_type == "error":
            yield output.evalue
        elif not any(mime.startswith("image/") for mime in data):
            yield data.get("text/plain", "")


def _constants(source: str) -> Iterator[Decimal | str]:
    """The numbers and strings of a cell's code, and the lengths of the lists written out in it.

    Comments, docstrings and format specifications prove nothing.
    """
    skipped: set[ast.AST] = set()
    for node in ast.walk(parse_code(source)):
        if node in skipped:
            skipped.update(ast.iter_child_nodes(node))
        elif isinstance(node, ast.FormattedValue) and node.format_spec:
            skipped.add(node.format_spec)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield from (-value for value in _numeric(node.operand))
        elif isinstance(node, ast.List | ast.Tuple) and all(map(_is_constant, node.elts)):
            yield Decimal(len(node.elts))
        elif isinstance(node, ast.JoinedStr):
            skipped.update(part for part in node.values if isinstance(part, ast.Constant))
            yield "".join(part.value if _is_constant(part) else GAP for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        else:
            yield from _numeric(node)


def _numeric(node: ast.AST) -> list[Decimal]:
    value = node.value if isinstance(node, ast.Constant) else None
    return [Decimal(repr(value))] if type(value) in (int, float) else []


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


def _add_record(proof: Proof, name: str, path: Path) -> bool:
    """Add the numbers of a record; a share, 0.97, also proves its percentage, 97 %."""

    def add(text: str) -> None:
        proof.values.add(Decimal(text))
        proof.percentages.add(100 * Decimal(text))

    try:
        text = (root_of(path) / name).read_text(encoding="utf-8")
        json.loads(text, parse_float=add, parse_int=add)
    except (OSError, ValueError):
        return False
    return True

"""Put the networks of the book together in one file that needs PyTorch alone, to be copied.

    python book/_tools/one_file.py > resnet.py

It is made from resnet_lib, so that it cannot differ from it: the blocks, the networks for ImageNet
and for CIFAR, how they begin, and of the checks at their doors those that they use.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "resnet_lib"
# The checks at the doors come first; of them those are taken that the others use.
MODULES = ("arguments", "blocks", "nets/initialisation", "nets/resnet", "nets/cifar")
HEAD = '''"""Residual networks of He et al. 2015 (arXiv:1512.03385), for PyTorch, in one file.

resnet18 to resnet152 for ImageNet have torchvision's parameter names and load its weights with
`load_state_dict`; CifarResNet is the paper's network for CIFAR-10. Put together from the library
of the book Residual Networks, Built and Measured. MIT licence.
"""
'''


def one_file(root: Path = ROOT) -> str:
    """The file's text."""
    checks, *others = (list(_statements(root / LIBRARY / f"{name}.py")) for name in MODULES)
    networks = [s for part in others for s in part]
    statements = [*_needed(checks, {name for s in networks for name in _names(s)}), *networks]
    used = {name for s in statements for name in _names(s)}
    imports = {one for s in statements for one in _imports(s) if one.bound in used}
    body = [s.text for s in statements if not _is_import(s)]
    return "\n".join([HEAD, *_lines(imports), "", "", "\n\n\n".join(body), ""])


class Import(NamedTuple):
    """A name that is imported: of "from torch import nn" the module "torch" and the name "nn"."""

    module: str
    name: str
    bound: str


@dataclass
class Statement:
    """A statement at the top of a module, with its text and the comments above it."""

    node: ast.stmt
    text: str


def _statements(path: Path) -> Iterator[Statement]:
    """All but the module's docstring, `__all__` and imports of the library itself.

    The string under a constant, which documents it, belongs to the constant.
    """
    source = path.read_text(encoding="utf-8")
    lines, end, last = source.splitlines(), 0, None
    for node in ast.parse(source).body:
        text = "\n".join(lines[end : node.end_lineno]).strip("\n")
        end = node.end_lineno or 0
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if last is not None:
                last.text += f"\n{text}"
            continue
        is_own = isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY)
        is_list = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if not is_own and not is_list:
            last = Statement(node, text)
            yield last


def _names(statement: Statement) -> set[str]:
    """What a statement refers to."""
    if _is_import(statement):
        return set()
    return {node.id for node in ast.walk(statement.node) if isinstance(node, ast.Name)}


def _needed(checks: list[Statement], used: set[str]) -> list[Statement]:
    """Of the checks those that are used, also by each other; imports stay."""
    functions = {s.node.name: s for s in checks if isinstance(s.node, ast.FunctionDef)}
    wanted: set[str] = set()
    while new := (used & set(functions)) - wanted:
        wanted |= new
        used = {name for one in new for name in _names(functions[one])}
    return [s for s in checks if getattr(s.node, "name", None) in wanted or _is_import(s)]


def _is_import(statement: Statement) -> bool:
    return isinstance(statement.node, ast.Import | ast.ImportFrom)


def _imports(statement: Statement) -> Iterator[Import]:
    node = statement.node
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for name in node.names:
            yield Import(module, ast.unparse(name), name.asname or name.name.split(".")[0])


def _lines(imports: set[Import]) -> Iterator[str]:
    """The standard library's, then PyTorch's; of one module together."""
    lines: dict[tuple[bool, bool, str], list[str]] = {}
    for module, name, _ in sorted(imports):
        key = ((module or name).split(".")[0] == "torch", bool(module), module or name)
        lines.setdefault(key, []).append(name)
    before = False
    for (is_torch, is_from, module), names in sorted(lines.items()):
        if is_torch and not before:
            yield ""
        before = is_torch
        listed = ", ".join(sorted(names))
        yield f"from {module} import {listed}" if is_from else f"import {listed}"


if __name__ == "__main__":
    sys.stdout.write(one_file())

"""Each notebook is in normal form, byte for byte: each change in a commit then means something."""

from pathlib import Path

from nbformat import NotebookNode
from notebooks import normalise, to_text

from rules import Fault


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    held = path.read_bytes()
    normal = to_text(normalise(notebook)).encode()
    if held == normal:
        return []
    pairs = zip(held.splitlines(), normal.splitlines(), strict=False)
    shared = min(len(held.splitlines()), len(normal.splitlines()))
    line = next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), shared)
    problem = f"is not in normal form; the first difference is at line {line} of the file."
    cure = "Run  python book/_tools/execute.py --tidy  and commit the result."
    return [Fault(path.name, None, problem, cure)]

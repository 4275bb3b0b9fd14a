"""Reading, normalising and writing the book's notebooks.

The normal form keeps what a reader sees and drops what only a machine left behind. Two runs of an
unchanged notebook then give the same file, but for the date, and each change in a commit means
something.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode, v4

ROOT = Path(__file__).resolve().parents[2]

KEPT_CELL_METADATA = ("mystnb", "tags")
PICTURES = ("image/png", "image/svg+xml", "image/jpeg")
# In a picture's metadata: the numbers that it shows, as figure_data.py has read them.
NUMBERS = "figure_numbers"
KEPT_PROVENANCE = ("device", "executed", "python", "torch", "torchvision")
PNG_NOISE = {b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"pHYs"}
VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")

# A slash that opens a path of two parts; not a closing tag, an address, a fraction or "a/b/c".
ABSOLUTE_PATH = re.compile(r"(?<![\w.~<>/:)\]])/[A-Za-z_][\w.-]*/[\w.-]+|file://|\b[A-Za-z]:\\\w")
MEMORY_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}", re.IGNORECASE)


def notebook_paths(root: Path = ROOT) -> list[Path]:
    """All notebooks of the book: the chapters, then their solutions."""
    chapters = root / "chapters"
    return sorted(chapters.glob("*.ipynb")) + sorted(chapters.glob("solutions/*.ipynb"))


def chosen(paths: list[Path], only: str | None) -> list[Path]:
    """The notebooks with that number, or with that text in their name; all without ``only``."""
    if not only:
        return paths
    if only.isdigit():
        return [path for path in paths if path.name.startswith(f"{int(only):02d}_")]
    return [path for path in paths if only in path.stem]


def read(path: Path) -> NotebookNode:
    """Read a notebook as it is. (nbformat.read would give random ids to cells that have none.)"""
    return v4.reads(path.read_text(encoding="utf-8"))


def to_text(notebook: NotebookNode) -> str:
    """The text of a notebook's file."""
    return v4.writes(notebook, ensure_ascii=False) + "\n"


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(to_text(notebook), encoding="utf-8", newline="\n")
    os.replace(unfinished, path)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The notebook in normal form.

    Applied twice it changes nothing more. A cell without an execution count keeps none: tidying
    must not make a cell look executed.
    """
    count, taken, normal = 0, set(), []
    for cell in notebook.cells:
        count += cell.cell_type == "code"
        normal.append(_normal_cell(cell, count, taken))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    made = notebook.metadata.get("resnet_book", {})
    if made:
        metadata["resnet_book"] = {key: made[key] for key in KEPT_PROVENANCE if key in made}
    form = {"nbformat": 4, "nbformat_minor": 5}
    return v4.to_notebook({**form, "metadata": metadata, "cells": normal})


def picture_kinds(output: NotebookNode) -> list[str]:
    """In which formats an output holds a picture; empty where it holds none."""
    return [kind for kind in PICTURES if kind in output.get("data", {})]


def complaints(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """What the author must mend before the notebook can be kept: (cell index, what and how)."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            for output in cell.outputs:
                yield from ((index, text) for text in _output_complaints(cell, output))


def _normal_cell(cell: NotebookNode, count: int, taken: set[str]) -> dict:
    source = "\n".join(line.rstrip() for line in cell.source.split("\n")).rstrip("\n")
    metadata = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if cell.metadata.get(key)}
    if "tags" in metadata:
        metadata["tags"] = sorted(set(metadata["tags"]))
    normal = {
        "id": _cell_id(cell, source, taken),
        "cell_type": cell.cell_type,
        "metadata": metadata,
        "source": source,
    }
    if cell.cell_type == "code":
        executed = count if cell.get("execution_count") is not None else None
        normal["execution_count"] = executed
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        normal["outputs"] = _normal_outputs(cell.get("outputs", []), executed, alt)
    elif cell.get("attachments"):
        normal["attachments"] = cell.attachments
    return normal


def _cell_id(cell: NotebookNode, source: str, taken: set[str]) -> str:
    """The cell's own id; where it is missing or taken, one drawn from what the cell says."""
    own = cell.get("id") or ""
    number = 0
    while not VALID_ID.match(own) or own in taken:
        own = hashlib.sha256(f"{cell.cell_type} {number} {source}".encode()).hexdigest()[:8]
        number += 1
    taken.add(own)
    return own


def _normal_outputs(outputs: list[NotebookNode], count: int | None, alt: str) -> list[dict]:
    normal: list[dict] = []
    for output in outputs:
        if output.output_type == "stream":
            last = normal[-1] if normal else {}
            if last.get("name") == output.name:
                last["text"] += output.text
            else:
                normal.append({"output_type": "stream", "name": output.name, "text": output.text})
        elif output.output_type == "error":
            normal.append(_normal_error(output))
        else:
            normal.append(_normal_display(output, count, alt))
    return normal


def _normal_error(output: NotebookNode) -> dict:
    # nbval compares the kind and the message; the frames above them name files of one machine.
    last_line = f"{output.ename}: {output.evalue}"
    kept = {"output_type": "error", "ename": output.ename, "evalue": output.evalue}
    return {**kept, "traceback": [last_line]}


def _normal_display(output: NotebookNode, count: int | None, alt: str) -> dict:
    # The text beside an image, "<Figure size …>", stays: nbval compares it in place of the pixels.
    data = dict(output.data)
    if "image/png" in data:
        data["image/png"] = _slim_png(data["image/png"])
    # Where Jupyter's own tools look for an alt text; the book takes the cell's, as MyST does.
    metadata = {kind: {"alt": alt} for kind in picture_kinds(output) if alt}
    if picture_kinds(output) and NUMBERS in output.metadata:
        metadata[NUMBERS] = output.metadata[NUMBERS]
    normal = {"output_type": output.output_type, "data": data, "metadata": metadata}
    if output.output_type == "execute_result":
        normal["execution_count"] = count
    return normal


def _slim_png(encoded: str) -> str:
    """The same pixels without the maker's notes, compressed once.

    A picture without such notes is left alone: compressors differ between machines, and the normal
    form must not.
    """
    raw = base64.b64decode(encoded)
    if PNG_NOISE & set(_png_chunks(raw)):
        # Imported here, because checking a notebook that is normal already needs no Pillow.
        from PIL import Image

        image = Image.open(io.BytesIO(raw))
        if image.mode == "RGBA" and image.getextrema()[3] == (255, 255):
            image = image.convert("RGB")
        slim = io.BytesIO()
        image.info = {}
        image.save(slim, "PNG", optimize=True)
        raw = slim.getvalue()
    return base64.b64encode(raw).decode("ascii")


def _png_chunks(raw: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(raw):
        yield raw[place + 4 : place + 8]
        place += 12 + int.from_bytes(raw[place : place + 4], "big")


def _output_complaints(cell: NotebookNode, output: NotebookNode) -> Iterator[str]:
    may_raise = "raises-exception" in cell.metadata.get("tags", [])
    if output.output_type == "error" and not may_raise:
        yield f"raised {output.ename}: {output.evalue}. Mend it, or tag the cell raises-exception."
    if output.output_type == "stream" and output.name == "stderr" and not may_raise:
        yield f"wrote to stderr: {_shorten(output.text)}. Mend the warning or switch the bar off."
    for text in _texts(output):
        if found := ABSOLUTE_PATH.search(text):
            yield f"its output shows an absolute path, {found[0]!r}. Print the file's name only."
        if found := MEMORY_ADDRESS.search(text):
            yield f"its output shows a memory address, {found[0]!r}. Print a part only."
        if "\x1b[" in text:
            yield "its output holds terminal colour codes. Print plain text."
    if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
        yield "its output is a widget, which the book cannot keep. Print plain text."


def _texts(output: NotebookNode) -> Iterator[str]:
    yield output.get("text", "")
    yield output.get("evalue", "")
    for kind, value in output.get("data", {}).items():
        if isinstance(value, str) and (kind.startswith("text/") or kind == "image/svg+xml"):
            yield value


def _shorten(text: str, width: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"

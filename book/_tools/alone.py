"""Make from each chapter and solution a notebook that runs alone.

    python book/_tools/alone.py FOLDER [--only 03]

Its first code cell brings along what it needs of this repository. It runs in an empty folder, with
PyTorch, torchvision, NumPy, matplotlib and scikit-learn. Outputs are kept; a picture has its alt
text beside it. A link to another page leads to the published book or, where there is none, is a
name.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import io
import lzma
import posixpath
import re
import sys
import zipfile
from pathlib import Path

from carried import Carried, carried
from nbformat import NotebookNode, v4
from notebooks import ROOT, chosen, notebook_paths, picture_kinds, read, to_text, write

FIRST_CELL_ID = "library"
TEMPLATE = Path(__file__).with_name("first_cell.py")
LINE = 120  # characters of base64
LINK = re.compile(r"(?<![!\\])\[([^\[\]]+)\]\(([^()\s]+)\)")
TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
FOLDED = "hide-input"  # the tag by which MyST folds a cell's code


def name_of(path: Path) -> str:
    """Where the notebook lies among those that run alone: "03_x.ipynb", "solutions/03_x.ipynb"."""
    return "/".join(path.parts[path.parts.index("chapters") + 1 :])


def stand_alone(path: Path, root: Path = ROOT, pages: str | None = None) -> NotebookNode:
    """The notebook that runs alone.

    Args:
        path: the chapter or solution.
        root: the repository that it is in.
        pages: address of the published book, without a slash at the end; None where there is none.

    Raises:
        ValueError: it needs something that the repository lacks; see `carried`.
    """
    notebook = _to_be_read(path, root, pages)
    needed = carried(notebook, root)
    first = next((i for i, c in enumerate(notebook.cells) if c.cell_type == "code"), None)
    if first is not None:
        notebook.cells.insert(first, _first_cell(needed))
    notebook.metadata["resnet_book"] = {
        **notebook.metadata.get("resnet_book", {}),
        "made_from": fingerprint(path, root, pages),
    }
    return notebook


def fingerprint(path: Path, root: Path, pages: str | None) -> str:
    """What the notebook that runs alone is made from, in short."""
    notebook = _to_be_read(path, root, pages)
    found = hashlib.sha256(to_text(notebook).encode())
    tools = {file.name: file for file in sorted(TEMPLATE.parent.glob("*.py"))}
    for place, file in sorted((carried(notebook, root).files | tools).items()):
        found.update(place.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def write_alone(folder: Path, root: Path = ROOT, pages: str | None = None, only: str | None = None):
    """Write the notebooks into a folder, those that have changed; yield where each one lies."""
    for path in chosen(notebook_paths(root), only):
        place = folder / name_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        mark = fingerprint(path, root, pages)
        if not (place.is_file() and mark in place.read_text(encoding="utf-8")):
            write(stand_alone(path, root, pages), place)
        yield place


def _to_be_read(path: Path, root: Path, pages: str | None) -> NotebookNode:
    """The notebook as it reads elsewhere: links, alt texts, counts. It lacks the first cell."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source, path, root, pages)
            continue
        if FOLDED in cell.metadata.get("tags", []):
            cell.metadata.update(_folded())
        cell.outputs = [_with_alt(output) for output in cell.outputs]
        for counted in (cell, *cell.outputs):
            if counted.get("execution_count"):
                counted.execution_count += 1
    return notebook


def relinked(text: str, path: Path, root: Path, pages: str | None) -> str:
    """Markdown whose links within the repository lead to the published book, or are names."""

    def replace(link: re.Match) -> str:
        words, address = link.groups()
        if re.match(r"[a-z]+:", address):
            return link[0]
        place, _, anchor = address.partition("#")
        target = posixpath.normpath(posixpath.join(path.relative_to(root).parent.as_posix(), place))
        target = target if place else path.relative_to(root).as_posix()
        if pages:
            page = f"{pages}/{target.rpartition('.')[0]}.html"
            return f"[{words}]({page}{'#' + anchor if anchor else ''})"
        return words if not place else _named(words, root / target)

    parts = re.split(r"(^```.*?^```|`[^`\n]+`)", text, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [LINK.sub(replace, part) for part in parts[::2]]
    return "".join(parts)


def _named(words: str, target: Path) -> str:
    """The words of a link, with the target's title where they do not name it by its number."""
    number = target.name.partition("_")[0]
    if number in words and "solutions" not in target.parts:
        return words
    text = target.read_text(encoding="utf-8")
    if target.suffix == ".ipynb":
        text = "\n".join(c.source for c in v4.reads(text).cells if c.cell_type == "markdown")
    return f"{words} (“{TITLE.search(text)[1]}”)"


def _with_alt(output: NotebookNode) -> NotebookNode:
    """A picture as HTML with its alt text; most programs show no other alt text of an output."""
    for kind in picture_kinds(output):
        alt = output.metadata.get(kind, {}).get("alt")
        if not alt:
            continue
        picture = output.data.pop(kind)
        if kind == "image/svg+xml":
            picture = base64.b64encode(picture.encode()).decode("ascii")
        source = f"data:{kind};base64,{picture.strip()}"
        output.data["text/html"] = f'<img alt="{html.escape(alt)}" src="{source}">'
        output.data["text/plain"] = alt
        output.metadata = {}
    return output


def _first_cell(needed: Carried) -> NotebookNode:
    code = TEMPLATE.read_text(encoding="utf-8").replace("# @title", "#@title")
    code = code.replace("PACKAGES", repr(needed.packages))
    code = code.replace("ZIP", _packed(needed.files))
    folded = {**_folded(), "tags": [FOLDED]}
    cell = v4.new_code_cell(code.rstrip("\n"), id=FIRST_CELL_ID, metadata=folded)
    cell.execution_count = 1
    return cell


def _folded() -> dict:
    """What folds a cell's code in Colab, and in JupyterLab and VS Code; it opens at a click."""
    return {"cellView": "form", "jupyter": {"source_hidden": True}}


def _packed(files: dict[str, Path]) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as unpressed:
        for place, file in sorted(files.items()):
            # Without the file's date, so that the same content gives the same notebook.
            unpressed.writestr(zipfile.ZipInfo(place), file.read_bytes())
    # Pressed as a whole, modules that are alike take a third less than one by one.
    text = base64.b64encode(lzma.compress(archive.getvalue())).decode("ascii")
    return "\n".join(text[start : start + LINE] for start in range(0, len(text), LINE))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to put them; made if it is not there")
    parser.add_argument("--only", metavar="NAME", help="a chapter's number, or part of a name")
    options = parser.parse_args(arguments)
    for place in write_alone(options.folder, only=options.only):
        print(f"{place.stat().st_size / 1e3:8.0f} kB  {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

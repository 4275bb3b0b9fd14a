"""Make from each chapter and solution a notebook that runs alone.

    python book/_tools/alone.py FOLDER [--only 03]

Its first code cell brings along what it needs of this repository. It runs in an empty folder, with
PyTorch, torchvision, NumPy, matplotlib and scikit-learn. Outputs are kept; a picture has its alt text
beside it. A link to another page leads to the published book or, where there is none, is a name.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import lzma
import posixpath
import re
import sys
import textwrap
import zipfile
from pathlib import Path

from carried import carried
from nbformat import NotebookNode, v4
from notebooks import ROOT, chosen, notebook_paths, picture_kinds, read, write

FIRST_CELL_ID = "library"
TEMPLATE = Path(__file__).with_name("first_cell.py")
LINE = 120  # characters of base64
LINK = re.compile(r"(?<![!\\])\[([^\[\]]+)\]\(([^()\s]+)\)")
TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


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
    notebook = read(path)
    first = next((i for i, c in enumerate(notebook.cells) if c.cell_type == "code"), None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source, path, root, pages)
        else:
            cell.outputs = [_with_alt(output) for output in cell.outputs]
            cell.execution_count = cell.execution_count and cell.execution_count + 1
            for output in cell.outputs:
                if output.get("execution_count"):
                    output.execution_count += 1
    if first is not None:
        notebook.cells.insert(first, _first_cell(notebook, root))
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


def _first_cell(notebook: NotebookNode, root: Path) -> NotebookNode:
    needed = carried(notebook, root)
    code = TEMPLATE.read_text(encoding="utf-8").replace("# @title", "#@title")
    code = re.sub(r"  # noqa: F821$", "", code, flags=re.MULTILINE)
    code = code.replace("PACKAGES", repr(needed.packages))
    code = code.replace("ZIP", "\n".join(textwrap.wrap(_packed(needed.files), LINE)))
    # Folded in JupyterLab and VS Code, in Colab, and in books made with MyST.
    folded = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
    cell = v4.new_code_cell(code.rstrip("\n"), id=FIRST_CELL_ID, metadata=folded)
    cell.execution_count = 1
    return cell


def _packed(files: dict[str, Path]) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as unpressed:
        for place, file in sorted(files.items()):
            # Without the file's date, so that the same content gives the same notebook.
            unpressed.writestr(zipfile.ZipInfo(place), file.read_bytes())
    # Pressed as a whole, modules that are alike take a third less than one by one.
    return base64.b64encode(lzma.compress(archive.getvalue())).decode("ascii")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to put them; made if it is not there")
    parser.add_argument("--only", metavar="NAME", help="a chapter's number, or part of a name")
    options = parser.parse_args(arguments)
    for path in chosen(notebook_paths(), options.only):
        place = options.folder / name_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        write(stand_alone(path), place)
        print(f"{place.stat().st_size / 1e3:8.0f} kB  {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The book's numbered figures as files, to be shown in class: diagrams as SVG, plots as PNG.

    python book/_tools/figures.py _build/figures              those of all chapters
    python book/_tools/figures.py _build/figures --only 07    those of one

They are taken from the notebooks' outputs; nothing is run. Beside a plot lie its numbers as CSV.
figures.csv has, for each, its number, its file, its caption, its alt text and the file of numbers.
"""

import argparse
import base64
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from figure_tables import CAPTION, Numbers, as_csv, kept
from nbformat import NotebookNode
from notebooks import PICTURES, ROOT, chosen, notebook_paths, picture_kinds, read

SUFFIXES = dict(zip(PICTURES, (".png", ".svg", ".jpg"), strict=True))


class Figure(NamedTuple):
    """A figure of a chapter; the caption is Markdown."""

    number: str
    kind: str
    content: bytes
    caption: str
    alt: str
    numbers: Numbers | None

    @property
    def file(self) -> str:
        chapter, place = self.number.split(".")
        return f"figure-{chapter.zfill(2)}-{place}{SUFFIXES[self.kind]}"

    @property
    def data(self) -> str:
        """The file of its numbers; empty where it has none."""
        has = self.numbers and self.numbers.panels
        return f"{self.file.rpartition('.')[0]}.csv" if has else ""


def figures(notebook: NotebookNode) -> Iterator[Figure]:
    """The notebook's figures: a cell that shows a picture, with the caption in the next cell."""
    for cell, after in zip(notebook.cells, notebook.cells[1:], strict=False):
        caption = CAPTION.match(after.source)
        for output in cell.get("outputs", ()) if caption else ():
            for kind in picture_kinds(output)[-1:]:
                held = output["data"][kind]
                is_text = kind == "image/svg+xml"
                content = held.encode() if is_text else base64.b64decode(held)
                alt = cell.metadata["mystnb"]["image"]["alt"]
                text = caption["text"].partition("\n\n")[0]
                yield Figure(caption["number"], kind, content, text, alt, kept(cell))


def chapters(only: str | None) -> list[Path]:
    return [path for path in chosen(notebook_paths(ROOT), only) if path.parent.name == "chapters"]


def write(paths: list[Path], target: Path) -> int:
    """Write the figures and their list; return how many there are."""
    target.mkdir(parents=True, exist_ok=True)
    found = [figure for path in paths for figure in figures(read(path))]
    for figure in found:
        (target / figure.file).write_bytes(figure.content)
        if figure.data:
            (target / figure.data).write_text(as_csv(figure.numbers), "utf-8", newline="")
    with (target / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["figure", "file", "caption", "alt text", "numbers"])
        rows.writerows([one.number, one.file, one.caption, one.alt, one.data] for one in found)
    return len(found)


def asked(words: list[str], description: str) -> tuple[list[Path], Path]:
    """The chapters and the folder that a command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("target", type=Path, metavar="FOLDER")
    parser.add_argument("--only", metavar="NN", help="one chapter, by number or part of its name")
    options = parser.parse_args(words)
    paths = chapters(options.only)
    if not paths:
        parser.error(f"there is no chapter {options.only!r}")
    return paths, options.target


def main(words: list[str]) -> int:
    paths, target = asked(words, "Write the book's figures as files.")
    print(f"{write(paths, target)} figures, and figures.csv, which lists them, are in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

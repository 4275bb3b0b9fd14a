"""Slides for a lesson, made of what a chapter shows: question, figures, summary, quick questions.

    python book/_tools/slides.py _build/slides              a page for each chapter
    python book/_tools/slides.py _build/slides --only 07    one chapter

A page runs in any browser, without a network: arrow keys turn the slides, and answers unfold.
Printed, it gives a slide a sheet. Copy the folder whole; the formulas' letters lie in katex/.
"""

import base64
import re
import shutil
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from figures import Figure, asked, figures
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from notebooks import ROOT, read
from rules.questions import QUESTION
from rules.reading import numbered

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from book_ext.assets import node_module
from book_ext.maths import Typesetter

PAGE = Path(__file__).with_name("slides.html")
PLACE_IN_BOOK = re.compile(r'<a href="(?!https?:)[^"]*">(.*?)</a>', re.DOTALL)


def renderer(typesetter: Typesetter) -> MarkdownIt:
    """Markdown to HTML, formulas typeset; links to places in the book become plain words."""

    def formula(latex: str, options: dict) -> str:
        return typesetter.ask(latex, options["display_mode"])["html"]

    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=formula)


def section(notebook: NotebookNode, title: str) -> str:
    """The text under a heading of the second level, up to the next one."""
    text = "\n\n".join(cell.source for _, cell in numbered(notebook, "markdown"))
    return re.split(r"^## ", text.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def texts(notebook: NotebookNode) -> Iterator[str]:
    """What stands on the slides in words, before and after the figures ("")."""
    yield notebook.cells[0].source.partition("**Needs:**")[0]
    yield f"## Predict first\n{section(notebook, 'Predict first')}"
    yield ""
    yield f"## Summary\n{section(notebook, 'Summary')}"
    _, *parts = QUESTION.split("\n" + section(notebook, "Quick questions"))
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        yield f"## Question {number}\n\n{text}"


def picture(figure: Figure, markdown: MarkdownIt) -> str:
    data = f"data:{figure.kind};base64,{base64.b64encode(figure.content).decode()}"
    caption = markdown.renderInline(figure.caption)
    image = f'<img src="{data}" alt="{escape(figure.alt)}">'
    return f"<figure>{image}<figcaption>{figure.number} · {caption}</figcaption></figure>"


def slides(notebook: NotebookNode, markdown: MarkdownIt) -> Iterator[str]:
    for text in texts(notebook):
        if text:
            yield PLACE_IN_BOOK.sub(r"\1", markdown.render(text))
        else:
            for figure in figures(notebook):
                yield PLACE_IN_BOOK.sub(r"\1", picture(figure, markdown))


def write(paths: list[Path], target: Path) -> None:
    katex = node_module(ROOT, "katex") / "dist"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(katex / "fonts", target / "katex" / "fonts", dirs_exist_ok=True)
    shutil.copy(katex / "katex.min.css", target / "katex")
    typesetter = Typesetter(ROOT)
    try:
        markdown = renderer(typesetter)
        for path in paths:
            notebook = read(path)
            made = "\n".join(f"<section>{one}</section>" for one in slides(notebook, markdown))
            title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
            page = PAGE.read_text(encoding="utf-8").replace("{title}", escape(title))
            text = page.replace("{slides}", made)
            (target / f"{path.stem}.html").write_text(text, encoding="utf-8")
    finally:
        typesetter.stop()


def main(words: list[str]) -> int:
    paths, target = asked(words, "Make slides of the chapters.")
    write(paths, target)
    print("The slides are made. Open:")
    for path in paths:
        print(f"  {(target / path.stem).resolve().as_uri()}.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the rules share: finding cells, headings and the repository, parsing code and Markdown."""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from IPython.core.inputtransformer2 import TransformerManager
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

# Without text_join an escaped character keeps a token of its own, so that \( can be told from (.
MARKDOWN = MarkdownIt("commonmark").enable("table").disable("text_join").use(dollarmath_plugin)

FOLDED = "hide-input"


class Heading(NamedTuple):
    cell: int
    level: int
    title: str


class Link(NamedTuple):
    cell: int
    text: str
    address: str


def numbered(notebook: NotebookNode, kind: str) -> Iterator[tuple[int, NotebookNode]]:
    """The cells of one kind, "code" or "markdown", each with its number in the notebook."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == kind:
            yield number, cell


def is_solution(path: Path) -> bool:
    return path.parent.name == "solutions"


def is_appendix(path: Path) -> bool:
    """An appendix is named A1_…: a page to look things up in, without exercises."""
    return not is_solution(path) and re.match(r"A\d+_", path.name) is not None


def is_questions(cell: NotebookNode) -> bool:
    """Quick questions: to be tried, not read on end; they have bounds of their own."""
    return cell.source.startswith("## Quick questions")


def is_folded(cell: NotebookNode) -> bool:
    """Its code is shown on request; the book and Colab fold it."""
    return FOLDED in cell.metadata.get("tags", [])


def root_of(path: Path) -> Path:
    """The repository that holds the notebook, found from the notebook's place in it."""
    return path.parents[2] if is_solution(path) else path.parents[1]


def parse_code(source: str) -> ast.Module:
    """The syntax tree of a code cell; that of an empty cell where the source is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return ast.parse(TransformerManager().transform_cell(source))
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])


def headings(notebook: NotebookNode) -> list[Heading]:
    return [
        Heading(number, int(token.tag[1]), plain_text(tokens[place + 1]))
        for number, cell in numbered(notebook, "markdown")
        for tokens in [MARKDOWN.parse(cell.source)]
        for place, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def links(notebook: NotebookNode) -> list[Link]:
    return [
        Link(number, text, address)
        for number, cell in numbered(notebook, "markdown")
        for token in MARKDOWN.parse(cell.source)
        for text, address in _links_of(token.children or [])
    ]


def _links_of(children: list[Token]) -> Iterator[tuple[str, str]]:
    for place, token in enumerate(children):
        if token.type == "link_open":
            after = children[place + 1 :]
            end = next(i for i, other in enumerate(after) if other.type == "link_close")
            yield "".join(other.content for other in after[:end]).strip(), str(token.attrs["href"])


def plain_text(inline: Token) -> str:
    """The text of a heading or paragraph as the book's anchors are made from it: without maths."""
    shown = ("text", "text_special", "code_inline")
    return "".join(child.content for child in inline.children or [] if child.type in shown)

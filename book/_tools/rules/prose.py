"""The prose of a cell as sentences of plain text.

Formulas, code and source links leave marks in it, which rules.numbers knows.
"""

import re
from collections.abc import Iterator

from markdown_it.token import Token
from nbformat import NotebookNode

from rules.numbers import FORMULA, FORMULA_END, HOLE, NUMBER, SOURCE, UNIT, normal
from rules.reading import MARKDOWN

SOURCE_LINK = re.compile(r"https?://|doi:|(?:.*/)?references\.(?:md|html)\b", re.IGNORECASE)
SENTENCE_END = re.compile(rf"(?<=[.!?])[\"'”’)\]{SOURCE}{FORMULA_END}]*\s+(?=[^\sa-z])")
# A full stop after one of these, or after an initial, ends no sentence.
SHORT = re.compile(r"(?:\b(?i:e\.g|i\.e|et al|vs|cf|approx|figs?|eqs?|secs?|pp?)|\b[A-Z])\.$")
SUBSCRIPT = re.compile(r"_(?:\{[^}]*\}|\w)")


def sentences(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    """Each sentence of a cell, with the place where it stands: the text or an alt text."""
    if cell.cell_type == "markdown":
        for block in _blocks(MARKDOWN.parse(cell.source)):
            yield from (("text", sentence) for sentence in _split(block))
    elif cell.cell_type == "code":
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        yield from (("alt text", sentence) for sentence in _split(normal(alt)))


def _split(text: str) -> Iterator[str]:
    start = 0
    for end in SENTENCE_END.finditer(text):
        if not SHORT.search(text, start, end.start()):
            yield text[start : end.end()]
            start = end.end()
    yield text[start:]


def _blocks(tokens: list[Token]) -> Iterator[str]:
    """The text of each paragraph, heading, list item, formula and table row."""
    row: list[str] = []
    header: list[str] = []
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if token.type == "inline" and before and before.type in ("th_open", "td_open"):
            row.append(_text(token))
        elif token.type == "tr_close":
            units = header + [""] * len(row)
            yield " | ".join(map(_with_unit, row, units))
            header, row = header or row, []
        elif token.type == "table_close":
            header = []
        elif token.type == "inline":
            yield _text(token)
        elif token.type in ("math_block", "math_block_label"):
            yield _formula(token.content)
        elif token.type == "html_block":
            yield normal(re.sub(r"<[^>]*>", " ", token.content))


def _text(inline: Token) -> str:
    text, opened = "", []
    for token in inline.children or []:
        if token.type in ("text", "text_special", "image"):
            text += token.content
        elif token.type == "code_inline":
            text += HOLE
        elif token.type in ("math_inline", "math_inline_double"):
            text += _formula(token.content)
        elif token.type == "link_open":
            opened.append(str(token.attrs["href"]))
        elif token.type == "link_close" and SOURCE_LINK.match(opened.pop()):
            text += SOURCE
        elif token.type in ("softbreak", "hardbreak", "html_inline"):
            text += " "
    return normal(text)


def _formula(tex: str) -> str:
    """A formula between its marks; one that is a single number, "$97\\,\\%$", as plain text."""
    tex = normal(SUBSCRIPT.sub("", tex)).strip()
    number = re.sub(r"^(?:\\approx|\\sim|[~≈\s])*|\s*[%×]?$", "", tex)
    return tex if NUMBER.fullmatch(number) else f"{FORMULA}{tex}{FORMULA_END}"


def _with_unit(cell: str, header: str) -> str:
    """A table's cell that holds numbers alone, each with the unit that its column's head gives."""
    unit = UNIT.search(header)
    if unit is None or cell == header or re.search(r"[^\W\d_]{3,}|%", cell):
        return cell
    return NUMBER.sub(lambda number: f"{number[0]} {unit[0]}", cell)

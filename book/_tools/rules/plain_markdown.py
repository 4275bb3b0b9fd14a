"""Markdown that the book, Colab and GitHub all show alike; links that lead somewhere.

What stands in code is exempt. What the three disagree on is listed in the tables below.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it.token import Token
from nbformat import NotebookNode

from rules import Fault
from rules.link_targets import missing
from rules.reading import MARKDOWN, headings, links, numbered

# Looked for in running text, where ` stands for a piece of code: what it is, and what to write.
IN_TEXT = {
    r"\{[\w:+.-]+\}`": ("a MyST role", "Write a link or plain text."),
    r"^:{3,}": ("a MyST directive", "Write plain text, or <details>."),
    r"^\([\w-]+\)=$": ("a MyST label", "Link to a heading instead."),
    r"^%": ("a MyST comment", "Delete it."),
    r"^\+\+\+": ("a MyST cell break", "Start another cell."),
    r"\{\{": ("a substitution", "Write the text itself."),
    r"\{[#.][\w-]+": ("an attribute", "Leave it out; headings are anchors by themselves."),
    r"\[\^[^\]]+\]": ("a footnote", "Write it as a sentence, or as a link."),
    r"^:\s+\S": ("a definition list", "Write a list or a table."),
    r"\[!\w+\]": ("a GitHub alert", "Write a sentence."),
    r"\\[\[\]()]": ("a bracket that opens maths in Colab", "Write $…$ or $$…$$."),
    r"\\(begin|end)\{": ("maths without dollars", "Write $$…$$ around it."),
    r"\$": ("a single dollar", r"Close the formula, or write \$."),
    r"https?://": ("a bare address", "Write a link with text that says where it leads."),
    r"@@|\b(TODO|FIXME|TBD)\b": ("a mark left from writing", "Write what should stand there."),
}
HTML_ALLOWED = {"details", "summary", "br"}
EMPTY_LINK_TEXTS = {"", "here", "this", "link", "click here", "this link", "this page"}


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found = []
    for number, cell in numbered(notebook, "markdown"):
        for token in _with_children(MARKDOWN.parse(cell.source)):
            found += [Fault(path.name, number, *what) for what in _token_faults(token, path)]
    return found + _link_faults(path, notebook) + _heading_faults(path, notebook)


def _with_children(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _with_children(token.children or [])


def _token_faults(token: Token, path: Path) -> Iterator[tuple[str, str]]:
    if token.type == "inline":
        for pattern, (what, cure) in IN_TEXT.items():
            for line in _running_text(token).splitlines():
                if re.search(pattern, line):
                    yield f"has {what}: {line.strip()[:60]!r}.", cure
    elif token.type == "fence" and token.info.startswith("{"):
        yield f"has the MyST directive {token.info!r}.", "Write plain text, or <details>."
    elif token.type == "math_block_label":
        yield f"has a label behind a formula, ({token.info}).", "Leave it out."
    elif token.type == "math_inline" and token.content != token.content.strip():
        yield f"has spaces inside ${token.content}$.", f"Write ${token.content.strip()}$."
    elif token.type in ("html_inline", "html_block"):
        for tag in re.findall(r"<(!--|/?[a-zA-Z][\w-]*)", token.content):
            if tag.strip("/").lower() not in HTML_ALLOWED:
                yield f"has raw HTML, <{tag}.", "Use Markdown; only details, summary, br may be."
    elif token.type == "image":
        yield from _image_faults(token, path)


def _running_text(inline: Token) -> str:
    """A paragraph with · in place of formulas and escaped characters, brackets excepted."""
    shown = {"code_inline": "`", "softbreak": "\n", "hardbreak": "\n", "math_inline": "·"}
    text = ""
    for token in inline.children or []:
        if token.type == "text":
            text += token.content
        elif token.type == "text_special":
            unescaped = token.content == token.markup or token.markup[-1] in "[]()"
            text += token.markup if unescaped else "·"
        else:
            text += shown.get(token.type, "")
    return text


def _image_faults(token: Token, path: Path) -> Iterator[tuple[str, str]]:
    address = str(token.attrs["src"])
    if not token.content.strip():
        yield f"has the image {address} without alt text.", "Write ![what it shows](…)."
    if address.startswith(("http:", "https:")):
        yield f"shows {address}, which needs a network.", "Draw it by code in a cell."
    elif not address.startswith("attachment:") and (problem := missing(address, path)):
        yield problem


def _link_faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found = []
    for number, text, address in links(notebook):
        if text.lower().strip(" .") in EMPTY_LINK_TEXTS:
            cure = "Name what it leads to, so that the text makes sense alone."
            found.append(Fault(path.name, number, f"has a link with the text {text!r}.", cure))
        if problem := missing(address, path):
            found.append(Fault(path.name, number, *problem))
    return found


def _heading_faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found, level = [], 0
    first_markdown = next((number for number, _ in numbered(notebook, "markdown")), None)
    tops = [heading.cell for heading in headings(notebook) if heading.level == 1]
    if tops != [first_markdown]:
        problem = f"has {len(tops)} top headings (#), in cells {tops}."
        found.append(Fault(path.name, None, problem, "Write one, in the first Markdown cell."))
    for heading in headings(notebook):
        if heading.level > level + 1:
            problem = f"the heading {heading.title!r} skips a level."
            cure = f"Give it {level + 1} #."
            found.append(Fault(path.name, heading.cell, problem, cure))
        level = heading.level
    return found

"""A chapter's parts, in the order that readers know from the others; an appendix has few."""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it.token import Token
from nbformat import NotebookNode

from rules import Fault
from rules.reading import MARKDOWN, Heading, headings, is_appendix, is_solution, links, numbered

EXERCISE = re.compile(r"Exercise (\d+): \S")
CLOSING = ["Summary", "Quick questions", "Exercises", "Sources"]


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    if is_solution(path):
        return []
    parts = [heading for heading in headings(notebook) if heading.level == 2]
    if is_appendix(path):
        found = [*_opening(notebook), *_appendix(path, notebook, parts)]
    else:
        found = [*_opening(notebook), *_prediction(notebook, parts), *_middle(parts)]
        found += [*_summary(notebook), *_exercises(path, notebook)]
    return [Fault(path.name, None, *what) for what in found]


def exercise_titles(notebook: NotebookNode) -> list[str]:
    return [h.title for h in headings(notebook) if h.title.startswith("Exercise ")]


def _opening(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    text = "\n".join(cell.source for _, cell in numbered(notebook, "markdown"))
    opening = text.partition("\n## ")[0]
    for label, example in ("Needs", "chapters 01 and 02"), ("Time", "runs in about a minute"):
        if f"**{label}:**" not in opening:
            cure = f"Write **{label}:** {example}. under the title."
            yield f"does not say **{label}:** before its first section.", cure


def _appendix(
    path: Path, notebook: NotebookNode, parts: list[Heading]
) -> Iterator[tuple[str, str]]:
    name = path.name.partition("_")[0]
    titles = [heading.title for heading in headings(notebook) if heading.level == 1]
    if not titles or not titles[0].startswith(f"{name} · "):
        yield f"has the title {''.join(titles[:1])!r}.", f'Begin with "# {name} · title".'
    if exercise_titles(notebook):
        yield "is an appendix and has exercises.", "Move them to a chapter."
    last = parts[-1].title if parts else "none"
    if last != "Sources":
        yield f"ends with the section {last}.", "End with Sources."


def _prediction(notebook: NotebookNode, parts: list[Heading]) -> Iterator[tuple[str, str]]:
    first_code = next((number for number, _ in numbered(notebook, "code")), len(notebook.cells))
    if not any(h.title == "Predict first" and h.cell < first_code for h in parts):
        cure = 'Write "## Predict first" with a question before the first code cell.'
        yield "asks the reader nothing before the first code.", cure


def _middle(parts: list[Heading]) -> Iterator[tuple[str, str]]:
    titles = [heading.title for heading in parts]
    for start, cure in (
        ("Proof", "Compare with the library, with torchvision or with a hand computation there."),
        ("Measurement", "Measure there what the chapter claims, and draw it."),
    ):
        if not any(title.startswith(start) for title in titles):
            yield f'has no section that begins "## {start}".', cure
    if titles[-len(CLOSING) :] != CLOSING:
        problem = f"ends with the sections {', '.join(titles[-len(CLOSING) :]) or 'none'}."
        yield problem, f"End with {', '.join(CLOSING)}."


def _summary(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    items = sum(token.type == "list_item_open" for token in _section(notebook, "Summary"))
    if not 1 <= items <= 5:
        yield f"has a summary of {items} list items.", "Say it in one to five."


def _section(notebook: NotebookNode, title: str) -> Iterator[Token]:
    """The Markdown tokens between a section's heading and the next."""
    inside = False
    for _, cell in numbered(notebook, "markdown"):
        tokens = MARKDOWN.parse(cell.source)
        for place, token in enumerate(tokens):
            if token.type == "heading_open" and token.tag in ("h1", "h2"):
                inside = tokens[place + 1].content == title
            if inside:
                yield token


def _exercises(path: Path, notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    titles = exercise_titles(notebook)
    numbers = [match[1] for title in titles if (match := EXERCISE.match(title))]
    if not 3 <= len(titles) <= 5:
        yield f"has {len(titles)} exercises.", 'Write 3 to 5, each under "### Exercise N: title".'
    if numbers != [str(n) for n in range(1, len(titles) + 1)]:
        yield f"numbers its exercises {titles}.", 'Write "### Exercise 1: title", then 2, 3, …'
    solutions = f"solutions/{path.name}"
    if not any(link.address.split("#")[0] == solutions for link in links(notebook)):
        yield "does not link to its solutions.", f"Write [Solutions to chapter …]({solutions})."
    if not (path.parent / solutions).is_file():
        yield f"has no notebook {solutions}.", "Write it."

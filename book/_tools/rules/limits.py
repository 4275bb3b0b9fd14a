"""A chapter that can be read in one sitting, and code that can be read without scrolling sideways.

The time to read is reckoned from what there is to read, so that a chapter cannot promise less:
a page of prose and formulas at 100 words a minute, 20 lines of code in the same time. Exercises
and sources are left out of it. Code that only draws is folded, and counts nowhere; nor do quick
questions.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from rules import Fault
from rules.prose import sentences
from rules.reading import headings, is_appendix, is_folded, is_questions, is_solution, numbered

MOST_WORDS = 2500
MOST_LINES = 300
MOST_COLUMNS = 80
WORDS_A_MINUTE, LINES_A_MINUTE = 100, 20
WORD = re.compile(r"\w[\w'’-]*")
PROMISE = re.compile(r"\*\*Time:\*\* runs in .+ · reads in about (\d+) minutes\.")


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    found = [Fault(path.name, *what) for what in _too_wide(notebook)]
    if not is_solution(path):
        found += [Fault(path.name, None, *what) for what in _too_long(path, notebook)]
    return found


def words(notebook: NotebookNode, end: int | None = None) -> int:
    """Words of prose in the cells before `end`, counted from 1."""
    return sum(
        len(WORD.findall(sentence))
        for number, cell in numbered(notebook, "markdown")
        if (end is None or number < end) and not is_questions(cell)
        for _, sentence in sentences(cell)
    )


def code_lines(notebook: NotebookNode, end: int | None = None) -> int:
    """Lines of code that stand open in the cells before `end`; empty ones are not counted."""
    return sum(
        bool(line.strip())
        for number, cell in numbered(notebook, "code")
        if (end is None or number < end) and not is_folded(cell)
        for line in cell.source.splitlines()
    )


def minutes(notebook: NotebookNode) -> int:
    """How long reading takes, to the next five minutes."""
    end = next((h.cell for h in headings(notebook) if h.title in ("Exercises", "Sources")), None)
    time = words(notebook, end) / WORDS_A_MINUTE + code_lines(notebook, end) / LINES_A_MINUTE
    return max(5, 5 * round(time / 5))


def _too_wide(notebook: NotebookNode) -> Iterator[tuple[int, str, str]]:
    for number, cell in numbered(notebook, "code"):
        # A check's report, shown without print, wraps on the page; a printed table must not.
        printed = "\n".join(output.get("text", "") for output in cell.outputs)
        longest = max(map(len, printed.splitlines()), default=0)
        if longest > MOST_COLUMNS:
            problem = f"prints a line of {longest} columns; {MOST_COLUMNS} are the most."
            yield number, problem, "Wrap it; what is wider is cut off on the page."


def _too_long(path: Path, notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    cure = "Cut it, move it to an appendix or an exercise, or make two chapters of it."
    for what, count, most in (
        ("words of prose", words(notebook), MOST_WORDS),
        ("lines of open code", code_lines(notebook), MOST_LINES),
    ):
        if count > most:
            yield f"has {count} {what}; {most} are the most.", cure
    if is_appendix(path):
        return
    opening = "\n".join(cell.source for _, cell in numbered(notebook, "markdown"))
    promise = PROMISE.search(opening.partition("\n## ")[0])
    time = minutes(notebook)
    if promise is None or int(promise[1]) != time:
        yield (
            "does not say how long it runs and reads, or not what is reckoned from its text.",
            f"Write **Time:** runs in about a minute · reads in about {time} minutes.",
        )

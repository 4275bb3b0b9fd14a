"""Quick questions: each tries what a reader can get wrong, and each answer has its own reply.

An answer is folded over its reply with <details>, which the page, Jupyter, Colab and GitHub unfold
by mouse and keyboard without a script. Answers are read as HTML: no formula, no code in them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from rules import Fault
from rules.reading import is_appendix, is_questions, is_solution, numbered

MOST_WORDS = 600
OPENING = "## Quick questions\n\nUnfold an answer to see what we say to it.\n"
QUESTION = re.compile(r"\n\*\*(\d+)\.\*\* (?=\S)")
ANSWER = re.compile(r"<details><summary>(.+)</summary>\n\n(.+?)\n\n</details>\n?", re.DOTALL)
ANSWER_START = re.compile(r"(?=^<details>)", re.MULTILINE)


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    if is_solution(path) or is_appendix(path):
        return []
    cells = [one for one in numbered(notebook, "markdown") if is_questions(one[1])]
    if len(cells) != 1:
        problem = f"has {len(cells)} cells with quick questions."
        return [Fault(path.name, None, problem, "Write one, between Summary and Exercises.")]
    number, cell = cells[0]
    return [Fault(path.name, number, *what) for what in _of_cell(cell.source)]


def _of_cell(source: str) -> Iterator[tuple[str, str]]:
    if not source.startswith(OPENING):
        yield "does not open as the others do.", f"Begin with {OPENING!r}."
    if (words := len(re.findall(r"\w+", source))) > MOST_WORDS:
        yield f"has {words} words; {MOST_WORDS} are the most.", "Ask less, or more shortly."
    _, *parts = QUESTION.split(source)
    numbers, texts = parts[::2], parts[1::2]
    if not 3 <= len(texts) <= 5 or numbers != [str(n + 1) for n in range(len(texts))]:
        yield f"has the questions {numbers}.", "Ask 3 to 5, each begun with **1.**, **2.**, …"
    for name, text in zip(numbers, texts, strict=True):
        for problem, cure in _of_question(text):
            yield f"question {name} {problem}", cure


def _of_question(text: str) -> Iterator[tuple[str, str]]:
    question, *rest = ANSWER_START.split(text)
    matches = [ANSWER.fullmatch(one.strip()) for one in rest]
    if not question.strip().endswith(("?", ".")) or None in matches:
        cure = "Write <details><summary>answer</summary>, a reply between empty lines, </details>."
        yield "is not a question and folded answers alone.", cure
        return
    answers = [(match[1], match[2]) for match in matches if match]
    right = [reply for _, reply in answers if reply.startswith("Yes")]
    wrong = [reply for _, reply in answers if reply.startswith("No")]
    if len(right) != 1 or not wrong or len(right) + len(wrong) != len(answers):
        yield "does not reply Yes to one answer and No to the others.", "Begin each reply so."
    if len(set(answers)) < len(answers) or len({reply for _, reply in answers}) < len(answers):
        yield "says the same twice.", "Give each answer a reply of its own."
    if any(mark in answer for answer, _ in answers for mark in "$`*_"):
        yield "has an answer with Markdown in it.", "An answer is shown as it stands: plain words."

"""A solutions notebook answers its chapter's exercises, under the same titles."""

from pathlib import Path

from nbformat import NotebookNode
from notebooks import read

from rules import Fault
from rules.anatomy import exercise_titles
from rules.reading import is_solution, links


def faults(path: Path, notebook: NotebookNode) -> list[Fault]:
    if not is_solution(path):
        return []
    chapter = path.parents[1] / path.name
    if not chapter.is_file():
        return [Fault(path.name, None, "is no chapter's name.", "Give it the chapter's name.")]
    found, back = [], f"../{path.name}"
    if not any(link.address.split("#")[0] == back for link in links(notebook)):
        cure = f"Write a link to {back} under the title."
        found.append(Fault(path.name, None, "does not link back to its chapter.", cure))
    asked, answered = exercise_titles(read(chapter)), exercise_titles(notebook)
    if asked != answered:
        problem = f"answers {answered}, but the chapter asks {asked}."
        cure = "Give each exercise a heading with the chapter's words."
        found.append(Fault(path.name, None, problem, cure))
    return found

"""What the proofs are worth: one character of a real chapter is altered, and a rule catches it."""

import ast
import re
import shutil

import pytest
from nbformat import v4
from nbval_runs import nbval, outcome
from notebooks import ROOT, normalise, notebook_paths, read, write
from rules import plain_markdown, prose_numbers, sameness
from rules.reading import numbered

# A number of three digits or more that is neither part of a longer one nor a year.
LONG_NUMBER = re.compile(r"(?<![\w.,^{-])(?!19\d\d\b|20\d\d\b)[1-9]\d\d+(?!\w|[.,]\d)")
# The end of a link's path, or of its anchor, where it leads into the book.
LINK_END = re.compile(r"\]\((?!https?:)[^)\s]*?\w(?=(?:\.ipynb|\.md)?\))")


@pytest.fixture
def chapter(tmp_path):
    """A copy of the first chapter, with all that the rules look up for it."""
    for folder in ("chapters", "resnet_lib", "results"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "book").mkdir()
    for page in ROOT.glob("book/*.md"):
        shutil.copy(page, tmp_path / "book")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    return tmp_path / notebook_paths()[0].relative_to(ROOT)


def with_piece(path, number, start, end, piece):
    """The notebook with one piece of one cell replaced."""
    notebook = read(path)
    source = notebook.cells[number - 1].source
    notebook.cells[number - 1].source = source[:start] + piece + source[end:]
    return notebook


def assert_new_fault(rule, path, notebook, what):
    """The rule must find a fault that it does not find in the chapter as it is."""
    assert set(rule.faults(path, notebook)) - set(rule.faults(path, read(path))), what


def found_in_prose(pattern, path):
    found = [
        (number, match)
        for number, cell in numbered(read(path), "markdown")
        for match in pattern.finditer(cell.source)
    ]
    assert found, f"{path.name} holds nothing to alter; let the test look for something else."
    return found


def test_each_long_number_in_the_prose_is_held_by_its_proof(chapter):
    for number, match in found_in_prose(LONG_NUMBER, chapter):
        paragraph = next(
            p for p in read(chapter).cells[number - 1].source.split("\n\n") if match[0] in p
        )
        if "](http" in paragraph:
            continue  # proven by the source it names, which no test can read
        other = match[0][:-1] + str((int(match[0][-1]) + 3) % 10)
        altered = with_piece(chapter, number, *match.span(), other)
        assert_new_fault(prose_numbers, chapter, altered, f"cell {number}: {match[0]} to {other}")


def test_each_link_into_the_book_is_held_by_its_target(chapter):
    for number, match in found_in_prose(LINK_END, chapter):
        altered = with_piece(chapter, number, *match.span(), match[0] + "x")
        assert_new_fault(plain_markdown, chapter, altered, f"cell {number}: {match[0]}")


def test_each_definition_is_held_by_the_library(chapter):
    tags = [
        tag.removeprefix(sameness.PREFIX)
        for _, cell in numbered(read(chapter), "code")
        for tag in cell.metadata.get("tags", [])
        if tag.startswith(sameness.PREFIX)
    ]
    assert tags
    for tag in tags:
        *module, name = tag.split(".")
        file = chapter.parents[1].joinpath(*module).with_suffix(".py")
        held = file.read_bytes()
        file.write_bytes(one_name_longer(held, name))
        found = sameness.faults(chapter, read(chapter))
        assert any(name in fault.problem for fault in found), f"{tag} was altered unseen"
        file.write_bytes(held)


def one_name_longer(source: bytes, definition: str) -> bytes:
    """The library's source with one letter more at the last name that the definition uses."""
    tree = next(n for n in ast.parse(source).body if getattr(n, "name", None) == definition)
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    last = max(names, key=lambda node: (node.end_lineno, node.end_col_offset))
    lines = source.splitlines(keepends=True)
    line = lines[last.end_lineno - 1]
    lines[last.end_lineno - 1] = line[: last.end_col_offset] + b"x" + line[last.end_col_offset :]
    return b"".join(lines)


def test_kept_output_is_held_by_running_again(chapter):
    """On the chapter's first cells up to one that prints, because the whole takes a minute."""
    cells = [cell for _, cell in numbered(read(chapter), "code")]
    printing = [n for n, cell in enumerate(cells) if "text" in (cell.outputs or [{}])[0]]
    assert printing, f"{chapter.name} keeps nothing printed: run  make execute"
    last = printing[0]
    start = normalise(v4.new_notebook(cells=cells[: last + 1]))
    write(start, chapter.parent / "start.ipynb")
    text = start.cells[last].outputs[0].text
    start.cells[last].outputs[0].text = text.rstrip("\n") + "x\n"
    write(start, chapter.parent / "altered.ipynb")

    report = nbval(chapter.parent, "start.ipynb", "altered.ipynb")
    assert outcome(report, "start", last) == "PASSED"
    assert outcome(report, "altered", last) == "FAILED"

"""Tests of the tests: each rule is fed broken notebooks, and must say what to do about them.

Here are the rules on code and outputs; those on text are tested in test_rules_text.py.
"""

import pytest
import toy_book
from notebooks import ROOT, read
from rules import (
    canonical,
    code_cells,
    figures,
    limits,
    outputs,
    plotted_numbers,
    sameness,
    tags,
)
from toy_book import code, picture, printed, replaced, text, told, with_cell

RULES = (
    canonical,
    code_cells,
    figures,
    limits,
    outputs,
    plotted_numbers,
    sameness,
    tags,
)


@pytest.fixture
def chapter(tmp_path):
    return toy_book.write_book(tmp_path)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("place", ["01_toy.ipynb", "solutions/01_toy.ipynb"])
def test_good_notebooks_pass(rule, place, chapter):
    path = chapter.parent / place
    assert told(rule, path, read(path)) == ""


def test_fault_names_notebook_cell_problem_and_cure(chapter):
    notebook = with_cell(chapter, code("1 + 1"))
    assert told(outputs, chapter, notebook).startswith("01_toy.ipynb, cell 11: ")


# Outputs


def test_unexecuted_cell_is_caught(chapter):
    notebook = read(chapter)
    notebook.cells[4].execution_count = None
    assert "never executed. Run  make execute ONLY=01" in told(outputs, chapter, notebook)


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "for i in range(3):\n    print(i)",
        "with plots.figure() as axes:\n    axes.plot([1])",
        "x",
        "x = 1\nx + 1",
        "net(x).shape",
        "%time net(x)",
    ],
)
def test_lost_output_is_caught(source, chapter):
    assert "no output is kept" in told(outputs, chapter, with_cell(chapter, code(source)))


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        "x = 1;\nx;",
        "runs.append(1)",
        "loss.backward()",
        "def f():\n    print(1)",
        "if slow:\n    print(1)",
        "import sys\n\nif 'google.colab' in sys.modules:\n    %pip install -q x",
    ],
)
def test_silent_cell_needs_no_output(source, chapter):
    assert told(outputs, chapter, with_cell(chapter, code(source))) == ""


def test_cell_that_should_raise_must_keep_its_error(chapter):
    cell = code("print(1)\n1 / 0", printed("1\n"), tags=("raises-exception",))
    assert "keeps no error" in told(outputs, chapter, with_cell(chapter, cell))


def test_stderr_and_paths_in_outputs_are_caught(chapter):
    cell = code("print(__file__)", printed("/home/me/book.py\n"))
    assert "Print the file's name only." in told(outputs, chapter, with_cell(chapter, cell))


def test_empty_code_cell_is_caught(chapter):
    assert "Delete it." in told(outputs, chapter, with_cell(chapter, code(" ")))


# Normal form


@pytest.mark.parametrize(
    ("old", "new"),
    [('"cells"', ' "cells"'), ('"execution_count": 2', '"execution_count": 7')],
)
def test_any_other_byte_is_not_normal(old, new, chapter):
    chapter.write_text(chapter.read_text().replace(old, new, 1))
    message = told(canonical, chapter, read(chapter))
    assert "not in normal form" in message
    assert "execute.py --tidy" in message


def test_missing_last_newline_is_not_normal(chapter):
    chapter.write_text(chapter.read_text().rstrip("\n"))
    assert "not in normal form" in told(canonical, chapter, read(chapter))


# Sameness


def test_other_code_than_the_library_is_caught(chapter):
    message = told(sameness, chapter, replaced(chapter, "return x + x", "return x + x + 0"))
    assert "has `return x + x + 0`, the library `return x + x`" in message
    assert "Bring the cell and resnet_lib/sums.py in line" in message


def test_docstrings_and_comments_make_no_difference(chapter):
    new = '"""Other words."""\n    # Twice.\n    return x + x'
    assert told(sameness, chapter, replaced(chapter, "return x + x", new)) == ""


def test_of_two_definitions_the_last_is_compared(chapter):
    twice = f"{toy_book.DOUBLE}\n\n\n{toy_book.DOUBLE} + 0"
    message = told(sameness, chapter, replaced(chapter, toy_book.DOUBLE, twice))
    assert "has `return x + x + 0`" in message


def test_class_and_method_are_compared(chapter):
    source = "class Scale:\n    def apply(self, x: float) -> float:\n        return {} * x"
    for name in ("Scale", "Scale.apply"):
        tags = (f"lib:resnet_lib.sums.{name}",)
        same = with_cell(chapter, code(source.format(3), tags=tags))
        other = with_cell(chapter, code(source.format(4), tags=tags))
        assert told(sameness, chapter, same) == ""
        assert "the cell has `return 4 * x`" in told(sameness, chapter, other)


@pytest.mark.parametrize(
    "name", ["resnet_lib.sums.duoble", "resnet_lib.sum.double", "other.sums.double", "double", ""]
)
def test_tag_that_names_nothing_is_caught(name, chapter):
    cell = code("def double(x: float) -> float:\n    return x + x", tags=(f"lib:{name}",))
    assert "Mend the tag's spelling" in told(sameness, chapter, with_cell(chapter, cell))


def test_tagged_cell_without_the_definition_is_caught(chapter):
    cell = code("y = 1", tags=("lib:resnet_lib.sums.double",))
    message = told(sameness, chapter, with_cell(chapter, cell))
    assert "does not define double. Define it there, or move the tag" in message


def test_chapter_without_a_tagged_cell_is_caught_unless_exempt(chapter, monkeypatch):
    notebook = read(chapter)
    notebook.cells[3].metadata.tags = []
    assert "Tag the cell that builds the library's code" in told(sameness, chapter, notebook)
    monkeypatch.setitem(sameness.EXEMPT, "01_toy", "a reason")
    assert told(sameness, chapter, notebook) == ""


def test_each_exempt_notebook_is_there_and_has_its_reason():
    for name, reason in sameness.EXEMPT.items():
        assert (ROOT / "chapters" / f"{name}.ipynb").is_file(), (
            f"{name} is gone: take it out of EXEMPT in book/_tools/rules/sameness.py"
        )
        assert reason.strip(), f"{name}: say why it builds nothing of the library"


# Figures


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code("f()", picture()), 'Say what it shows in the cell\'s metadata, "mystnb"'),
        (code("f()", picture(), alt="A curve."), "State the finding in at least 40"),
        (code("f()", picture(), alt="Image of " + toy_book.ALT), "Begin with what is seen."),
        (code("f()", picture(), alt="Figure 1: " + toy_book.ALT), "Begin with what is seen."),
        (code("f()", picture(), alt=toy_book.ALT), "has the alt text of cell 9."),
        (code("f()", picture(), picture(), alt=toy_book.ALT[::-1]), "one picture in each cell"),
        (code("f()", alt=toy_book.ALT[::-1]), "shows no picture"),
    ],
)
def test_poor_alt_text_is_caught(cell, message, chapter):
    assert message in told(figures, chapter, with_cell(chapter, cell))


CAPTION = "**Figure 1.1.** The double of a number."


@pytest.mark.parametrize("new", ["A caption.", "**Figure 1.2.** The double.", "**Figure 1.1**"])
def test_picture_without_its_numbered_caption_is_caught(new, chapter):
    message = told(figures, chapter, replaced(chapter, CAPTION, new))
    assert "cell 9: shows a picture without its numbered caption." in message
    assert "with **Figure 1.1.** and say" in message


def test_plot_without_its_numbers_is_caught(chapter):
    cell = code("f()", picture(numbers=None), alt=toy_book.ALT[::-1])
    message = told(plotted_numbers, chapter, with_cell(chapter, cell))
    assert "cell 11: shows a plot without the numbers for its table." in message
    assert "make numbers ONLY=01" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"series": [{', '"series": [{"name": "a", "x": [], "y": []}, {', "without a name"),
        ('"y": [2, 4]', '"y": [2]', "whose numbers are not whole"),
        ('"panels"', '"none": "", "other"', "empty, without a reason"),
        ('"panels"', '"none": "a picture", "other"', ""),
    ],
)
def test_numbers_of_a_plot_are_whole(old, new, message, chapter):
    numbers = toy_book.NUMBERS_SHOWN.replace(old, new)
    cell = code("f()", picture(numbers), alt=toy_book.ALT[::-1])
    said = told(plotted_numbers, chapter, with_cell(chapter, cell))
    assert (message in said) if message else not said


def test_captions_are_counted(chapter):
    notebook = with_cell(chapter, toy_book.drawn("f()", alt=toy_book.ALT[::-1]))
    assert "cell 11: shows a picture" in told(figures, chapter, notebook)
    assert "with **Figure 1.2.** and say" in told(figures, chapter, notebook)
    notebook.cells.insert(11, text("**Figure 1.2.** Another."))
    assert told(figures, chapter, notebook) == ""


def test_open_code_that_draws_is_caught(chapter):
    notebook = read(chapter)
    notebook.cells[8].metadata.tags = []
    assert told(figures, chapter, notebook) == "", "two lines are in nobody's way"
    notebook.cells[8].source += "\n    axes.set_title('')\n    axes.grid()"
    assert "tag this one hide-input" in told(figures, chapter, notebook)


# Limits


def test_code_counts_only_where_it_stands_open(chapter):
    lines = "\n".join(["x = 1", "", "# why"] * 200)
    assert told(limits, chapter, with_cell(chapter, code(lines, tags=("hide-input",)))) == ""
    message = told(limits, chapter, with_cell(chapter, code(lines)))
    assert "has 405 lines of open code; 300 are the most. Cut it" in message
    assert "reads in about 20 minutes." in message


def test_long_prose_is_caught_and_its_reading_reckoned(chapter):
    notebook = with_cell(chapter, text("One two three `code` four. " * 500))
    message = told(limits, chapter, notebook)
    assert "words of prose" not in message
    assert "**Time:** runs in about a minute · reads in about 20 minutes." in message
    notebook.cells.append(text("More, after the exercises. " * 200))
    message = told(limits, chapter, notebook)
    assert "words of prose; 2500 are the most." in message
    assert "reads in about 20 minutes." in message


@pytest.mark.parametrize(
    ("width", "message"), [(80, ""), (81, "prints a line of 81 columns; 80 are the most.")]
)
def test_wide_print_is_caught(width, message, chapter):
    cell = code("f()", printed(f"short\n{'x' * width}\n"))
    assert message in told(limits, chapter, with_cell(chapter, cell))
    assert bool(message) == bool(told(limits, chapter, with_cell(chapter, cell)))


# Tags


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code("x = 1", tags=("nbval-skip",)), "the tag 'nbval-skip', which means nothing here"),
        (code("x = 1", tags=("nbval-ignore-outputs",)), "mend its spelling: nbval-ignore-output,"),
        (code("# NBVAL_IGNORE_OUTPUT\nx = 1"), "Tag the cell nbval-ignore-output if"),
        (code("x = 1  #PYTEST_VALIDATE_IGNORE_OUTPUT"), "Tag the cell nbval-ignore-output if"),
    ],
)
def test_way_around_the_comparison_is_caught(cell, message, chapter):
    assert message in told(tags, chapter, with_cell(chapter, cell))


def test_living_figure_has_a_script_and_a_cell_that_shows_something(chapter):
    scripts = chapter.parents[1] / tags.SCRIPTS
    scripts.mkdir(parents=True)
    (scripts / "wave.js").touch()
    for tag in ("living:wave", "living:wave?height=2"):
        shown = code("1 + 1", printed("2"), tags=(tag,))
        assert told(tags, chapter, with_cell(chapter, shown)) == ""
    silent = code("x = 1", tags=("living:wave",))
    assert "shows nothing. Tag the cell" in told(tags, chapter, with_cell(chapter, silent))
    other = code("1 + 1", printed("2"), tags=("living:waves",))
    assert "asks for the living figure 'waves'" in told(tags, chapter, with_cell(chapter, other))


# Code cells


def test_long_cell_is_caught_unless_it_holds_a_thing_of_the_library(chapter):
    long = "\n\n".join(f"x = {number}" for number in range(26))
    message = told(code_cells, chapter, with_cell(chapter, code(long)))
    assert "has 26 lines of code; 25 are the most. Split it" in message
    tagged = code(long, tags=("lib:resnet_lib.sums.double",))
    assert told(code_cells, chapter, with_cell(chapter, tagged)) == ""


@pytest.mark.parametrize(
    "source",
    [
        "sums._hidden(1)",
        "from resnet_lib import sums as s\n\ns._hidden(1)",
        "from resnet_lib.sums import _hidden",
        "from resnet_lib._inner import thing",
        "from resnet_lib.sums import Scale\n\nScale._hidden",
        "import resnet_lib.sums\n\nresnet_lib.sums._hidden",
    ],
)
def test_private_name_of_the_library_is_caught(source, chapter):
    message = told(code_cells, chapter, with_cell(chapter, code(source)))
    assert "private to resnet_lib. Use what the library offers" in message


def test_private_name_of_others_is_their_business(chapter):
    cell = code("import torch\n\ntorch._C._x, sums.__name__", printed("x"))
    assert told(code_cells, chapter, with_cell(chapter, cell)) == ""

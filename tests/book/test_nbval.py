"""What strict nbval catches in a notebook in normal form, and what it lets through.

It lets an unexecuted notebook pass: book/_tools/rules/outputs.py catches that one. It does not
compare pixels, because they differ between machines: the claim that a chapter draws from a figure
stands in an ``assert`` beside it.
"""

import pytest
from nbformat.v4 import new_output
from nbval_runs import nbval, outcome
from notebooks import write
from toy_book import ALT, code, notebook, picture, printed

DRAWING = """\
class Drawing:
    def _repr_svg_(self):
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="{10 + 10}"/>'

    def __repr__(self):
        return "drawing"


Drawing()"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20"/>'
OTHER_PIXELS = 'from IPython.display import Image\n\nImage(b"other pixels", format="png")'

# One piece of each cell's kept output, as kept and with one character altered.
ALTERED = {
    "printed text": ("norm 1.25", "norm 1.26"),
    "value": ('"0.75"', '"0.76"'),
    "text beside a picture": ("Image object>", "Image objekt>"),
    "drawing": ('width=\\"20\\"', 'width=\\"21\\"'),
    "message of an error": ('"evalue": "stride is 0"', '"evalue": "stride is 1"'),
}


def result(**data: str):
    return new_output("execute_result", data=data)


def good():
    image = picture()
    image.data["text/plain"] = "<IPython.core.display.Image object>"
    error = new_output("error", ename="ValueError", evalue="stride is 0", traceback=[])
    return notebook(
        [
            code('print("norm", 5 / 4)', printed("norm 1.25\n")),
            code("0.5 + 0.25", result(**{"text/plain": "0.75"})),
            code(OTHER_PIXELS, image, alt=ALT),
            code(DRAWING, result(**{"text/plain": "drawing", "image/svg+xml": SVG}), alt=ALT),
            code('raise ValueError(f"stride is {1 - 1}")', error, tags=("raises-exception",)),
            code(
                "import time\n\nprint(time.time())",
                printed("12.3\n"),
                tags=("nbval-ignore-output",),
            ),
        ]
    )


def unexecuted():
    bare = good()
    for cell in bare.cells:
        cell.outputs, cell.execution_count = [], None
    return bare


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """The report over three notebooks, made in two processes as in `make test`."""
    folder = tmp_path_factory.mktemp("nbval")
    write(good(), folder / "good.ipynb")
    write(unexecuted(), folder / "unexecuted.ipynb")
    text = (folder / "good.ipynb").read_text()
    for old, new in ALTERED.values():
        assert text.count(old) == 1, f"{old!r} must stand in one kept output and nowhere else"
        text = text.replace(old, new)
    (folder / "altered.ipynb").write_text(text)
    return nbval(folder, "-n", "2", "--dist", "loadfile")


@pytest.mark.parametrize("cell", range(6))
def test_cell_in_normal_form_passes(cell, report):
    assert outcome(report, "good", cell) == "PASSED", report


@pytest.mark.parametrize(("cell", "what"), list(enumerate(ALTERED)))
def test_one_altered_character_fails(cell, what, report):
    assert outcome(report, "altered", cell) == "FAILED", report


def test_time_is_not_compared(report):
    assert outcome(report, "altered", 5) == "PASSED", report


@pytest.mark.parametrize("cell", range(6))
def test_unexecuted_cell_passes_so_that_another_rule_must_catch_it(cell, report):
    assert outcome(report, "unexecuted", cell) == "PASSED", report

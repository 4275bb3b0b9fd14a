"""Running a chapter as it stands alone: what the run proves, and what it does not let through."""

import shutil

import pytest
from nbval_runs import nbval, outcome
from notebooks import ROOT, write
from toy_book import code, notebook, printed

PLACE = "import resnet_lib, safetensors\n\nprint('resnet_book_' in {}.__file__)"
NOTEBOOKS = {
    "good": [
        code(PLACE.format("resnet_lib"), printed("True\n")),
        code(PLACE.format("safetensors"), printed("True\n")),
    ],
    "altered": [code("print(1 + 1)", printed("3\n"))],
    "leaves_a_file": [code("print(open('left.txt', 'w').write('x'))", printed("1\n"))],
    "wants_an_extra": [
        code(
            "import huggingface_hub, safetensors\n\nprint(safetensors.__name__)",
            printed("safetensors\n"),
        )
    ],
    "wants_more": [code("import hypothesis\n\nprint(1)", printed("1\n"))],
}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("book") / "chapters"
    folder.mkdir()
    shutil.copy(ROOT / "chapters" / "conftest.py", folder)
    for name, cells in NOTEBOOKS.items():
        write(notebook(cells), folder / f"{name}.ipynb")
    return nbval(folder)


@pytest.mark.parametrize("cell", range(2))
def test_library_and_stand_in_come_out_of_the_notebook(cell, report):
    assert outcome(report, "good", cell) == "PASSED", report


def test_altered_output_fails(report):
    assert outcome(report, "altered", 0) == "FAILED", report


def test_file_left_in_the_readers_folder_is_an_error(report):
    assert outcome(report, "leaves_a_file", 0) == "PASSED", report
    assert "leaves_a_file.ipynb left ['left.txt'] in the reader's folder" in report


def test_a_notebook_gets_the_extra_that_it_asks_for(report):
    assert outcome(report, "wants_an_extra", 0) == "PASSED", report


def test_what_the_readers_machine_lacks_is_an_error(report):
    assert "needs hypothesis, which is not installed" in report
    assert "1 failed, 4 passed, 2 errors" in report

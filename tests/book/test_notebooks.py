"""The author's tools: reading, normalising and executing notebooks."""

import base64
import io
import json

import execute
import pytest
import toy_book
from nbformat import NotebookNode, v4
from notebooks import NUMBERS, complaints, normalise, notebook_paths, to_text, write
from PIL import Image, PngImagePlugin
from toy_book import code, printed, text


def noisy_picture() -> str:
    """A PNG with a maker's note in it, as matplotlib writes."""
    note = PngImagePlugin.PngInfo()
    note.add_text("Software", "some version")
    file = io.BytesIO()
    Image.new("RGBA", (2, 2), (1, 2, 3, 255)).save(file, "PNG", pnginfo=note)
    return base64.b64encode(file.getvalue()).decode()


def messy():
    """What an editor and a kernel leave behind."""
    picture = v4.new_output("display_data", data={"image/png": noisy_picture()})
    picture.metadata = {"needs_background": "light"}
    cells = [
        text("# Title  \n\n"),
        code("x = 1   \nprint(x)\n", printed("1"), printed("\n"), picture),
        code("print(2)"),
    ]
    cells[1].update(id="same", execution_count=41)
    cells[1].metadata.update(collapsed=True, tags=["b", "a", "b"])
    cells[2].update(id="same", execution_count=None)
    # Not through new_notebook, which refuses a tag given twice and an id given twice.
    return NotebookNode(cells=cells, metadata=NotebookNode(widgets={}))


def test_normal_form_keeps_what_is_seen_and_drops_the_rest():
    title, first, second = normalise(messy()).cells
    assert title.source == "# Title"
    assert (first.source, first.execution_count) == ("x = 1\nprint(x)", 1)
    assert first.metadata == {"tags": ["a", "b"]}
    assert first.outputs[0].text == "1\n"
    assert second.execution_count is None
    assert len({title.id, first.id, second.id}) == 3


def test_picture_keeps_its_pixels_and_loses_its_notes():
    output = normalise(messy()).cells[1].outputs[1]
    raw = base64.b64decode(output.data["image/png"])
    assert b"Software" not in raw
    assert Image.open(io.BytesIO(raw)).convert("RGB").getpixel((0, 0)) == (1, 2, 3)
    assert output.metadata == {}


def test_normal_form_of_the_normal_form_is_itself():
    once = normalise(messy())
    assert to_text(normalise(once)) == to_text(once)


def test_picture_has_its_cells_alt_text_and_takes_a_new_one():
    notebook = messy()
    for alt in ("Two points.", "One pixel."):
        notebook.cells[1].metadata.mystnb = {"image": {"alt": alt}}
        notebook = normalise(notebook)
        printed_text, picture = notebook.cells[1].outputs
        assert picture.metadata == {"image/png": {"alt": alt}}
        assert "metadata" not in printed_text


@pytest.mark.parametrize(
    ("output", "cure"),
    [
        (printed("/home/me/book/x.py"), "Print the file's name only."),
        (printed("<Generator object at 0x7f00aa11bb22>"), "Print a part only."),
        (printed("\x1b[31mred\x1b[0m"), "Print plain text."),
        (v4.new_output("stream", name="stderr", text="old API"), "Mend the warning"),
        (v4.new_output("error", ename="E", evalue="x", traceback=[]), "raises-exception"),
    ],
)
def test_what_must_not_be_kept_is_named(output, cure):
    notebook = toy_book.notebook([text("# T"), code("f()", output)])
    ((index, complaint),) = complaints(notebook)
    assert index == 1
    assert cure in complaint


@pytest.mark.parametrize("words", ["3/4 of 1/2", "https://example.org/a/b", "F(x)/x, and/or, km/h"])
def test_slashes_that_open_no_path_are_kept(words):
    assert not list(complaints(toy_book.notebook([code("f()", printed(words))])))


def test_chapters_come_before_their_solutions(tmp_path):
    chapter = toy_book.write_book(tmp_path)
    assert notebook_paths(tmp_path) == [chapter, chapter.parent / "solutions" / chapter.name]


def test_execution_fills_in_outputs_and_provenance(tmp_path):
    path = tmp_path / "01_toy.ipynb"
    plot = "import matplotlib.pyplot as plt\n\nplt.plot([3, 1, 2], label='a')\nplt.show()"
    names = "print(sorted(name for name in dir() if name[0] != '_'))"
    cells = [text("# T"), code("2 + 2"), code("1 / 0", tags=("raises-exception",))]
    write(toy_book.notebook([*cells, code(names), code(plot)]), path)
    done = execute.execute(path)
    assert [cell.execution_count for cell in done.cells[1:]] == [1, 2, 3, 4]
    assert done.cells[1].outputs[0].data == {"text/plain": "4"}
    assert done.cells[2].outputs[0].ename == "ZeroDivisionError"
    # What reads the figures' numbers leaves no name behind, and nothing beside the picture.
    own = "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']\n"
    assert done.cells[3].outputs[0].text == own
    (output,) = done.cells[4].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    (panel,) = json.loads(output.metadata[NUMBERS])["panels"]
    assert panel["series"] == [{"name": "a", "x": [0, 1, 2], "y": [3, 1, 2]}]
    assert set(done.metadata.resnet_book) == {
        "device",
        "executed",
        "python",
        "torch",
        "torchvision",
    }


def test_failed_execution_leaves_the_file_and_names_the_cell(tmp_path):
    path = tmp_path / "01_toy.ipynb"
    write(toy_book.notebook([text("# T"), code("stride = 0\n1 / stride")]), path)
    before = path.read_bytes()
    with pytest.raises(execute.NotebookFault, match=r"cell 2 \('stride = 0'\) raised ZeroDivision"):
        execute.make(path, run=True)
    assert path.read_bytes() == before


def test_only_chooses_by_number_or_name(tmp_path):
    paths = [tmp_path / name for name in ("01_why.ipynb", "11_paths.ipynb")]
    assert execute.chosen(paths, "1") == paths[:1]
    assert execute.chosen(paths, "path") == paths[1:]
    assert execute.chosen(paths, None) == paths

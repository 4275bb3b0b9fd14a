"""The parts of a living figure, without building the book."""

import json
import random
import re
from types import SimpleNamespace

import pytest
from book_ext import living
from book_ext.living import parts
from building import ROOT
from docutils import nodes

NUMBERS = """() => {
  return VALUES.map((value) => [Living.number(value), Living.spoken(Living.number(value))]);
}"""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.5, "−0.5"),
        (0.03125, "0.0313"),
        (999.6, "1 × 10³"),
        (0.5**60, "8.7 × 10⁻¹⁹"),
        (-(1.5**60), "−3.7 × 10¹⁰"),
        (1.0, "1"),
    ],
)
def test_number(value, text):
    assert parts.number(value) == text


def test_numbers_are_written_alike_in_python_and_in_javascript(browser):
    drawn = random.Random(0)
    values = [drawn.choice((-1, 1)) * 10 ** drawn.uniform(-40, 40) for _ in range(2000)]
    values += [0, 1, 0.5**5, 0.75**4, 0.009995, 0.00999, 999.4, 999.5, 99.95, 2.0**60]
    page = browser.new_page()
    page.add_script_tag(path=ROOT / "book/_static/living/living.js")
    shown = page.evaluate(NUMBERS.replace("VALUES", json.dumps(values)))
    page.close()
    for value, (text, spoken) in zip(values, shown, strict=True):
        assert text == parts.number(value)
        read_out = re.sub(" times 10 to the power ", "e", spoken)
        assert float(read_out) == pytest.approx(value, rel=0.06)


@pytest.mark.parametrize(
    ("text", "read_out"),
    [
        ("conv1 3×3 gives 64 × 7 × 7", "conv1 3 by 3 gives 64 by 7 by 7"),
        ("64 × 10 × 10", "64 by 10 by 10"),
        (
            "1.5\u00a0×\u00a010⁻²⁴ to 3 × 10³",
            "1.5 times 10 to the power -24 to 3 times 10 to the power 3",
        ),
        ("25.6 M and 4.1\u00a0G, M", "25.6 million and 4.1\u00a0billion, M"),
        ("−0.5", "-0.5"),
    ],
)
def test_read_out_signs_are_words_with_room_around_them(browser, text, read_out):
    page = browser.new_page()
    page.add_script_tag(path=ROOT / "book/_static/living/living.js")
    assert page.evaluate("text => Living.spoken(text)", text) == read_out
    page.close()


def test_each_script_has_its_function():
    assert living.known()
    for name in living.known():
        made = living.figure(name, ROOT)
        assert made.controls
        assert made.table.rows
        assert all(len(row) == len(made.table.header) for row in made.table.rows)
        assert json.loads(re.search(r"\{.*\}", made.inline())[0].replace("<\\/", "</"))


def test_unknown_figure_is_named():
    with pytest.raises(KeyError, match=r"there is no living figure 'nothing'; there are: .*one-n"):
        living.figure("nothing", ROOT)


def test_page_says_where_controls_start():
    made = living.figure("one-number?weight=−0.5&shortcut=off", ROOT)
    assert [control.start for control in made.controls] == [-0.5, 60, False]
    made = living.figure("block-calculator?kind=bottleneck&given=256", ROOT)
    assert [control.start for control in made.controls[:3]] == ["bottleneck", 256, 128]
    for wrong in ("weight=7", "height=1", "shortcut=perhaps"):
        with pytest.raises(KeyError):
            living.figure(f"one-number?{wrong}", ROOT)


def test_page_says_which_part_it_asks_for():
    depth, epochs = (living.figure(f"predict/{part}", ROOT) for part in ("depth", "epochs"))
    assert len(depth.table.rows) == 3
    assert len(epochs.table.rows) == 10
    with pytest.raises(KeyError):
        living.figure("predict/nothing", ROOT)
    tagged = cell("living:predict/depth")
    living.place_in_notebook(None, nodes.container("", tagged))
    (place,) = tagged.findall(living.living)
    assert (place["name"], place["asked"]) == ("predict", "predict/depth")


def cell(*tags, shown=True):
    """A code cell as myst_nb leaves it: a container with a container of outputs."""
    made = nodes.container(nb_element="cell_code", cell_metadata={"tags": list(tags)})
    made += nodes.container(nb_element="cell_code_source")
    if shown:
        made += nodes.container("", nodes.image(uri="still.png"), nb_element="cell_code_output")
    return made


def test_tagged_cell_keeps_its_picture_inside_the_figure():
    tagged = cell("living:one-number?weight=0.5")
    document = nodes.container("", cell("hide-input"), tagged)
    living.place_in_notebook(None, document)
    (place,) = document.findall(living.living)
    assert (place["name"], place["asked"]) == ("one-number", "one-number?weight=0.5")
    assert [type(child) for child in place.children] == [nodes.image]
    assert place.parent["nb_element"] == "cell_code_output"
    assert len(list(document.findall(nodes.image))) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (cell("living:nothing"), "there is no living figure 'nothing'"),
        (cell("living:one-number", shown=False), "shows nothing"),
    ],
)
def test_slip_in_a_tag_is_a_warning(wrong, message, monkeypatch):
    told = []
    warn = lambda text, *values, location: told.append(text % values)  # noqa: E731
    monkeypatch.setattr(living.logger, "warning", warn)
    living.place_in_notebook(None, nodes.container("", wrong))
    assert message in told[0]


@pytest.mark.parametrize(("builder", "lives"), [("html", True), ("singlehtml", False)])
def test_only_pages_are_alive(builder, lives):
    """The one page that is printed has the still picture alone."""
    writer = SimpleNamespace(builder=SimpleNamespace(name=builder, srcdir=ROOT), body=[])
    place = living.living(name="one-number", asked="one-number", small=False)
    living.visit(writer, place)
    living.depart(writer, place)
    written = "".join(writer.body)
    assert written.startswith('<div class="living"')
    assert written.count("<div") == written.count("</div>")
    for part in ("living-drawing", "living-controls", "living-data", "<details"):
        assert (part in written) == lives


def test_csv_has_plain_signs_and_quotes():
    table = parts.Table("A table", ["a, b", "c"], [["−1", 'say "x"']])
    assert table.csv().endswith("%22a%2C%20b%22%2Cc%0D%0A-1%2C%22say%20%22%22x%22%22%22%0D%0A")

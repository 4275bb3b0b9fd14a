"""A figure's numbers as tables for the page and as CSV."""

import csv
import io

import pytest
from figure_tables import MOST_ROWS, Numbers, as_csv, csv_name, packed, show, tables, unpacked


def panel(*series, title="", x="epoch", y="error", values="y", across=()):
    return {
        "title": title,
        "x": x,
        "y": y,
        "values": values,
        "series": list(series),
        "across": list(across),
    }


def line(name, x, y, **more):
    return {"name": name, "x": x, "y": y, **more}


def table(*series, **how):
    (made,) = tables(Numbers([panel(*series, **how)], ""))
    return made


def rows_of(*panels):
    return list(csv.reader(io.StringIO(as_csv(Numbers(list(panels), "")))))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (11689512, "11,689,512"),
        (-3, "−3"),
        (84.458, "84.5"),
        (0.0020057, "0.00201"),
        (12492.7, "12,493"),
        (1.2885e-24, "1.29\u00a0×\u00a010⁻²⁴"),
        (-2.5e7 - 0.5, "−2.5\u00a0×\u00a010⁷"),
        (None, "–"),
        ("stage 1", "stage 1"),
    ],
)
def test_numbers_are_shown_short(value, text):
    assert show(value) == text


def test_series_stand_side_by_side_with_their_ranges():
    plain = line("plain", [1, 2], [80, 60.5], **{"from": [78, 50], "to": [82, 70]})
    made = table(plain, line("residual", [1, 2, 3], [70, 20, 10]))
    assert made.header == ["epoch", "plain", "residual"]
    assert made.rows == [
        ["1", "80 (78\u00a0to\u00a082)", "70"],
        ["2", "60.5 (50\u00a0to\u00a070)", "20"],
        ["3", "–", "10"],
    ]


def test_numbers_are_the_same_after_packing():
    for count in (1, 5000):
        numbers = {"panels": [panel(line("γ", list(range(count)), [0.12346] * count))]}
        text = packed(numbers)
        assert unpacked(text) == numbers
        assert "\n" not in text
        assert len(text) < 20000


def test_very_many_points_at_one_place_are_counted():
    made = table(line("seeds", [0] * 7 + [1], [3, -1, 2, 2, 2, 2, 8, 5]))
    assert made.rows == [["0", "7 values, −1\u00a0to\u00a08"], ["1", "5"]]


def test_points_at_one_place_stand_in_one_cell():
    assert table(line("seeds", ["a", "a", "b"], [1, 2, 3])).rows == [["a", "1, 2"], ["b", "3"]]


def test_lying_bars_have_a_row_for_each_word():
    made = table(line("", [0.1, 12], ["stem", "stage 1"]), x="share", y="part", values="x")
    assert made.header == ["part", "share"]
    assert made.rows == [["stem", "0.1"], ["stage 1", "12"]]


def test_long_tables_are_thinned_and_say_so():
    made = table(line("", list(range(60)), list(range(60))))
    assert len(made.rows) <= MOST_ROWS
    assert [row[0] for row in made.rows[:2] + made.rows[-1:]] == ["0", "4", "59"]
    assert made.left_out == f"{len(made.rows)} of 60 rows; the CSV file has all."


def test_many_short_series_have_a_row_each():
    made = table(*[line(f"run {n}", [0, 1], [n, n + 1]) for n in range(9)])
    assert made.header == ["epoch", "0", "1"]
    assert made.rows[3] == ["run 3", "3", "4"]


def test_named_points_have_a_row_each():
    made = table(line("", [1, 2], [3, 4], points=["resnet18", "resnet50"]), x="cost")
    assert made.header == ["point", "cost", "error"]
    assert made.rows == [["resnet18", "1", "3"], ["resnet50", "2", "4"]]


def test_a_line_across_is_told_under_the_table():
    made = table(line("", [1], [2]), across=[{"name": "guessing", "axis": "y", "at": 90}])
    assert made.left_out == "guessing at 90."


def test_csv_has_every_point_of_every_panel():
    plain = line("plain", list(range(50)), list(range(50)), **{"from": [0] * 50, "to": [99] * 50})
    first, second = panel(plain, title="A"), panel(line("", [0], [0.12346]), title="B")
    header, *rows = rows_of(first, second)
    assert header == ["panel", "series", "epoch", "error", "from", "to"]
    assert len(rows) == 51
    assert rows[49] == ["A", "plain", "49", "49", "0", "99"]
    assert rows[50] == ["B", "", "0", "0.12346", "", ""]


def test_csv_names_axes_in_each_row_where_panels_differ():
    header, first, second = rows_of(
        panel(line("", [1], [2]), title="A"),
        panel(line("", [3], [4]), title="B", x="block"),
    )
    assert header == ["panel", "x axis", "y axis", "x", "y"]
    assert first == ["A", "epoch", "error", "1", "2"]
    assert second == ["B", "block", "error", "3", "4"]


def test_csv_has_a_line_across_as_a_row_of_its_own():
    rows = rows_of(panel(line("", [1], [2]), across=[{"name": "chance", "axis": "y", "at": 50}]))
    assert rows == [["series", "epoch", "error"], ["", "1", "2"], ["chance", "", "50"]]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("2.4", "figure-02-4.csv"),
        ("A1.1", "figure-A1-1.csv"),
        ("", "chapters-solutions-04_x-9.csv"),
    ],
)
def test_files_are_called_by_the_figures_number(number, name):
    assert csv_name("chapters/solutions/04_x", 8, number) == name

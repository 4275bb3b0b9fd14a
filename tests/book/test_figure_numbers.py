"""The numbers read back from a figure are those that were drawn, under the names beside them."""

import io
import json

import figure_data
import figure_run
import matplotlib
import numpy as np
import pytest
import toy_book
from figure_tables import kept
from nbformat import NotebookNode
from notebooks import NUMBERS, ROOT, read

from resnet_lib import plots

matplotlib.use("agg")
BLUE, GREY, MUTED = (plots.COLORS[name] for name in ("residual", "plain", "muted"))


@pytest.fixture
def axes():
    with plots.figure() as axes:
        yield axes
    plots.plt.close(axes.figure)


def panel(axes):
    (found,) = figure_data.numbers(axes.figure)["panels"]
    return found


def by_name(axes):
    return {series["name"]: series for series in panel(axes)["series"]}


def test_bands_are_read_with_their_means_and_ranges(axes):
    runs = np.random.default_rng(0).uniform(1e-9, 90, (2, 3, 50))
    for name, seeds, color in zip(("plain", "residual"), runs, (GREY, BLUE), strict=True):
        line = plots.band(axes, range(1, 51), seeds, color)
        plots.label(axes, 50, line[-1], name, color)
    axes.set(title="Two", xlabel="epoch", ylabel="error in %")
    found = panel(axes)
    assert (found["title"], found["x"], found["y"]) == ("Two", "epoch", "error in %")
    for series, name, seeds in zip(found["series"], ("plain", "residual"), runs, strict=True):
        assert series["name"] == name
        assert series["x"] == list(range(1, 51))
        np.testing.assert_allclose(series["y"], seeds.mean(0), rtol=5e-5)
        np.testing.assert_allclose(series["from"], seeds.min(0), rtol=5e-5)
        np.testing.assert_allclose(series["to"], seeds.max(0), rtol=5e-5)


def test_tiny_ranges_are_ranges_too(axes):
    plots.band(axes, [0, 1], [[1e-24, 2e-24], [3e-24, 4e-24]], BLUE)
    (series,) = panel(axes)["series"]
    assert (series["from"], series["to"]) == ([1e-24, 2e-24], [3e-24, 4e-24])


def test_lying_bars_stand_beside_their_words(axes):
    for name, share, color in (("stem", 0.1, MUTED), ("stage 1", 12.5, BLUE)):
        axes.barh(name, share, color=color)
        plots.label(axes, share, name, f"{share} %")
    found = panel(axes)
    assert found["values"] == "x"
    assert found["series"] == [{"name": "", "x": [0.1, 12.5], "y": ["stem", "stage 1"]}]


def test_stacked_bars_say_where_they_begin(axes):
    axes.bar([0, 1], [3, 4], label="kept")
    axes.bar([0, 1], [2, 1], bottom=[3, 4], label="gained")
    found = by_name(axes)
    assert (found["kept"]["from"], found["kept"]["y"]) == ([0, 0], [3, 4])
    assert (found["gained"]["from"], found["gained"]["y"]) == ([3, 4], [5, 5])


def test_a_mark_beside_a_tick_means_the_tick(axes):
    rates = [0.01, 0.1, 1]
    for side, color, name in ((0.93, BLUE, "a"), (1.07, GREY, "b")):
        axes.plot([side * rate for rate in rates], [1, 2, 3], "o", color=color, label=name)
    axes.set(xscale="log")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    assert [series["x"] for series in by_name(axes).values()] == [["0.01", "0.1", "1"]] * 2


def test_values_between_ticks_stay_as_they_are(axes):
    axes.plot([0.01, 0.05, 1], [1, 2, 3])
    axes.set(xscale="log")
    axes.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    assert panel(axes)["series"][0]["x"] == [0.01, 0.05, 1]


def test_a_line_across_has_its_name(axes):
    axes.plot([0, 1, 2], [10, 20, 30], color=BLUE)
    axes.axhline(90, color=MUTED)
    axes.text(0.1, 91, "guessing")
    assert panel(axes)["across"] == [{"name": "guessing", "axis": "y", "at": 90}]


def test_marks_of_one_label_are_one_series_whatever_their_colours(axes):
    for place, (color, seeds) in enumerate([(BLUE, [1, 2, 4]), (GREY, [3, 5, 6])]):
        axes.plot(seeds, [place] * 3, "o", color=color, alpha=0.5, label="each seed")
        axes.plot([seeds[0], seeds[2]], [place] * 2, color=color, lw=5, label="mean")
        axes.plot(seeds[1], place, "|", color=color, label="mean")
    found = by_name(axes)
    assert list(found) == ["each seed", "mean"]
    assert found["each seed"]["x"] == [1, 2, 4, 3, 5, 6]
    assert (found["mean"]["x"], found["mean"]["y"]) == ([2, 5], [0, 1])
    assert (found["mean"]["from"], found["mean"]["to"]) == ([1, 3], [4, 6])


def test_a_label_given_once_for_a_legend_names_all_marks_of_its_look(axes):
    for place in (0, 1):
        for up, color, name in ((0.2, BLUE, "predicted"), (-0.2, GREY, "measured")):
            axes.barh(place + up, 3, 0.4, color=color, label=None if place else name)
    assert [len(series["x"]) for series in by_name(axes).values()] == [2, 2]
    assert list(by_name(axes)) == ["predicted", "measured"]


def test_ranges_and_error_bars_belong_to_their_points(axes):
    for place, (low, middle, high) in enumerate([(1, 2, 4), (2, 3, 5)]):
        axes.plot([low, high], [place, place], color=BLUE, lw=4)
        axes.plot(middle, place, "o", color=BLUE)
    axes.errorbar([0, 1], [7, 8], [0.5, 0.25], color=GREY, label="bars")
    ranged, bars = panel(axes)["series"]
    assert (ranged["x"], ranged["from"], ranged["to"]) == ([2, 3], [1, 2], [4, 5])
    assert (bars["name"], bars["from"], bars["to"]) == ("bars", [6.5, 7.75], [7.5, 8.25])


def test_a_single_point_has_its_error_bar(axes):
    axes.errorbar([3], [7], [0.5], color=GREY, marker="o", label="one")
    (bar,) = panel(axes)["series"]
    assert (bar["name"], bar["x"], bar["from"], bar["to"]) == ("one", [3], [6.5], [7.5])


def test_a_range_goes_to_the_mark_that_lies_in_it(axes):
    lines = {"style :": (50, 60), "style -": (5, 6)}
    for middles in lines.values():
        for x, middle in enumerate(middles):
            axes.plot([x, x], [0.9 * middle, 1.2 * middle], color=BLUE, lw=1)
    for name, middles in reversed(lines.items()):
        axes.plot([0, 1], middles, name[-1], color=BLUE, marker=".", label=name)
    found = by_name(axes)
    assert (found["style :"]["from"], found["style :"]["to"]) == ([45, 54], [60, 72])
    assert (found["style -"]["from"], found["style -"]["to"]) == ([4.5, 5.4], [6, 7.2])


def test_a_line_that_joins_two_marks_is_no_range(axes):
    for row in (0, 1):
        axes.plot([1, 2 + row], [row, row], color=BLUE)
        axes.plot(1, row, "o", color=BLUE)
        axes.plot(2 + row, row, "o", mec=BLUE, mfc="none")
    assert [set(series) for series in panel(axes)["series"]] == [{"name", "x", "y"}] * 2


def test_a_stroke_over_a_word_is_a_mark(axes):
    axes.plot([-0.3, 0.3], [5, 5], color=BLUE)
    axes.plot([0.7, 1.3], [7, 7], color=BLUE)
    axes.set_xticks([0, 1], ["own", "own"])
    assert panel(axes)["series"] == [{"name": "", "x": ["own", "own (2)"], "y": [5, 7]}]


def test_each_point_may_have_its_own_name(axes):
    for name, x, y in (("resnet18", 0.2, 0.9), ("resnet50", 0.7, 0.6)):
        axes.plot(x, y, "o", color=BLUE)
        plots.label(axes, x, y, name)
    (series,) = panel(axes)["series"]
    assert series["points"] == ["resnet18", "resnet50"]


def test_nameless_series_are_called_what_they_look_like(axes):
    axes.plot([0, 1], [1, 2], color=BLUE)
    axes.plot([0, 1], [2, 3], "--", color=BLUE)
    axes.plot([0, 1], [3, 5], color=GREY)
    assert list(by_name(axes)) == ["blue", "blue, dashed", "grey"]


def test_a_legend_of_styles_names_lines_of_every_colour(axes):
    for color, name, height in ((BLUE, "56", 1), (GREY, "20", 9)):
        for style, rise in (("-", 0), ("--", 1)):
            axes.plot([0, 1, 2], [height + rise] * 3, style, color=color)
        plots.label(axes, 2, height, name, color)
    handles = [axes.plot([], [], style, color=MUTED)[0] for style in ("--", "-")]
    axes.legend(handles, ["training", "test"])
    assert list(by_name(axes)) == ["56, test", "56, training", "20, test", "20, training"]


def two_panels(draw):
    with plots.figure(2) as panels:
        draw(*panels)
    plots.plt.close(panels[0].figure)
    found = figure_data.numbers(panels[0].figure)["panels"]
    return [[series["name"] for series in one["series"]] for one in found]


def test_a_name_holds_for_the_same_look_and_shade_in_another_panel():
    def draw(left, right):
        for idea, axes in (("plain", left), ("residual", right)):
            shades = plots.shades(plots.COLORS[idea], 3)
            for depth, shade in zip((8, 20, 56), shades, strict=True):
                axes.plot([0, 1], [depth, 2 * depth], color=shade)
                if axes is left:
                    plots.label(axes, 1, 2 * depth, f"{depth} layers", plots.COLORS[idea])

    assert two_panels(draw) == [["8 layers", "20 layers", "56 layers"]] * 2


def test_one_word_for_all_lines_of_a_panel_names_none_of_them():
    def draw(left, right):
        for number, style in enumerate(("-", "--", ":")):
            for axes in (left, right):
                axes.plot([0, 1], [number, number + 1], style, color=BLUE)
            plots.label(right, 1, number + 1, f"line {number}", BLUE)
        plots.label(left, 1, 3, "all three", BLUE)

    assert two_panels(draw) == [["line 0", "line 1", "line 2"]] * 2


def test_histogram_counts_stand_at_the_middle_of_their_bins(axes):
    values = np.random.default_rng(1).normal(size=500)
    counts, edges, _ = axes.hist(values, bins=40)
    axes.set(xlabel="value")
    found = panel(axes)
    assert found["x"] == "value, middle of the bin"
    assert found["series"][0]["y"] == counts.tolist()
    np.testing.assert_allclose(found["series"][0]["x"], (edges[1:] + edges[:-1]) / 2, rtol=5e-5)


def test_a_map_with_a_number_in_each_cell_is_a_table(axes):
    axes.imshow([[1, 2], [3, 4]])
    for (y, x), text in (((0, 0), "1.5"), ((0, 1), "2"), ((1, 0), "30"), ((1, 1), "4")):
        axes.text(x, y, text)
    axes.set_xticks([0, 1], ["0.1", "1"])
    axes.set_yticks([0, 1], ["16", "32"])
    assert by_name(axes)["32"] == {"name": "32", "x": ["0.1", "1"], "y": [30, 4]}


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (lambda axes: axes.imshow([[1, 2]]), "a picture"),
        (lambda axes: axes.contourf([[1, 2], [3, 4]]), "a map of colours"),
        (lambda axes: (axes.plot([1, 2]), axes.axis("off")), "a sketch without a scale"),
        (lambda axes: (axes.bar([0, 1], [1, 2]), axes.set(yticks=[])), "a sketch without a scale"),
    ],
)
def test_where_nothing_can_be_read_it_says_why(draw, reason, axes):
    draw(axes)
    assert figure_data.numbers(axes.figure) == {"none": reason}


def test_reading_leaves_the_picture_as_it_is():
    def drawn(read_before):
        with plots.figure(2, sharey=True) as panels:
            for axes, color in zip(panels, (BLUE, GREY), strict=True):
                plots.band(axes, range(5), [[1, 2, 4, 8, 16.3], [2, 3, 5, 9, 18.1]], color)
                plots.label(axes, 4, 17.2, "name", color)
        if read_before:
            figure_data.numbers(panels[0].figure)
        file = io.BytesIO()
        panels[0].figure.savefig(file, bbox_inches="tight")
        plots.plt.close(panels[0].figure)
        return file.getvalue()

    assert drawn(read_before=True) == drawn(read_before=False)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(11689512, 11689512), (0.123456789, 0.12346), (float("nan"), None), (2.0, 2), ("a", "a")],
)
def test_numbers_keep_five_digits_and_whole_ones_all(value, kept):
    assert figure_data.rounded(value) == kept


# In the notebooks


def test_only_the_same_picture_gets_the_numbers_of_another_run():
    fresh = toy_book.notebook([toy_book.drawn("f()"), toy_book.drawn("g()")])
    kept = toy_book.notebook([toy_book.drawn("f()"), toy_book.drawn("g()")])
    other = toy_book.PIXEL.replace("CklEQVR4nGP4DwABAQEAG7buVg", "CklEQVR4nGNgAAAAAgABc3UBGA")
    for cell in kept.cells:
        cell.outputs[0].metadata = NotebookNode()
    kept.cells[1].outputs[0].data["image/png"] = other
    assert figure_run.lacks_numbers(kept)
    assert figure_run.fill_in(kept, fresh) == [1]
    assert kept.cells[0].outputs[0].metadata == {NUMBERS: toy_book.NUMBERS_SHOWN}
    assert kept.cells[1].outputs[0].metadata == {}


def kept_numbers(chapter, caption):
    (path,) = (ROOT / "chapters").glob(f"{chapter}_*.ipynb")
    cells = read(path).cells
    place = next(n for n, c in enumerate(cells) if c.source.startswith(f"**Figure {caption}.**"))
    return kept(cells[place - 1]).panels


def test_figure_of_one_number_is_its_powers():
    (found,) = kept_numbers("02", "2.2")
    plain, residual = found["series"]
    np.testing.assert_allclose(plain["y"], [0.5**n for n in range(61)], rtol=5e-5)
    np.testing.assert_allclose(residual["y"], [1.5**n for n in range(61)], rtol=5e-5)


def record(name):
    return json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))["results"]


def test_figure_of_few_pictures_is_its_record():
    (found,) = kept_numbers("14", "14.8")
    rows = {(row["pictures"], row["augmented"]): row["errors"] for row in record("few_pictures")}
    for series, augmented in zip(found["series"], (False, True), strict=True):
        assert series["name"] == ("augmented" if augmented else "as they are")
        errors = [rows[int(place.replace(",", "")), augmented] for place in series["x"]]
        np.testing.assert_allclose(series["y"], np.mean(errors, axis=1), rtol=5e-5)
        assert (series["from"], series["to"]) == (list(map(min, errors)), list(map(max, errors)))


def test_figure_of_variants_is_its_record():
    (found,) = kept_numbers("19", "19.3")
    rows = {row["network"]: np.array(row["errors"]) for row in record("variants")}
    means = [series for series in found["series"] if series["name"] == "mean"]
    shown = {name: x for one in means for x, name in zip(one["x"], one["y"], strict=True)}
    known = shown.keys() & rows.keys()
    assert len(known) > 6
    for name in known:
        gap = float(np.mean(rows[name] - rows["residual"]))
        assert shown[name] == pytest.approx(gap, rel=5e-5, abs=1e-9)


def test_shares_in_a_figure_add_up():
    parameters, work = kept_numbers("05", "5.2")
    assert parameters["series"][0]["y"] == work["series"][0]["y"]
    for panel in (parameters, work):
        assert sum(panel["series"][0]["x"]) == pytest.approx(100, abs=0.01)

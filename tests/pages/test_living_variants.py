"""Variants against their records: each network's numbers and places, on every pair of axes."""

import itertools
import json
import math
import re
import statistics

import pytest
from book_ext import living
from building import ROOT
from living_pages import figure_on, painted

PAGE = "chapters/19_variants"
WIDTH, HEIGHT = 640, 380
QUANTITIES = ("test", "training", "parameters", "work", "time")
PATHS = ("variants", "variants_projections", "variants_time")
FIRST, LATER, TIMES = (
    json.loads((ROOT / f"results/{path}.json").read_text(encoding="utf-8"))["results"]
    for path in PATHS
)
ROWS = {row["network"]: row for row in [*FIRST, *LATER]}


def numbers(network, quantity):
    """The middle, the least and the most."""
    row = ROWS[network]
    if quantity == "time":
        ratio = TIMES[0]["ratios"][network]
        return [ratio[name] for name in ("median", "lower_quartile", "upper_quartile")]
    if quantity in ("parameters", "work"):
        return [row["parameters" if quantity == "parameters" else "multiply_adds"]] * 3
    errors = row["errors" if quantity == "test" else "training"]
    return [statistics.mean(errors), min(errors), max(errors)]


def half(quantity):
    """Of the last digit that is shown."""
    return {"time": 0.00501, "parameters": 0, "work": 0}.get(quantity, 0.0501)


def of_sentence(text, quantity):
    if quantity in ("parameters", "work"):
        words = "parameters" if quantity == "parameters" else "multiply-adds"
        return [int(re.search(rf"([\d,]+) {words}", text)[1].replace(",", ""))] * 3
    start = "a step of" if quantity == "time" else f"{quantity} error"
    found = re.search(rf"{start} ([\d.]+)(?: %)? \(([\d.]+) to ([\d.]+)\)", text)
    return [float(value) for value in found.groups()]


@pytest.fixture(scope="module")
def found(html, browser):
    page = browser.new_page()
    page.goto((html / f"{PAGE}.html").as_uri())
    pairs = itertools.product(QUANTITIES, QUANTITIES, ROWS)
    states = [dict(zip(("up", "across", "network"), case, strict=True)) for case in pairs]
    shown = painted(page, "variants", states, WIDTH, HEIGHT, paths=True)
    page.close()
    return list(zip(states, shown, strict=True))


def test_sentence_is_the_records(found):
    assert len(found) == 5 * 5 * 13
    for state, shown in found:
        own, _, base = shown["said"].partition(". Usual block: ")
        for quantity in {state["up"], state["across"]}:
            halves = half(quantity)
            expected = numbers(state["network"], quantity)
            assert of_sentence(own, quantity) == pytest.approx(expected, rel=0, abs=halves)
            if state["network"] != "residual":
                expected = numbers("residual", quantity)
                assert of_sentence(base, quantity) == pytest.approx(expected, rel=0, abs=halves)
        won = re.search(r"lower test error with (\d) of 6 seeds", shown["said"])
        pairs = zip(ROWS[state["network"]]["errors"], ROWS["residual"]["errors"], strict=True)
        is_told = state["network"] != "residual" and "test" in (state["up"], state["across"])
        assert (int(won[1]) if won else None) == (sum(a < b for a, b in pairs) if is_told else None)


def test_ranges_stand_where_the_axes_say(found):
    """The axes are logarithmic: two marks and their places say where each number has to be."""
    for state, shown in found:
        grid = [course for kind, course in shown["paths"] if kind == "grid"]
        across = [float(re.match(r"M([\d.]+) \S+V", d)[1]) for d in grid if "V" in d]
        upward = [float(re.match(r"M\S+ ([\d.]+)H", d)[1]) for d in grid if "H" in d]
        scales = {}
        for side, places in (("across", across), ("up", upward)):
            marks = living.figure("variants", ROOT).data["axes"][state[side]]["ticks"]
            assert len(marks) == len(places)
            scales[side] = line(marks, places)
            named = [
                text for kind, text in shown["texts"] if kind == ("middle", "end")[side == "up"]
            ]
            assert [as_number(text) for text in named[: len(marks)]] == marks
        ranges = [course for kind, course in shown["paths"] if kind.startswith("range")]
        for network, course in zip(ROWS, ranges, strict=True):
            left, cy, right, cx, low, high = map(float, re.findall(r"-?[\d.]+", course))
            x, y = (scales[side] for side in ("across", "up"))
            drawn = [cx, left, right, cy, low, high]
            expected = [*map(x, numbers(network, state["across"]))]
            expected += map(y, numbers(network, state["up"]))
            assert drawn == pytest.approx(expected, abs=0.02), (state, network)
            assert all(46 <= place <= WIDTH - 16 for place in (cx, left, right))
            assert all(28 <= place <= HEIGHT - 44 for place in (cy, low, high))


def line(marks, places):
    first, last = math.log10(marks[0]), math.log10(marks[-1])
    slope = (places[-1] - places[0]) / (last - first)
    return lambda value: places[0] + slope * (math.log10(value) - first)


def as_number(text):
    if text.endswith("k"):
        return float(text[:-1]) * 1e3
    return float(text.removesuffix(" M")) * (1e6 if text.endswith(" M") else 1)


def test_names_cover_no_other_name(html, open_page):
    boxes = """drawing => [...drawing.querySelectorAll("text.name")].map((text) => {
      const { x, y, width, height } = text.getBBox();
      return [text.textContent, x, y + 3, x + width, y + height - 3];
    })"""
    page = open_page((html / f"{PAGE}.html").as_uri())
    page.emulate_media(reduced_motion="reduce")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        shown = figure_on(page, "variants").locator(".living-drawing").evaluate(boxes)
        assert {"resnet-d", "residual"} <= {name for name, *_ in shown}
        for one, other in itertools.combinations(shown, 2):
            # A pixel for letters that are a little wider than the figure reckons.
            apart = one[3] <= other[1] + 1 or other[3] <= one[1] + 1 or one[4] <= other[2]
            assert apart or other[4] <= one[2], (one, other)


NAMED = """(states) => {
  const figure = document.querySelector('[data-living="variants"]').living;
  const { width, height } = figure.drawing.getBoundingClientRect();
  return JSON.stringify(states.map((state) => {
    const { shapes } = figure.paint({ state, now: figure.aims(state), width, height });
    figure.drawing.replaceChildren(...shapes);
    const names = [...figure.drawing.querySelectorAll("text.name")].map((text) => {
      const { x, y, width: wide, height: high } = text.getBBox();
      return [text.textContent, x, y + 3, x + wide, y + high - 3];
    });
    const dots = [...figure.drawing.querySelectorAll("circle.dot")].map((dot) => {
      return [dot.cx.baseVal.value, dot.cy.baseVal.value];
    });
    const front = figure.drawing.querySelector("path.front").getAttribute("d");
    const diagonal = figure.drawing.querySelector("path.diagonal")?.getAttribute("d");
    return { names, dots, front, diagonal, width };
  }));
}"""


def unbeaten(up, across):
    """The networks that no other one beats: as good in both and better in one."""
    spots = {name: (numbers(name, up)[0], numbers(name, across)[0]) for name in ROWS}
    return {
        name
        for name, (y, x) in spots.items()
        if not any(b <= y and a <= x and (b, a) != (y, x) for b, a in spots.values())
    }


@pytest.mark.parametrize("width", [1280, 360])
def test_dots_are_named_and_the_front_is_joined(html, open_page, width):
    page = open_page((html / f"{PAGE}.html").as_uri(), width=width)
    pairs = list(itertools.product(QUANTITIES, QUANTITIES))
    states = [{"up": up, "across": to, "network": "se"} for up, to in pairs]
    for (up, across), shown in zip(pairs, json.loads(page.evaluate(NAMED, states)), strict=True):
        names = [name for name, *_ in shown["names"]]
        front = unbeaten(up, across)
        if width == 1280:
            assert sorted(names) == sorted(ROWS), (up, across)
        else:
            assert {"se", "residual"} <= set(names), (up, across)
            if len(front) < 6:  # more than lie on one spot have no room
                assert front <= set(names), (up, across)
        for name, left, top, right, bottom in shown["names"]:
            assert left >= 0, name
            assert right <= shown["width"], name
            for x, y in shown["dots"]:
                assert not (left < x + 6 and x - 6 < right and top < y + 6 and y - 6 < bottom), (
                    name,
                    up,
                    across,
                )
        for one, other in itertools.combinations(shown["names"], 2):
            # A pixel for letters that are a little wider than the figure reckons.
            apart = one[3] <= other[1] + 1 or other[3] <= one[1] + 1 or one[4] <= other[2]
            assert apart or other[4] <= one[2], (one, other)
        spots = dict(zip(ROWS, shown["dots"], strict=True))
        joined = [tuple(map(float, spot.split(","))) for spot in shown["front"][1:].split("L")]
        expected = sorted(tuple(spots[name]) for name in front)
        assert list(itertools.chain(*sorted(joined))) == pytest.approx(
            [*itertools.chain(*expected)], abs=0.01
        )
        assert bool(shown.get("diagonal")) == ({up, across} == {"test", "training"})


def test_on_the_diagonal_both_errors_are_equal(found):
    for state, shown in found:
        for kind, course in shown["paths"]:
            if kind != "grid diagonal":
                continue
            grid = [d for look, d in shown["paths"] if look == "grid"]
            ends = [tuple(map(float, spot.split(","))) for spot in course[1:].split("L")]
            for axis, side, mark in (
                (0, "across", r"M([\d.]+) \S+V"),
                (1, "up", r"M\S+ ([\d.]+)H"),
            ):
                places = [float(m[1]) for m in (re.match(mark, d) for d in grid) if m]
                marks = living.figure("variants", ROOT).data["axes"][state[side]]["ticks"]
                scale = line(marks, places)
                assert [end[axis] for end in ends] == pytest.approx([scale(2), scale(65)], abs=0.1)


def test_dot_and_menu_choose_the_same(html, open_page):
    page = open_page((html / f"{PAGE}.html").as_uri())
    box = figure_on(page, "variants")
    box.locator(".living-drawing circle").nth(list(ROWS).index("wide")).click()
    menu = box.get_by_label("network", exact=True)
    assert menu.input_value() == "wide"
    assert (
        box.locator(".living-said").inner_text().startswith("wide: test error 4.3 % (3.7 to 5.8)")
    )
    menu.select_option("plain")
    assert "0 of 6 seeds" in box.locator(".living-said").inner_text()
    assert not page.watch.faults


def test_table_is_the_records():
    rows = living.figure("variants", ROOT).table.rows
    assert [name for name, *_ in rows] == list(ROWS)
    for name, *cells in rows:
        for quantity, cell in zip(QUANTITIES, cells, strict=True):
            shown = [float(value) for value in re.findall(r"[\d.]+", cell.replace(",", ""))]
            expected = numbers(name, quantity)[: len(shown)]
            assert shown == pytest.approx(expected, rel=0, abs=half(quantity)), (name, quantity)

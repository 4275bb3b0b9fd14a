"""Gradient flow against its record: every network, every number, and the lines themselves."""

import itertools
import json
import math
import re

import pytest
from book_ext import living
from book_ext.living.gradient_flow import HIGHEST, LOWEST, RECORD
from building import ROOT

CHAPTER = "chapters/07_gradient_flow"
KINDS = ("plain", "residual")
NORMS = ("none", "batch norm")
STARTS = ("he", "default", "zero gamma")
NAMES = ("first", "last", "ratio", "cosine", "SGD", "Adam")
HALF = {"cosine": 0.005, "SGD": 0.05, "Adam": 0.05}  # of the last digit
STATES = list(itertools.product((8, 20, 56), STARTS, NORMS, KINDS))
RUNS = json.loads((ROOT / RECORD).read_text(encoding="utf-8"))["results"]

CHOOSE = """([depth, start, norm, kind]) => {
  const box = document.querySelector('[data-living="gradient-flow"]');
  const control = (name, value = "") => box.querySelector(`[data-control="${name}"]${value}`);
  control("depth", `[value="${depth}"]`).checked = true;
  control("start", `[value="${start}"]`).checked = true;
  control("norm").checked = norm === "batch norm";
  control("skip").checked = kind === "residual";
  control("skip").dispatchEvent(new Event("input", { bubbles: true }));
  const drawing = box.querySelector(".living-drawing");
  const d = (kind) => drawing.querySelector(`path.${kind}`).getAttribute("d");
  const cells = {};
  for (const cell of box.querySelectorAll("[data-slot]")) {
    cells[cell.dataset.slot] = cell.textContent;
  }
  return { cells, said: box.querySelector(".living-said").textContent,
           line: d(`line.${kind}:not(.thin)`), band: d(`band.${kind}`), twin: d("thin"),
           opacity: [...drawing.querySelectorAll("g")].map((g) => g.getAttribute("opacity")),
           ticks: [...drawing.querySelectorAll("path.grid")].map((p) => p.getAttribute("d")),
           names: [...drawing.querySelectorAll("text.end")].map((t) => t.textContent) };
}"""


def runs(depth, start, norm, kind):
    case = {"depth": depth, "start": start, "norm": norm, "kind": kind}
    return [run for run in RUNS if case.items() <= run.items()]


def values(text):
    """The numbers of a cell: one, or from the least to the most."""
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    found = []
    for part in text.replace("\u00a0", " ").replace("−", "-").split(" to "):
        first, _, exponent = part.partition(" × 10")
        found.append(float(f"{first}e{exponent.translate(raised) or 0}"))
    return [found[0], found[-1]]


def quantities(seeds):
    """What the panel shows of a network, from the record itself."""
    found = {
        "first": [run["norms"][0] for run in seeds],
        "last": [run["norms"][-2] for run in seeds],  # the classifier is behind it
        "cosine": [run["cosine"] for run in seeds],
    }
    if all(found["last"]):
        found["ratio"] = [a / b for a, b in zip(found["first"], found["last"], strict=True)]
    for optimizer in ("SGD", "Adam"):
        ways = [[w for w in run["training"] if w["optimizer"] == optimizer] for run in seeds]
        found[optimizer] = [min(way["errors"][-1] for way in rates) for rates in ways]
    return found


def assert_rounded(text, ends, name):
    """To as many decimals as the quantity has, or to three digits, or two and a power of ten."""
    shown = values(text)
    for one, end in zip(shown, ends, strict=True):
        digits = 2 if 0 < abs(end) < 0.01 or abs(end) > 999.5 else 3
        half = HALF.get(name) or 0.5 * 10 ** (math.floor(math.log10(abs(end) or 1)) - digits + 1)
        assert abs(one - end) <= half * (1 + 1e-6), (text, ends, name)


def drawn(path, scale):
    """The points of a line, as convolution and gradient."""
    points = [tuple(map(float, p.split(","))) for p in re.findall(r"[-\d.]+,[-\d.]+", path)]
    return [scale(y) for _, y in points]


@pytest.fixture(scope="module")
def found(html, browser):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto((html / f"{CHAPTER}.html").as_uri())
    yield {state: page.evaluate(CHOOSE, state) for state in STATES}
    context.close()


def test_numbers_are_the_records(found):
    for state, shown in found.items():
        for kind in KINDS:
            seeds = runs(*state[:3], kind)
            expected = quantities(seeds) if seeds else {}
            for name in NAMES:
                cell = shown["cells"][f"{name} {kind}"]
                if name not in expected:
                    assert cell == "–", (state, name)
                    continue
                ends = [min(expected[name]), max(expected[name])]
                assert_rounded(cell, ends, name)


def test_lines_are_the_records(found):
    for state, shown in found.items():
        seeds = runs(*state)
        assert shown["opacity"][1] == ("1" if seeds else "0")
        ticks = [float(re.search(r" ([\d.]+)H", d)[1]) for d in shown["ticks"]]
        high, low = ticks[-2], ticks[0]  # 1 and 10^-25; the last one is that of no gradient
        by_exponent = 25 / (low - high)
        for name, measure in (("line", lambda v: sum(v) / len(v)), ("band", min)):
            if not seeds:
                continue
            exponents = drawn(shown[name], lambda y: (high - y) * by_exponent)  # noqa: B023
            sizes = zip(*(run["norms"][:-1] for run in seeds), strict=True)
            sizes = [measure(each) for each in sizes]
            step = 54 // (len(sizes) - 1)
            if name == "band":  # its lower edge comes back from the last point to the first
                exponents = exponents[55:][::-1]
            expected = [math.log10(size) if size else LOWEST - 0.6 for size in sizes]
            assert exponents[::step] == pytest.approx(expected, abs=0.02), (state, name)


def test_sentence_is_the_records(found):
    for state, shown in found.items():
        depth, start, norm, kind = state
        seeds, said = runs(*state), shown["said"]
        if not seeds:
            assert "there is no such network" in said
            assert start == "zero gamma"
            continue
        assert said.startswith(f"{depth} layers, {'plain' if kind == 'plain' else 'with short'}")
        silent = seeds[0]["norms"][:-1].count(0)
        if silent:
            assert f"the other {silent} have none" in said
            continue
        told = re.findall(
            r"(?:median gradient|shortcuts:|Plain:) (.*?), the first (.*?) times", said
        )
        for one, (middle, ratio) in zip((kind, KINDS[kind == "plain"]), told, strict=True):
            sizes = [sorted(run["norms"][:-1]) for run in runs(depth, start, norm, one)]
            medians = [each[len(each) // 2] for each in sizes]
            assert_rounded(middle, [min(medians), max(medians)], "median")
            assert ratio == shown["cells"][f"ratio {one}"]


def test_axis_holds_every_gradient():
    sizes = [size for run in RUNS for size in run["norms"][:-1] if size]
    assert LOWEST < math.log10(min(sizes)) < LOWEST + 3
    assert HIGHEST - 3 < math.log10(max(sizes)) < HIGHEST


def test_axis_never_moves(found):
    assert len({tuple(shown["ticks"]) for shown in found.values()}) == 1


def test_table_has_every_network_of_the_record():
    rows = living.figure("gradient-flow", ROOT).table.rows
    assert len(rows) == len(RUNS) / 3
    for name, *cells in rows:
        depth, kind, norm, start = name.split(", ")
        state = (
            int(depth.removesuffix(" layers")),
            {"He weights": "he", "PyTorch’s default": "default", "zero γ": "zero gamma"}[start],
            norm.replace("no norm", "none"),
            kind.replace("with shortcuts", "residual"),
        )
        expected = quantities(runs(*state))
        for name, cell in zip(NAMES, cells, strict=True):
            if name in expected:
                ends = [min(expected[name]), max(expected[name])]
                assert_rounded(cell, ends, name)


def test_profile_moves_where_motion_is_welcome(html, browser):
    seen = {}
    for motion in ("reduce", "no-preference"):
        context = browser.new_context(reduced_motion=motion)
        page = context.new_page()
        page.goto((html / f"{CHAPTER}.html").as_uri())
        page.evaluate(CHOOSE, (8, "he", "batch norm", "plain"))
        page.wait_for_timeout(600)
        at_once = page.evaluate(CHOOSE, (56, "he", "batch norm", "plain"))["line"]
        page.wait_for_timeout(600)
        at_last = page.evaluate(CHOOSE, (56, "he", "batch norm", "plain"))["line"]
        seen[motion] = at_once == at_last
        context.close()
    assert seen == {"reduce": True, "no-preference": False}

"""Living figures in Chromium: alive by mouse, keys and finger, and still without a script."""

import csv
import gzip
import io
import json
import math
import random
import re
from urllib.parse import unquote

import page_checks
import pytest
import torch
from book_ext import living
from building import PAGES, ROOT
from living_pages import ASKED, FRONT, ON_PAGES, PLACES, figure_on, painted, values

CHAPTER = "chapters/02_residual_formula"
MOST = 40_000  # bytes, compressed, that the living figures of a page may take

# What the table shows, row by row, with the minus sign of programs.
CELLS = """(name) => {
  const rows = document.querySelectorAll(`[data-living="${name}"] .living-table tr`);
  const texts = (row) => [...row.cells].map((cell) => cell.textContent.replaceAll("−", "-"));
  return JSON.stringify([...rows].map(texts));
}"""
# Sets each control to each of its values, as a reader would; says what it gave, and whether the
# drawing and the sentence are those that `paint` makes of this state.
DRIVE = """(name) => {
  const box = document.querySelector(`[data-living="${name}"]`);
  const { living: figure } = box;
  const found = [];
  const tell = (control, said) => {
    box.dispatchEvent(new Event("input"));
    const { state } = figure;
    // Texts that depend on the state are looked at in the figure's own tests.
    const own = figure.names(state)[control.dataset.control];
    const place = control.valueAsNumber;
    const shown = control.getAttribute("aria-valuetext");
    const text = said ?? (own?.[place] === shown ? figure.scale(control).texts[place] : shown);
    const { width, height } = figure.drawing.getBoundingClientRect();
    const told = figure.paint({ state, now: figure.aims(state), width, height });
    const isDrawn = figure.drawing.getAttribute("aria-label") === Living.spoken(told.alt);
    const isSaid = box.querySelector(".living-said").textContent === told.said;
    found.push({
      control: control.dataset.control, text, value: state[control.dataset.control],
      is_drawn: isDrawn && isSaid,
      height: box.querySelector(".living-said").getBoundingClientRect().height,
    });
  };
  for (const control of figure.controls) {
    const { type, max, value, checked } = control;
    if (type === "range") {
      for (let place = 0; place <= Number(max); place += 1) {
        if (place && place < Number(max) && place % 7 !== 3) continue;
        control.value = place;
        tell(control);
      }
      control.value = value;
    } else if (type === "checkbox") {
      for (const turned of [!checked, checked]) {
        control.checked = turned;
        tell(control, turned ? "on" : "off");
      }
    } else if (type === "radio") {
      control.checked = true;
      tell(control, control.value);
    } else {
      for (const option of control.options) {
        control.value = option.value;
        tell(control, option.value);
      }
      control.value = value;
    }
  }
  return JSON.stringify(found);
}"""
LINES = "box => [...box.querySelectorAll('path.residual')].map(path => path.getAttribute('d'))"


def derivatives(weights, deepest, shortcut):
    """What autograd says of 1 to `deepest` layers F(x) = wx in a row, for each w on its own."""
    w = torch.tensor(weights, dtype=torch.float64)
    x = torch.full_like(w, 3.0).requires_grad_()
    h, found = x, []
    for _ in range(deepest):
        h = w * h + h if shortcut else w * h
        (slopes,) = torch.autograd.grad(h.sum(), x, retain_graph=True)
        found.append(slopes.tolist())
    return dict(zip(weights, zip(*found, strict=True), strict=True))


# One number.


def test_one_number_shows_what_autograd_finds_in_its_whole_range(html, open_page):
    page = open_page((html / f"{CHAPTER}.html").as_uri())
    weights = [step / 100 for step in range(-220, 121)]
    cases = [(weight, depth) for weight in weights for depth in range(60)]
    said = {}
    for shortcut in (True, False):
        states = [{"weight": w, "depth": n + 1, "shortcut": shortcut} for w, n in cases]
        said[shortcut] = [shown["said"] for shown in painted(page, "one-number", states)]
    found = {s: derivatives(weights, 60, s) for s in (True, False)}
    for place, (weight, depth) in enumerate(cases):
        with_it, without = (said[s][place] for s in (True, False))
        plain, residual = (found[s][weight][depth] for s in (False, True))
        shown = re.search(r"layers?: \S+ = (\S.*)\. Without .* = (\S.*)\.$", with_it)
        assert is_rounded(shown[1], residual)
        assert is_rounded(shown[2], plain)
        assert is_rounded(re.search(r"layers?: \S+ = (\S.*)\.$", without)[1], plain)
        course = "grows" if abs(weight) > 1 else "shrinks" if 0 < abs(weight) < 1 else "i|k"
        assert re.search(f"it ({course})", without)


def is_rounded(text, value):
    """Whether a text is the value to three digits, or to two and a power of ten."""
    first, _, exponent = text.replace("−", "-").partition(" × 10")
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    shown = float(f"{first}e{exponent.translate(raised) or 0}")
    if value == 0:
        return shown == 0
    last = math.floor(math.log10(abs(value))) - (1 if exponent else 2)
    return abs(shown - value) <= 0.5 * 10**last * (1 + 1e-6)


def test_one_number_draws_sign_and_band(html, open_page):
    """Pieces of one layer and a minus where the sign turns; a band from a tenth to ten."""
    page = open_page((html / f"{CHAPTER}.html").as_uri())
    cases = [(-1.5, 7, True), (-1.5, 8, True), (-0.5, 7, False), (0.5, 7, False)]
    states = [{"weight": w, "depth": n, "shortcut": s} for w, n, s in cases]
    found = painted(page, "one-number", states, paths=True)
    for (weight, depth, shortcut), shown in zip(cases, found, strict=True):
        factors = {"plain": weight} | ({"residual": 1 + weight} if shortcut else {})
        kinds = [kind.split() for kind, _ in shown["paths"]]
        for name, factor in factors.items():
            assert (["line", name, "turns"] in kinds) == (factor < 0)
            assert (["sign", name] in kinds) == (factor**depth < 0)
        assert ("", "a tenth to ten times") in map(tuple, shown["texts"])
    drawing = figure_on(page, "one-number").locator(".living-drawing")
    box = drawing.locator("rect.near").first
    top, high = (float(box.get_attribute(name)) for name in ("y", "height"))
    marks = drawing.locator("path.grid").evaluate_all("all => all.map(p => p.getAttribute('d'))")
    ten_up, one = (float(re.search(r" ([\d.]+)H", marks[place])[1]) for place in (3, 2))
    assert one - top == pytest.approx((one - ten_up) / 10)
    assert high == pytest.approx(2 * (one - ten_up) / 10)
    assert box.evaluate("e => getComputedStyle(e).fill") != "none"


def test_first_picture_is_that_of_the_still_one(html, open_page):
    """On the front page both are drawn by code, one in Python, one in JavaScript."""
    page = open_page((html / f"{FRONT}.html").as_uri())
    box = figure_on(page, "one-number")
    claims = "svg => [...svg.querySelectorAll('text.said')].map(text => text.textContent)"
    still = box.locator(".living-picture").evaluate(claims)
    assert still == box.locator(".living-drawing").evaluate(claims)
    assert len(still) == 2


# Every figure, in one visit to each page that it stands on.


@pytest.fixture(scope="module", params=ON_PAGES, ids="-".join)
def visit(html, browser, request):
    """The page, the figure's name, and what the page asks for; faults are in `page.watch`."""
    name, figure = request.param
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    address = (html / f"{name}.html").as_uri()
    page.watch = page_checks.Watch(page, address)
    page.goto(address)
    page.evaluate("document.fonts.ready.then(() => true)")
    figure_on(page, figure)
    yield page, figure, ASKED.get((name, figure), figure)
    context.close()


def test_it_lives_from_a_folder(visit):
    page, figure, _ = visit
    box = figure_on(page, figure)
    assert "is-alive" in box.get_attribute("class")
    drawing = box.locator(".living-drawing")
    assert drawing.locator("*").count() > 5
    assert re.search(r"\d", drawing.get_attribute("aria-label"))
    assert box.locator(".living-said").inner_text()
    assert not page.watch.faults


def test_controls_give_what_they_say(visit):
    """Each value of each control reaches the drawing, which is that of the tests' own states."""
    page, figure, asked = visit
    expected = set(values(living.figure(asked, ROOT).controls))
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        driven = json.loads(page.evaluate(DRIVE, figure))
        offered = {(one["control"], one["text"], one["value"]) for one in driven}
        assert offered <= expected
        assert {name for name, *_ in offered} == {name for name, *_ in expected}
        assert all(one["is_drawn"] for one in driven)
        heights = {one["height"] for one in driven}
        assert max(heights) - min(heights) < 0.6, f"the page below moves at {width} pixels"
        assert not page_checks.width_faults(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not page.watch.faults


def test_at_work_it_is_as_good_a_page_as_the_others(visit):
    page, figure, _ = visit
    box = figure_on(page, figure)
    box.locator("summary").click()
    within = f'[data-living="{figure}"]'
    faults = page_checks.accessibility_faults(page, within=within)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    faults += page_checks.accessibility_faults(page, only_colours=True, within=within)
    page.set_viewport_size({"width": 360, "height": 740})
    faults += page_checks.width_faults(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not faults + page.watch.faults


# Signs that voices skip or spell, words joined to numbers, numbers beside numbers. The panel's and
# the drawing's texts are not read out.
UNREADABLE = re.compile(
    r"[×−⁻⁰¹²³⁴⁵⁶⁷⁸⁹↓·]|\d(?:times|by|million|billion)|(?:times|by|power)\d|(?<![\w.,])\d[\d.,]*(?<![,.])\s\d"
)


def test_what_is_read_out_can_be(visit):
    page, figure, asked = visit
    offered = {}
    for name, _, value in values(living.figure(asked, ROOT).controls):
        offered.setdefault(name, []).append(value)
    dice = random.Random(0)
    states = [{name: dice.choice(own) for name, own in offered.items()} for _ in range(300)]
    if figure == "ring":
        states = [
            s
            for s in states
            if s["step"] <= 2 * (s["processes"] - 1) and s["followed"] < s["processes"]
        ]
    for state, shown in zip(states, painted(page, figure, states), strict=True):
        for text in (shown["readAlt"], shown["readSaid"]):
            assert not UNREADABLE.search(text), (state, text)
        assert len(shown["readAlt"]) < 1200, "it takes more than a minute to hear"


def test_on_paper_the_still_picture_stands(visit):
    page, figure, _ = visit
    page.emulate_media(media="print")
    box = figure_on(page, figure)
    assert not box.locator(".living-controls").is_visible()
    if living.figure(figure, ROOT).takes_place:
        assert box.locator(".living-still").locator("img, svg").first.is_visible()
    page.emulate_media(media="screen")


def test_table_can_be_taken_along(visit):
    page, figure, _ = visit
    box = figure_on(page, figure)
    link = box.get_by_role("link", name="As a CSV file")
    text = unquote(link.get_attribute("href").partition(",")[2])
    shown = json.loads(page.evaluate(CELLS, figure))
    assert list(csv.reader(io.StringIO(text))) == shown


@pytest.mark.parametrize(("name", "figure"), ON_PAGES)
def test_without_javascript_picture_and_table_stand(html, browser, name, figure):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((html / f"{name}.html").as_uri())
    box = page.locator(f'[data-living="{figure}"]')
    if living.figure(figure, ROOT).takes_place:
        assert box.locator(".living-still").locator("img, svg").first.is_visible()
    assert not box.locator(".living-controls").is_visible()
    assert not box.locator(".living-drawing").is_visible()
    box.locator("summary").click()
    assert box.locator("table").last.is_visible()
    context.close()


@pytest.mark.parametrize("script", ["d3", "living", "one-number"])
def test_where_a_script_fails_the_picture_stands(served, open_page, script):
    page = open_page("about:blank")
    page.route(f"**/living/{script}.js*", lambda route: route.fulfill(status=404))
    page.goto(f"{served}/{CHAPTER}.html")
    box = page.locator('[data-living="one-number"]')
    assert box.locator(".living-still img").is_visible()
    assert not box.locator(".living-controls").is_visible()


@pytest.mark.parametrize("name", {name: None for name, _ in ON_PAGES})
def test_nothing_jumps_when_it_comes_alive(served, open_page, name):
    page = open_page("about:blank")
    heights = []
    for fails in (True, False):
        if fails:
            page.route("**/living/living.js*", lambda route: route.fulfill(status=404))
        else:
            page.unroute("**/living/living.js*")
        page.goto(f"{served}/{name}.html")
        page.evaluate("document.fonts.ready.then(() => true)")
        if not fails:
            page.wait_for_function("!document.querySelector('.living:not(.is-alive)')")
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            for box in page.locator("[data-living]").all():
                assert ("is-alive" in box.get_attribute("class")) != fails
                heights.append(box.bounding_box()["height"])
    half = len(heights) // 2
    assert heights[:half] == pytest.approx(heights[half:], abs=0.5)


def test_by_keys_alone(html, open_page):
    page = open_page((html / f"{CHAPTER}.html").as_uri())
    box = figure_on(page, "one-number")
    assert box.locator(".living-told").inner_text() == ""
    weight = box.get_by_label("w, each layer’s weight")
    weight.focus()
    assert weight.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("ArrowRight")
    assert weight.get_attribute("aria-valuetext") == "0.51"
    for _ in range(7):
        page.keyboard.press("PageDown")  # to the next tenth
    assert weight.get_attribute("aria-valuetext") == "−0.1"
    assert "1 + w = 0.9: it shrinks" in box.locator(".living-said").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert "After 1 layer: 0.9¹ = 0.9." in box.locator(".living-said").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert box.locator(".living-said").inner_text().startswith("Without the shortcut a layer")
    told = box.locator(".living-told")
    page.wait_for_function("told => told.textContent !== ''", arg=told.element_handle())
    assert "(-0.1) to the power 1 = -0.1" in told.text_content()
    assert "(-0.1) to the power 1" in box.locator(".living-drawing").get_attribute("aria-label")
    assert not page.watch.faults


def test_by_touch_at_360_pixels(html, browser):
    context = browser.new_context(has_touch=True, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto((html / f"{FRONT}.html").as_uri())
    box = figure_on(page, "one-number")
    depth = box.get_by_label("n, layers")
    depth.scroll_into_view_if_needed()
    room = depth.bounding_box()
    assert room["height"] >= 40, "a finger needs room"
    depth.tap(position={"x": room["width"] / 2, "y": room["height"] / 2})
    assert int(depth.get_attribute("aria-valuetext")) == pytest.approx(31, abs=2)
    box.get_by_label("shortcut", exact=True).tap()
    assert "Without the shortcut" in box.locator(".living-said").inner_text()
    assert page_checks.width_faults(page) == []
    context.close()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_motion_only_where_it_is_welcome(html, browser, motion):
    context = browser.new_context(reduced_motion=motion)
    page = context.new_page()
    page.goto((html / f"{CHAPTER}.html").as_uri())
    box = figure_on(page, "one-number")
    switch = box.get_by_label("shortcut", exact=True)
    switch.uncheck()
    page.wait_for_function("box => !box.querySelector('path.residual')", arg=box.element_handle())
    turn = f"box => {{ box.querySelector('input[type=checkbox]').click(); return ({LINES})(box); }}"
    at_once = box.evaluate(turn)
    page.wait_for_timeout(600)
    at_last = box.evaluate(LINES)
    assert len(at_last) == 2
    assert (at_once == at_last) == (motion == "reduce")
    context.close()


# What it weighs, and where.


def test_pages_stay_light(html):
    """Scripts, style and data of a page's living figures, compressed."""
    for name in PAGES:
        page = (html / f"{name}.html").read_text(encoding="utf-8")
        scripts = re.findall(r'src="[^"]*_static/(living/[\w-]+\.js)', page)
        figures = re.findall(r'data-living="([\w-]+)"', page)
        assert set(scripts) == {f"living/{s}.js" for s in ("d3", "living", *figures) if figures}
        parts = [(html / "_static" / script).read_bytes() for script in scripts]
        parts += [data.encode() for data in re.findall(r'class="living-data">(.*?)</script>', page)]
        parts.append((ROOT / "book/_static/living/living.css").read_bytes())
        weight = sum(len(gzip.compress(part)) for part in parts)
        if figures:
            print(f"{name}: {', '.join(figures)}, {weight / 1000:.1f} kB")
        assert weight <= MOST, f"the living figures of {name} take {weight} bytes"
        assert sorted(figures) == sorted(f for f, places in PLACES.items() if name in places)


def test_library_names_its_authors(html):
    text = (html / "_static/living/d3.js").read_text(encoding="utf-8")
    assert text.startswith("/* From d3-scale 4.")
    assert text.count("Mike Bostock") == 2
    assert len(gzip.compress(text.encode())) < 17_000

"""The block calculator against PyTorch: shapes, costs and error messages over its whole range."""

import itertools
import random
import re
from decimal import ROUND_HALF_UP, Context
from functools import cache

import pytest
import torch
from book_ext import living
from book_ext.living.block_calculator import BYTES, CHANNELS, IMAGES, OUT_CHANNELS, SIZES
from building import ROOT
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resnet_lib import probes
from resnet_lib.blocks import BasicBlock, Bottleneck, make_shortcut

CHAPTER = "chapters/04_downsample_shortcuts"
KINDS = {"basic": BasicBlock, "bottleneck": Bottleneck}
OPTIONS = {"padding": "A", "projection": "C"}
STRIDES = (1, 2)
STATES = list(itertools.product(KINDS, OPTIONS | {"identity": ""}, STRIDES, OUT_CHANNELS, CHANNELS))

# Goes through all sizes at one place of the other controls; gives all texts that are shown there.
SWEEP = """states => {
  const box = document.querySelector('[data-living="block-calculator"]');
  const control = (name, value = null) => box.querySelector(
    `[data-control="${name}"]` + (value === null ? "" : `[value="${value}"]`));
  const texts = (names) => [...box.querySelectorAll(names)].map((text) => text.textContent);
  const size = control("size");
  box.style.position = "fixed"; // so that not all of the chapter is laid out anew each time
  return states.map(([kind, shortcut, stride, out, given]) => {
    control("kind", kind).checked = true;
    control("shortcut", shortcut).checked = true;
    control("stride", stride).checked = true;
    control("out").value = out;
    control("given").value = given;
    const shown = [];
    for (size.value = 0; ; size.value = size.valueAsNumber + 1) {
      size.dispatchEvent(new Event("input", { bubbles: true }));
      const cells = {};
      for (const cell of box.querySelectorAll("[data-slot]")) {
        cells[cell.dataset.slot] = cell.textContent;
      }
      shown.push({ shapes: texts("text.shape"), words: texts("text:not(.shape)"), cells,
                   said: texts(".living-said")[0] });
      if (size.value === size.max) return shown;
    }
  });
}"""


def rounded(value):
    number = Context(prec=3, rounding=ROUND_HALF_UP).create_decimal(value).normalize()
    return format(number, "f")


def counted(value):
    if value < 1e6:
        return f"{value:,}"
    return f"{rounded(value / 1e6)} M" if value < 1e9 else f"{rounded(value / 1e9)} G"


def in_bytes(value):
    if value < 2**10:
        return f"{value} B"
    return f"{rounded(value / 2**10)} KiB" if value < 2**20 else f"{rounded(value / 2**20)} MiB"


def built(kind, shortcut, stride, out, given):
    """The block with this shortcut; None with the message where it cannot be built."""
    try:
        option = OPTIONS.get(shortcut, "C")
        block = KINDS[kind](given, out, stride, shortcut=option)
    except ValueError as error:
        return None, f"ValueError: {error}"
    if shortcut == "identity":
        block.downsample = nn.Identity()
    return block, ""


@cache
def part(kind, stride, out, given, size):
    """What PyTorch measures of the branch (kind "basic", "bottleneck") or of a shortcut alone."""
    with torch.device("meta"):
        if kind in KINDS:
            module = KINDS[kind](given, out, stride, residual=False)
        else:
            module = make_shortcut(given, out, stride, OPTIONS[kind])
        images, shapes = torch.empty(IMAGES, given, size, size), []
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:])))
        with FlopCounterMode(display=False) as counter:
            kept = probes.saved_bytes(module, images)
        statistics = sum(2 * m.num_features for m in module.modules() if is_norm(m))
        kept = (kept - BYTES * statistics) // IMAGES if shapes else 0
    parameters = sum(p.numel() for p in module.parameters())
    return parameters, counter.get_total_flops() // 2 // IMAGES, kept, shapes


def is_norm(module):
    return isinstance(module, nn.BatchNorm2d)


@cache
def message(branch, shortcut):
    """What `out += shortcut` says of these shapes, if it does not add."""
    out = torch.empty(IMAGES, *branch, dtype=torch.uint8)
    try:
        out += torch.zeros(1, dtype=torch.uint8).expand(IMAGES, *shortcut)
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    return ""


def expected(kind, shortcut, stride, out, given, size):
    """The cells, the message and the shapes that the figure has to show."""
    x = (given, size, size)
    branch = part(kind, stride, out, given, size)
    arrives, other = x, (0, 0, 0)
    if shortcut == "padding" and out < given:
        arrives, other = None, (0, 0, 0)
        error = built(kind, shortcut, stride, out, given)[1]
    else:
        if shortcut == "projection":
            *other, _ = part(shortcut, stride, out, given, size)
            other[2] -= BYTES * given * size**2  # x, which the branch keeps too
        if shortcut != "identity":
            arrives = (out, *branch[3][-1][1:])
        error = message(branch[3][-1], arrives)
    ends = BYTES * (given * size**2 + out * branch[3][-1][1] ** 2)
    cells = {}
    for place, name in enumerate(("parameters", "multiply-adds")):
        cells[f"{name} branch"] = counted(branch[place])
        cells[f"{name} shortcut"] = counted(other[place]) if arrives else "–"
        cells[f"{name} block"] = counted(branch[place] + other[place]) if arrives else "–"
    kept = (branch[2] - ends, other[2], branch[2] + other[2])
    for path, count in zip(("branch", "shortcut", "block"), kept, strict=True):
        cells[f"kept {path}"] = "–" if error else in_bytes(count)
    written = [" × ".join(map(str, shape)) for shape in (x, *branch[3])]
    shapes = [*written, *([" × ".join(map(str, arrives))] if arrives else [])]
    return cells, error, sorted(shapes)


def test_it_shows_what_pytorch_measures_in_its_whole_range(html, browser):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto((html / f"{CHAPTER}.html").as_uri())
    # Sliders hold the place of a value.
    places = [(*s[:3], OUT_CHANNELS.index(s[3]), CHANNELS.index(s[4])) for s in STATES]
    found = page.evaluate(SWEEP, places)
    context.close()
    assert len(found) * len(SIZES) == 2 * 3 * 2 * 8 * 10 * 9
    for state, row in zip(STATES, found, strict=True):
        for size, shown in zip(SIZES, row, strict=True):
            cells, error, shapes = expected(*state, size)
            assert shown["cells"] == cells, (state, size)
            says_error(shown, state, size, error)
            drawn = [re.search(r"\d.* × .*", text) for text in shown["shapes"]]
            drawn = sorted(text[0] for text in drawn if text)
            result = [] if error else [shapes_of(state, size)]
            assert drawn == sorted(shapes + result), (state, size)


def shapes_of(state, size):
    kind, _, stride, out, given = state
    return " × ".join(map(str, part(kind, stride, out, given, size)[3][-1]))


def says_error(shown, state, size, error):
    said = re.search("“(.*)”", shown["said"])
    assert (said[1] if said else "") == error, (state, size)
    assert ("does not fit" in shown["words"]) == bool(error)
    _, shortcut, stride, out, given = state
    is_broadcast = not error and shortcut == "identity" and given != out
    assert ("hardly what you meant" in shown["said"]) == is_broadcast, (state, size)
    if not error and not is_broadcast:
        needless = shortcut == "projection" and (given, stride) == (out, 1)
        assert shown["said"].startswith("Both paths arrive as ")
        assert shown["said"].endswith("The identity would fit too.") == needless


def test_whole_blocks_say_the_same_as_their_parts():
    """The expectations above put a block together from parts; here it runs as a whole."""
    drawn = random.Random(0).sample(STATES, 40)
    for state in drawn:
        block, refused = built(*state)
        size = random.Random(str(state)).choice([size for size in SIZES if size < 15])
        cells, error, _ = expected(*state, size)
        assert refused == (error if refused else "")
        if refused or state[4] * state[3] > 2**18:
            continue
        images = torch.zeros(IMAGES, state[4], size, size)
        if error:
            with pytest.raises(RuntimeError, match=re.escape(error.partition(": ")[2])):
                block.eval()(images)
            continue
        kept = probes.saved_bytes(block, images)
        kept -= sum(2 * BYTES * m.num_features for m in block.modules() if is_norm(m))
        assert cells["kept block"] == in_bytes(kept // IMAGES), state
        assert cells["parameters block"] == counted(sum(p.numel() for p in block.parameters()))


def test_shares_are_those_of_the_multiply_adds(html, open_page):
    page = open_page((html / "chapters/06_bottleneck_depths.html").as_uri())
    box = page.locator('[data-living="block-calculator"]')
    shares = "svg => [...svg.textContent.matchAll(/weights · ([\\d.]+) %/g)].map(m => m[1])"
    drawing = box.locator(".living-drawing")
    work = [256 * 64, 9 * 64 * 64, 64 * 256]  # chapter 06's bottleneck, by hand
    assert drawing.evaluate(shares) == [f"{100 * w / sum(work):.0f}" for w in work]
    box.get_by_label("projection (B, C)").check()
    work.append(256 * 256)
    page.wait_for_timeout(600)
    assert drawing.evaluate(shares) == [f"{100 * w / sum(work):.0f}" for w in work[:3]]
    said = box.locator(".living-said").inner_text()
    assert "The projection adds 94 % to the branch’s multiply-adds. The identity would" in said


def test_table_holds_what_pytorch_measures():
    made = living.figure("block-calculator", ROOT)
    for name, given, out, *numbers in made.table.rows:
        kind, _, shortcut = name.partition(", ")
        (before, size, _), (after, side, _) = (map(int, s.split(" × ")) for s in (given, out))
        stride = -(-size // side)
        branch = part(kind, stride, after, before, size)
        other = (0, 0, 0)
        if shortcut == "projection":
            *other, _ = part(shortcut, stride, after, before, size)
            other[2] -= BYTES * before * size**2
        assert numbers == [f"{branch[place] + other[place]:,}" for place in range(3)], name


def test_it_starts_where_the_page_says(html, open_page):
    starts = {CHAPTER: "A basic block. x 64", "chapters/06_bottleneck_depths": "A bottleneck block"}
    for name, words in starts.items():
        page = open_page((html / f"{name}.html").as_uri())
        drawing = page.locator('[data-living="block-calculator"] .living-drawing')
        assert drawing.get_attribute("aria-label").startswith(words)

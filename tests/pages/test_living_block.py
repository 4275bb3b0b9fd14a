"""The block calculator against PyTorch: shapes, costs and error messages over its whole range."""

import itertools
import random
import re
import warnings
from decimal import ROUND_HALF_UP, Context
from functools import cache

import pytest
import torch
from book_ext import living
from book_ext.living.block_calculator import BYTES, CHANNELS, IMAGES, OUT_CHANNELS, SIZES
from building import ROOT
from living_pages import figure_on, painted
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import conv_flop_count

from resnet_lib import probes
from resnet_lib.blocks import BasicBlock, Bottleneck, make_shortcut

CHAPTER = "chapters/04_downsample_shortcuts"
KINDS = {"basic": BasicBlock, "bottleneck": Bottleneck}
OPTIONS = {"padding": "A", "projection": "C"}
STRIDES = (1, 2)
STATES = list(itertools.product(KINDS, OPTIONS | {"identity": ""}, STRIDES, OUT_CHANNELS, CHANNELS))


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
def refusal(*case):
    with torch.device("meta"):
        return built(*case)[1]


@cache
def module(kind, stride, out, given):
    """A branch or a shortcut on the meta device, with the calls of its convolutions."""
    with torch.device("meta"):
        if kind in KINDS:
            module = KINDS[kind](given, out, stride, residual=False)
        else:
            module = make_shortcut(given, out, stride, OPTIONS[kind])
    calls = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda layer, given, out: calls.append(
                    (given[0].shape, layer.weight.shape, out.shape)
                )
            )
    return module, calls


@cache
def part(kind, stride, out, given, size):
    """What PyTorch measures of the branch (kind "basic", "bottleneck") or of a shortcut alone."""
    path, calls = module(kind, stride, out, given)
    calls.clear()
    kept = saved_bytes(path, torch.empty(IMAGES, given, size, size, device="meta"))
    statistics = sum(2 * m.num_features for m in path.modules() if is_norm(m))
    kept = (kept - BYTES * statistics) // IMAGES if calls else 0
    parameters = sum(p.numel() for p in path.parameters())
    flops = sum(conv_flop_count(*call) for call in calls)
    return parameters, flops // 2 // IMAGES, kept, [tuple(out[1:]) for *_, out in calls]


def saved_bytes(path, images):
    """As `probes.saved_bytes`, for a module that nobody else needs: thousands of times as fast."""
    saved = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        path(images)
    for tensor in (*path.parameters(), *path.buffers()):
        saved.pop(tensor.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in saved.values())


@pytest.fixture(scope="module", autouse=True)
def quick_batch_norm():
    """On the meta device PyTorch runs batch norm's arithmetic in Python, 10 ms for a shape."""

    def shapes(x, *_):
        channels = x.shape[1]
        return torch.empty_like(x), x.new_empty(channels), x.new_empty(channels)

    with warnings.catch_warnings(action="ignore"):
        library = torch.library.Library("aten", "IMPL")
        for name in ("native_batch_norm", "_native_batch_norm_legit"):
            library.impl(name, shapes, "Meta", allow_override=True)
    yield
    library._destroy()


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
        error = refusal(kind, shortcut, stride, out, given)
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


def test_it_shows_what_pytorch_measures_in_its_whole_range(html, open_page):
    page = open_page((html / f"{CHAPTER}.html").as_uri())
    names = ("kind", "shortcut", "stride", "out", "given", "size")
    cases = [(*state, size) for state in STATES for size in SIZES]
    assert len(cases) == 2 * 3 * 2 * 8 * 10 * 9
    states = [dict(zip(names, case, strict=True)) for case in cases]
    found = painted(page, "block-calculator", states)
    for case, shown in zip(cases, found, strict=True):
        cells, error, shapes = expected(*case)
        assert shown["slots"] == cells, case
        says_error(shown, case[:-1], case[-1], error)
        drawn = [re.search(r"\d.* × .*", text) for kind, text in shown["texts"] if "shape" in kind]
        drawn = sorted(text[0] for text in drawn if text)
        result = [] if error else [shapes_of(case[:-1], case[-1])]
        assert drawn == sorted(shapes + result), case


def shapes_of(state, size):
    kind, _, stride, out, given = state
    return " × ".join(map(str, part(kind, stride, out, given, size)[3][-1]))


def says_error(shown, state, size, error):
    said = re.search("“(.*)”", shown["said"])
    assert (said[1] if said else "") == error, (state, size)
    assert any(text == "does not fit" for _, text in shown["texts"]) == bool(error)
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
    box = figure_on(page, "block-calculator")
    shares = "svg => [...svg.textContent.matchAll(/weights · ([\\d.]+) %/g)].map(m => m[1])"
    drawing = box.locator(".living-drawing")
    work = [256 * 64, 9 * 64 * 64, 64 * 256]  # chapter 06's bottleneck, by hand
    assert drawing.evaluate(shares) == [f"{100 * w / sum(work):.0f}" for w in work]
    box.get_by_label("projection (B, C)").check()
    work.append(256 * 256)
    page.wait_for_timeout(600)
    assert drawing.evaluate(shares) == [f"{100 * w / sum(work):.0f}" for w in work[:3]]
    said = box.locator(".living-said").inner_text()
    # One is a share of the branch, the other, as in the drawing, of the block; both say so.
    assert "adds 94 % to the branch’s multiply-adds and has 48 % of the block’s. The id" in said
    assert "%: share of theblock’s multiply-adds" in drawing.text_content()
    assert round(100 * work[3] / sum(work[:3])) == 94
    assert round(100 * work[3] / sum(work)) == 48


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
    starts = {
        CHAPTER: "A basic block. x is 64",
        "chapters/06_bottleneck_depths": "A bottleneck block",
    }
    for name, words in starts.items():
        page = open_page((html / f"{name}.html").as_uri())
        drawing = figure_on(page, "block-calculator").locator(".living-drawing")
        assert drawing.get_attribute("aria-label").startswith(words)

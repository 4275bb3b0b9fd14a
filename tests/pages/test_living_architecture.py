"""The architecture explorer against torchvision: every layer of the five networks."""

import itertools
import json
import math
import re
import sys
from decimal import ROUND_HALF_UP, Context

import pytest
import torch
import torchvision
from book_ext import living
from book_ext.living.architecture import IMAGE, NETWORKS, PARTS, SIZES, USUAL
from building import ROOT
from living_pages import figure_on, painted
from torch import nn

from resnet_lib import nets, probes

FIVE = "chapters/05_resnet18"
LOOKED_AT = (1, 33, 224, 512)  # pixels; every layer of every network
STAGES = dict(zip(PARTS[1:-1], ("layer1", "layer2", "layer3", "layer4"), strict=True))

# Goes through all layers of a network at one size of the image, by part, block and layer, as far as
# the figure lets its sliders go.
WALK = """([depth, size]) => {
  const box = document.querySelector('[data-living="architecture"]');
  const { living: figure } = box;
  const found = [];
  for (const { value: part } of box.querySelectorAll('[data-control="part"]')) {
    const common = { depth, size, part, measure: "parameters", way: "both" };
    const blocks = figure.limits({ ...common, block: 1, layer: 1 }).block;
    for (let block = 1; block <= blocks; block += 1) {
      const layers = figure.limits({ ...common, block, layer: 1 }).layer;
      for (let layer = 1; layer <= layers; layer += 1) {
        const state = { ...common, block, layer };
        const { shapes, said, slots } = figure.paint({ state, now: {}, width: 384, height: 412 });
        const strong = shapes.filter((shape) => shape.getAttribute("class") === "strong");
        const titles = strong.map((text) => text.textContent);
        found.push({ part, block: block - 1, layer: layer - 1, cells: slots, said, titles });
      }
    }
  }
  return JSON.stringify(found).replaceAll("\u00a0", " ");
}"""


def counted(value):
    if value < 1e6:
        return f"{value:,}"
    number = Context(prec=3, rounding=ROUND_HALF_UP).create_decimal(value / 10**6)
    if value >= 1e9:
        number = Context(prec=3, rounding=ROUND_HALF_UP).create_decimal(value / 10**9)
    return f"{number.normalize():f} {'M' if value < 1e9 else 'G'}"


def share(text, part, whole):
    shown = float(re.search(r"([\d.e-]+) %", text)[1])
    exact = 100 * part / whole
    digits = 10 ** (math.floor(math.log10(exact)) - 2)
    return abs(shown - exact) <= 0.5 * digits * (1 + 1e-6)


def measured(depth, size):
    """Of each layer with weights: torchvision's name, shape, parameters, multiply-adds."""
    with torch.device("meta"):
        net = getattr(torchvision.models, f"resnet{depth}")()
        rows = probes.layer_costs(net, torch.empty(1, 3, size, size))
    found, norms = {}, {}
    for row in rows:
        if row.kind == "BatchNorm2d":
            norms[row.layer] = row.parameters
        elif row.kind in ("Conv2d", "Linear"):
            found[row.layer] = [row.output[1:], row.parameters, row.multiply_adds]
    for name, parameters in norms.items():
        owner = name.replace("bn", "conv").replace("downsample.1", "downsample.0")
        found[owner][1] += parameters
    assert sum(row[1] for row in found.values()) == sum(p.numel() for p in net.parameters())
    return found


def torchvisions_name(step):
    if step["part"] in ("stem", "head"):
        return {"stem": "conv1", "head": "fc"}[step["part"]]
    name = step["cells"]["layer name"].split()[0]
    name = "downsample.0" if name == "projection" else name
    return f"{STAGES[step['part']]}.{step['block']}.{name}"


def inside(rows, name):
    return [row for layer, row in rows.items() if layer == name or layer.startswith(f"{name}.")]


@pytest.fixture(scope="module")
def page(html, browser):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto((html / f"{FIVE}.html").as_uri())
    yield page
    context.close()


@pytest.mark.parametrize("depth", NETWORKS)
@pytest.mark.parametrize("size", LOOKED_AT)
def test_every_layer_is_torchvisions(page, depth, size):
    rows = measured(depth, size)
    steps = json.loads(page.evaluate(WALK, [depth, size]))
    assert sorted(map(torchvisions_name, steps)) == sorted(rows)
    for step in steps:
        layer = torchvisions_name(step)
        block, part = layer.rpartition(".")[0].removesuffix(".downsample"), layer.split(".")[0]
        levels = {"network": list(rows.values()), "part": inside(rows, part)}
        levels |= {"block": inside(rows, block or layer), "layer": [rows[layer]]}
        for level, found in levels.items():
            for place, unit in ((1, "parameters"), (2, "multiply-adds")):
                count = sum(row[place] for row in found)
                whole = sum(row[place] for row in rows.values())
                assert step["cells"][f"{level} {unit}"] == counted(count), (layer, level)
                assert share(step["cells"][f"{level} {unit} share"], count, whole)
        shape, parameters, work = rows[layer]
        written = " × ".join(map(str, shape))
        assert f"puts out {written}. {parameters:,} parameters" in step["said"]
        assert f" and {work:,} multiply-adds" in step["said"]
        # What blocks and parts put out is what the last layer of their branch does.
        for title, name in zip(step["titles"][1:], (part, block or layer), strict=True):
            last = [row for key, row in rows.items() if (key + ".").startswith(name + ".")
                    and "downsample" not in key][-1]  # fmt: skip
            assert title.endswith(f"puts out {' × '.join(map(str, last[0]))}")


def test_shapes_at_every_size_of_the_image(page):
    common = {"depth": "18", "measure": "work", "block": 1, "layer": 1, "way": "both"}
    parts = ["stem", *STAGES]
    states = [common | {"part": part, "size": size} for part in parts for size in SIZES]
    told = [shown["said"] for shown in painted(page, "architecture", states)]
    said = [told[place : place + len(SIZES)] for place in range(0, len(told), len(SIZES))]
    path = nn.Sequential(nn.Conv2d(1, 1, 7, 2, 3))
    strides = {"stem": nn.Identity(), "stage 1": nn.MaxPool2d(3, 2, 1)}
    strides |= {part: nn.Conv2d(1, 1, 3, 2, 1) for part in PARTS[2:-1]}
    images = [torch.zeros(1, 1, size, 1) for size in SIZES]  # as wide as may be: one pixel
    heights = [path(image) for image in images]
    for sentences, step in zip(said, strides.values(), strict=True):
        heights = [step(height) for height in heights]
        for sentence, height in zip(sentences, heights, strict=True):
            side = height.shape[2]
            assert re.search(rf"puts out \d+ × {side} × {side}\.", sentence)


@pytest.mark.parametrize("depth", ["18", "50", "152"])
def test_paths_are_those_of_autograd(page, depth):
    """Counted in autograd's own graph: from the loss back to each block's end and input."""
    with torch.device("meta"):
        net = getattr(torchvision.models, f"resnet{depth}")()
        nodes = {}
        for part, name in STAGES.items():
            for place, block in enumerate(net.get_submodule(name)):
                block.register_forward_hook(
                    lambda block, given, out, key=(part, place): nodes.update({key: out.grad_fn})
                )
        net.maxpool.register_forward_hook(
            lambda pool, given, out: nodes.update({"stem": out.grad_fn})
        )
        counts = paths(net(torch.empty(2, 3, 32, 32)).sum().grad_fn)
    places = list(nodes)[1:]
    cases = list(itertools.product(places, ("both", "shortcut", "branch")))
    states = [
        {"depth": depth, "measure": "work", "size": 224, "layer": 1, "way": way}
        | {"part": part, "block": place + 1}
        for (part, place), way in cases
    ]
    found = painted(page, "architecture", states, paths=True)
    before = dict(zip(places, ["stem", *places], strict=False))
    for (place, way), shown in zip(cases, found, strict=True):
        told = re.search(
            r"Gradient: (.*?) paths? from the loss reach(?:es)? it, (.*?) leaves? it", shown["alt"]
        )
        arriving, beyond = counts[nodes[place]], counts[nodes[before[place]]]
        assert is_amount(told[1], arriving)
        assert is_amount(told[2], beyond if way == "both" else beyond // 2)
        lit = [look for look, text in shown["paths"] if look.startswith("wire")][:2]
        expected = [
            "wire lit" if way in ("both", one) else "wire unlit" for one in ("shortcut", "branch")
        ]
        assert lit == expected
    stem, head = painted(
        page,
        "architecture",
        [
            {
                "depth": depth,
                "measure": "work",
                "size": 224,
                "block": 1,
                "layer": 1,
                "way": "both",
                "part": part,
            }
            for part in ("stem", "head")
        ],
    )
    assert is_amount(re.search(r"Gradient: (.*?) paths", stem["alt"])[1], counts[nodes["stem"]])
    assert (
        "Gradient: 1 path from the loss reaches it, 1 leaves it; there is no shortcut"
        in head["alt"]
    )


def paths(loss):
    """For each node of the graph behind the loss, how many ways lead to it."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for following, _ in node.next_functions:
                if following is not None:
                    visit(following)
            order.append(node)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    visit(loss)
    sys.setrecursionlimit(limit)
    counts = dict.fromkeys(order, 0) | {loss: 1}
    for node in reversed(order):
        for following, _ in node.next_functions:
            if following is not None:
                counts[following] += counts[node]
    return counts


def is_amount(text, value):
    """Whole up to a million, then to two digits and a power of ten."""
    if value < 1e6:
        return text == f"{value:,}"
    first, exponent = re.fullmatch(r"([\d.]+) × 10(\S+)", text).groups()
    exponent = int(exponent.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")))
    return abs(float(first) - value / 10**exponent) <= 0.05 * (1 + 1e-9)


def test_way_says_its_layers(html, open_page):
    page = open_page((html / f"{FIVE}.html").as_uri())
    box = figure_on(page, "architecture")
    said = box.locator(".living-said")
    assert said.inner_text().endswith(
        "Gradient: 2 paths from the loss reach it, 4 leave it; "
        "by the shortcut (projection) and the branch (conv2, conv1)."
    )
    box.get_by_label("shortcut", exact=True).check()
    assert said.inner_text().endswith("2 leave it; by the shortcut (projection).")
    assert box.locator("path.unlit").count() == 1
    box.get_by_label("branch", exact=True).check()
    assert said.inner_text().endswith("2 leave it; by the branch (conv2, conv1).")
    assert not page.watch.faults


def test_networks_are_the_librarys():
    for depth, (kind, blocks) in NETWORKS.items():
        block, numbers = nets.CONFIGURATIONS[int(depth)]
        assert (block.__name__.lower().removesuffix("block"), tuple(numbers)) == (kind, blocks)


def test_table_is_torchvisions():
    rows = {name: cells for name, *cells in living.figure("architecture", ROOT).table.rows}
    for depth in NETWORKS:
        found = measured(depth, IMAGE)
        names = {"stem": ["conv1"], "head": ["fc"]} | {p: [s] for p, s in STAGES.items()}
        for part, (name,) in names.items():
            layers = inside(found, name)
            branch = [row for key, row in found.items() if "downsample" not in key
                      and (key + ".").startswith(name + ".")]  # fmt: skip
            shape = " × ".join(map(str, branch[-1][0]))
            counts = [f"{sum(row[place] for row in layers):,}" for place in (1, 2)]
            assert rows[f"ResNet-{depth}, {part}"] == [shape, *counts]
        whole = [f"{sum(row[place] for row in found.values()):,}" for place in (1, 2)]
        assert rows[f"ResNet-{depth}"][1:] == whole


def test_widths_are_the_shares(page):
    rects = "svg => [...svg.querySelectorAll('rect')].slice(0, 6).map(r => r.width.baseVal.value)"
    drawing = figure_on(page, "architecture").locator(".living-drawing")
    rows = measured("18", 224)
    names = ["conv1", *STAGES.values(), "fc"]
    for place, label in ((1, "parameters"), (2, "multiply-adds")):
        figure_on(page, "architecture").get_by_label(label, exact=True).evaluate(
            "radio => radio.click()"
        )
        widths = drawing.evaluate(rects)
        counts = [sum(row[place] for row in inside(rows, name)) for name in names]
        wide = drawing.bounding_box()["width"]
        expected = [max(wide * count / sum(counts) - 1, 0.5) for count in counts]
        assert widths == pytest.approx(expected, abs=0.01)


def test_click_and_keys_open_the_same(html, open_page):
    page = open_page((html / f"{FIVE}.html").as_uri())
    box = figure_on(page, "architecture")
    said = box.locator(".living-said")
    box.locator(".living-drawing rect").nth(3).click()
    assert said.inner_text().startswith("stage 3, block 1, conv1 3×3, stride 2: puts out 256")
    box.get_by_label("block", exact=True).focus()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert said.inner_text().startswith("stage 3, block 2, conv2 3×3: puts out 256 × 14 × 14.")
    assert not page.watch.faults


def test_choices_have_names_and_sizes_have_stops(html, open_page):
    page = open_page((html / f"{FIVE}.html").as_uri())
    box = figure_on(page, "architecture")
    layer, block, size = (
        box.get_by_label(n, exact=True) for n in ("layer", "block", "image, pixels")
    )
    layer.focus()
    page.keyboard.press("End")
    assert layer.get_attribute("aria-valuetext") == "projection"
    assert layer.locator("+ .living-value").inner_text() == "projection"
    page.keyboard.press("Home")
    assert layer.get_attribute("aria-valuetext") == "conv1"
    assert block.get_attribute("aria-valuetext") == "1 of 2"
    size.focus()
    seen = []
    for key in (
        "PageUp",
        "ArrowRight",
        "PageUp",
        "PageUp",
        "PageUp",
        "PageUp",
        "PageDown",
        "ArrowLeft",
    ):
        page.keyboard.press(key)
        seen.append(int(size.get_attribute("aria-valuetext")))
    assert seen == [256, 257, 384, 512, 512, 512, 384, 383]
    cell = box.locator('[data-slot="ratio multiply-adds"]')
    works = {px: sum(row[2] for row in measured("18", px).values()) for px in (383, 224)}
    assert float(cell.inner_text()) == pytest.approx(works[383] / works[224], rel=0.005)
    assert box.locator('[data-slot="ratio parameters"]').inner_text() == "1"
    # A drag comes to rest at a mark that is near.
    room = size.bounding_box()
    place = lambda px: 8 + (room["width"] - 16) * (px - 1) / 511  # noqa: E731
    for px in (123, 219, 389, 506):
        size.click(position={"x": place(px), "y": room["height"] / 2})
        assert int(size.get_attribute("aria-valuetext")) in USUAL
    assert not page.watch.faults


def test_sliders_end_with_what_is_there(html, open_page):
    page = open_page((html / f"{FIVE}.html").as_uri())
    box = figure_on(page, "architecture")
    block = box.get_by_label("block", exact=True)
    box.get_by_label("152", exact=True).check()
    for part, last in (("stage 3", 36), ("stage 1", 3)):
        box.get_by_label(part, exact=True).check()
        assert block.get_attribute("max") == str(last - 1)
    box.get_by_label("head", exact=True).check()
    assert block.is_disabled(), "the head has no blocks"

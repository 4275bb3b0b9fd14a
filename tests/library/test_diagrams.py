"""The diagrams: well-formed, the same every time, inside their canvas, and true to the book."""

import re
from xml.etree import ElementTree

import pytest

from resnet_lib import diagrams, plots

NAMES = [name for name in diagrams.__all__ if name != "Diagram"]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(name):
    return getattr(diagrams, name)()._repr_svg_()


@pytest.fixture(params=NAMES)
def picture(request):
    return ElementTree.fromstring(drawn(request.param))


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_each_time(name):
    assert drawn(name) == drawn(name)


def test_uses_the_books_colours_alone(picture):
    found = {v for part in picture.iter() for k, v in part.items() if k in ("fill", "stroke")}
    assert found - {"none"} <= set(plots.COLORS.values())


def test_arrows_end_in_heads_that_are_there(picture):
    heads = {part.get("id") for part in picture.iter(f"{SVG}marker")}
    used = {re.fullmatch(r"url\(#(.+)\)", part.get("marker-end"))[1] for part in arrows(picture)}
    assert used <= heads


def test_everything_lies_on_the_canvas(picture):
    width, height = (float(picture.get(side)) for side in ("width", "height"))
    for part in picture.iter(f"{SVG}rect"):
        x, y = float(part.get("x", 0)), float(part.get("y", 0))
        assert x >= 0
        assert y >= 0
        assert x + float(part.get("width")) <= width
        assert y + float(part.get("height")) <= height
    for part in picture.iter(f"{SVG}text"):
        assert 0 <= float(part.get("x")) <= width
        assert 0 <= float(part.get("y")) <= height


def test_downsample_block_brings_both_sides_to_one_shape():
    picture = ElementTree.fromstring(drawn("downsample_block"))
    words = [part.text for part in picture.iter(f"{SVG}text")]
    assert words.count("64 × 56 × 56") == 1
    assert words.count("128 × 28 × 28") == 2


def test_shortcuts_are_dashed_and_nothing_else_is():
    for name in NAMES:
        for arrow in arrows(ElementTree.fromstring(drawn(name))):
            is_shortcut = arrow.get("stroke") == plots.COLORS["shortcut"]
            assert (arrow.get("stroke-dasharray") is not None) == is_shortcut, name


def arrows(picture):
    return [part for part in picture.iter(f"{SVG}path") if part.get("marker-end")]


def test_bottleneck_shows_each_signal_as_wide_as_its_channels():
    root = ElementTree.fromstring(drawn("bottleneck"))
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert [word for word in words if word.isdigit()] == ["64"] * 3 + ["256", "64", "64", "256"]
    kernels = [word.split()[1] for word in words if word.startswith("conv")]
    assert kernels == ["3×3", "3×3", "1×1", "3×3", "1×1"]

    bars = [float(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("height") == "10"]
    assert bars == [bars[0] * width for width in (1, 1, 1, 4, 1, 1, 4)]

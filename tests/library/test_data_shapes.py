"""Pictures drawn by code: what they show, and that the dice alone decide it."""

import numpy as np
import pytest

from resnet_lib import data


def drawn(kind, seed, size=32):
    return np.asarray(data.draw_shape(kind, size, np.random.default_rng(seed)), dtype=float)


@pytest.mark.parametrize("kind", data.SHAPES)
def test_the_dice_decide(kind):
    first = drawn(kind, 0)
    assert first.shape == (32, 32, 3)
    assert np.array_equal(first, drawn(kind, 0))
    assert not np.array_equal(first, drawn(kind, 1))


@pytest.mark.parametrize("kind", data.SHAPES)
def test_a_bright_shape_lies_whole_on_dark_ground(kind):
    for seed in range(20):
        picture = drawn(kind, seed).mean(axis=2)
        edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert np.median(edge) < 120
        assert np.quantile(picture, 0.99) > np.median(edge) + 25


def test_shapes_fill_as_much_of_their_circle_as_geometry_says():
    # Area by radius², as the polygon's corners give it.
    areas = {"circle": np.pi, "square": 2.0, "triangle": 3 * 3**0.5 / 4}
    areas["cross"] = (4 - 4 * 0.7**2) / 1  # the square around the arms without its four corners
    for kind, area in areas.items():
        corners = [(far * np.cos(angle), far * np.sin(angle)) for angle, far in data.SHAPES[kind]]
        x, y = np.array(corners).T
        found = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
        assert found == pytest.approx(area, rel=0.01), kind


def test_what_cannot_be_drawn_is_refused():
    dice = np.random.default_rng(0)
    with pytest.raises(ValueError, match="kind must be one of circle, cross, square, triangle"):
        data.draw_shape("star", 32, dice)
    with pytest.raises(ValueError, match="size"):
        data.draw_shape("circle", 7, dice)

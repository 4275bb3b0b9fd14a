"""The plots: colours that everyone can tell apart, and a style that leaves no trace."""

import re
from itertools import combinations

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import colors as mpl_colors

from resnet_lib import plots

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IDEAS = ["residual", "shortcut", "plain", "gradient"]
WHITE, DARK_PAGE = np.ones(3), np.full(3, 0x12 / 255)

# G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A physiologically-based model for
# simulation of color vision deficiency", IEEE TVCG 15(6), 2009: severity 1.0, in linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
# W3C Filter Effects Module Level 1, hue-rotate() at 180 degrees, on sRGB values.
HUE_ROTATED = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])
# IEC 61966-2-1: linear sRGB to XYZ, and the white point D65.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def rgb(name):
    return np.array(mpl_colors.to_rgb(plots.COLORS[name]))


def turned(color):
    """What the dark theme makes of a colour: invert(1), then hue-rotate(180deg)."""
    return np.clip(HUE_ROTATED @ (1 - color), 0, 1)


def linear(color):
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG 2.2: ratio of the relative luminances, each raised by 0.05."""
    low, high = sorted(XYZ[1] @ linear(color) + 0.05 for color in (one, other))
    return high / low


def lab(color, vision):
    ratios = XYZ @ np.clip(vision @ linear(color), 0, 1) / XYZ.sum(axis=1)
    f = np.where(ratios > 216 / 24389, np.cbrt(ratios), ratios * 841 / 108 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_oracles_know_what_is_known():
    assert contrast(WHITE, 0 * WHITE) == pytest.approx(21)
    red, green = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert lab(red, VISION["normal"]) == pytest.approx([53.2, 80.1, 67.2], abs=0.1)
    for vision in VISION.values():
        assert vision @ WHITE == pytest.approx(WHITE, abs=1e-5)
    apart = {n: np.linalg.norm(lab(red, v) - lab(green * 0.6, v)) for n, v in VISION.items()}
    assert apart["normal"] > 2 * apart["deuteranopia"]
    assert turned(WHITE) == pytest.approx(0 * WHITE, abs=1e-9)


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    """No test leaves a figure open, and nothing shows a window."""

    def refuse(*_, **__):
        raise AssertionError("a window was to be shown")

    monkeypatch.setattr(plt, "show", refuse)
    yield
    assert matplotlib.get_backend().lower() == "agg"
    assert not plt.isinteractive()
    plt.close("all")


@pytest.mark.parametrize("name", [*IDEAS, "ink", "muted", "grid", "paper"])
def test_colours_are_written_as_css_reads_them(name):
    assert re.fullmatch("#[0-9a-f]{6}", plots.COLORS[name])


@pytest.mark.parametrize(
    ("name", "least"), [*((idea, 3) for idea in IDEAS), ("ink", 7), ("muted", 4.5)]
)
def test_colours_stand_out_in_light_and_dark(name, least):
    assert contrast(rgb(name), WHITE) >= least
    assert contrast(turned(rgb(name)), DARK_PAGE) >= least


@pytest.mark.parametrize("theme", [lambda color: color, turned], ids=["light", "dark"])
@pytest.mark.parametrize("vision", list(VISION))
@pytest.mark.parametrize(("one", "other"), list(combinations(IDEAS, 2)))
def test_ideas_stay_apart(one, other, vision, theme):
    first, second = (lab(theme(rgb(name)), VISION[vision]) for name in (one, other))
    assert np.linalg.norm(first - second) >= 20  # CIE 1976


def drawn(fig):
    fig.canvas.draw()
    return np.asarray(fig.canvas.buffer_rgba()).copy()


def sketch(**settings):
    with plt.rc_context(settings), plots.figure() as axes:
        axes.plot([1, 2], [3, 5], color=plots.COLORS["plain"])
        axes.set(title="title", xlabel="depth")
    return axes.figure


@pytest.mark.parametrize("fails", [False, True])
def test_figure_leaves_the_readers_style_alone(fails):
    before = dict(plt.rcParams)
    with plt.rc_context({"font.size": 23}):
        try:
            with plots.figure():
                assert plt.rcParams["font.size"] == 10
                if fails:
                    raise KeyError
        except KeyError:
            pass
        assert plt.rcParams["font.size"] == 23
    assert dict(plt.rcParams) == before


def test_figure_is_white_and_opaque_and_looks_the_same_under_any_style():
    usual = drawn(sketch())
    assert (usual[..., 3] == 255).all()
    assert (usual[[0, -1]] == 255).all()
    dark = {k: v for k, v in plt.style.library["dark_background"].items() if "savefig" not in k}
    assert np.array_equal(drawn(sketch(**dark)), usual)


@pytest.mark.parametrize("columns", [1, 3])
def test_figure_has_a_row_of_axes_in_the_size_asked_for(columns):
    with plots.figure(columns, width=6, height=2, sharey=True) as axes:
        row = np.ravel(axes)
    assert isinstance(axes, plt.Axes) is (columns == 1)
    assert len(row) == columns == len(row[0].figure.axes)
    assert row[0].figure.get_size_inches().tolist() == [6, 2]
    assert all(row[0].get_shared_y_axes().joined(row[0], other) for other in row[1:])


@pytest.mark.parametrize("as_given", [list, np.array, torch.tensor])
def test_band_draws_the_mean_and_the_range(as_given):
    runs = [[1.0, 8.0, 2.0], [3.0, 2.0, 2.0], [2.0, 5.0, 8.0]]
    with plots.figure() as axes:
        mean = plots.band(axes, [10, 20, 40], as_given(runs), plots.COLORS["plain"], label="runs")
    assert mean.tolist() == [2, 5, 4]
    (line,), (area,) = axes.lines, axes.collections
    assert line.get_xydata().tolist() == [[10, 2], [20, 5], [40, 4]]
    assert line.get_label() == "runs"
    outline = area.get_paths()[0].vertices
    for x, low, high in [(10, 1, 3), (20, 2, 8), (40, 2, 8)]:
        heights = outline[outline[:, 0] == x, 1]
        assert (heights.min(), heights.max()) == (low, high)
    assert mpl_colors.same_color(line.get_color(), plots.COLORS["plain"])
    assert mpl_colors.same_color(area.get_facecolor()[0, :3], plots.COLORS["plain"])
    assert area.get_facecolor()[0, 3] < 0.5
    assert area.get_linewidth()[0] == 0


def test_band_of_one_run_is_its_line():
    with plots.figure() as axes:
        assert plots.band(axes, [1, 2], [[3, 4]], "red").tolist() == [3, 4]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("runs", [[], [1, 2], [[1]], [[1, 2, 3]], [[1, 2], [1]], np.zeros((0, 2))])
def test_band_refuses_runs_of_another_shape(runs):
    with plots.figure() as axes, pytest.raises(ValueError, match=r"^runs must .*2.* got"):
        plots.band(axes, [1, 2], runs, "red")
    assert not axes.lines
    assert not axes.collections


def test_label_stands_beside_its_point_in_the_lines_colour():
    with plots.figure() as axes:
        plots.label(axes, 3, 4, "plain", plots.COLORS["plain"], fontsize=7)
        plots.label(axes, 3, 4, "below", xytext=(0, -9))
    named, below = axes.texts
    assert (named.get_text(), named.xy, named.get_fontsize()) == ("plain", (3, 4), 7)
    assert named.get_color() == plots.COLORS["plain"]
    assert below.get_color() == plots.COLORS["ink"]
    assert named.xyann[0] > 0
    assert below.xyann == (0, -9)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("name", IDEAS)
def test_shades_grow_from_light_to_the_full_colour(name, number):
    found = plots.shades(plots.COLORS[name], number)
    assert len(set(found)) == number
    assert found[-1] == plots.COLORS[name]
    light = [XYZ[1] @ linear(np.array(mpl_colors.to_rgb(color))) for color in found]
    assert light == sorted(light, reverse=True)
    assert light[0] < 0.9


@pytest.mark.parametrize("number", [0, -1])
def test_no_shades_are_refused(number):
    with pytest.raises(
        ValueError, match=f"^number must be a whole number of at least 1, got {number}$"
    ):
        plots.shades("#000000", number)


@pytest.mark.parametrize("columns", [1, 2])
def test_images_are_dark_ink_on_white(columns):
    image = torch.tensor([[0.0, 1.0], [0.5, 0.0]])
    with plots.figure(columns) as axes:
        plots.show_images(axes, [image] * columns, list("ab")[:columns], vmin=0, vmax=1)
    for one, title in zip(np.ravel(axes), "ab", strict=False):
        (picture,) = one.get_images()
        shown = picture.cmap(picture.norm(picture.get_array()))[..., 0]
        assert shown[0, 0] == 1
        assert shown[0, 1] == 0
        assert 0 < shown[1, 0] < 1
        assert one.get_title() == title
        assert not one.axison


@pytest.mark.parametrize(("images", "titles"), [(1, 2), (2, 1), (3, 3)])
def test_images_and_titles_must_be_as_many_as_axes(images, titles):
    with plots.figure(2) as axes, pytest.raises(ValueError, match=r"^images and titles must") as e:
        plots.show_images(axes, [np.eye(2)] * images, ["title"] * titles)
    assert str(e.value).endswith(f"(2), got {images} and {titles}")
    assert not any(one.get_images() for one in axes)

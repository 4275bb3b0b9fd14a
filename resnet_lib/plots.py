"""One style for every figure of the book, and the colours of its ideas."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors as mpl_colors
from matplotlib.axes import Axes

from resnet_lib.arguments import check_positive

__all__ = ["COLORS", "band", "figure", "label", "shades", "show_images"]

COLORS: dict[str, str] = json.loads(files("resnet_lib").joinpath("colors.json").read_text())
"""Colour of each idea as "#rrggbb"; the book's style sheet is made from the same file."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLORS["muted"],
    "axes.facecolor": COLORS["paper"],
    "axes.grid": True,
    "axes.labelcolor": COLORS["ink"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlepad": 10,
    "font.size": 10,
    "grid.color": COLORS["grid"],
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "text.color": COLORS["ink"],
    "xtick.color": COLORS["muted"],
    "ytick.color": COLORS["muted"],
}


@contextmanager
def figure(columns: int = 1, *, width: float = 7, height: float = 3.2, **options) -> Iterator:
    """Axes in the book's style, one row of them; drawing happens inside the `with` block.

    Yields one `Axes`, or an array of them when `columns` is above 1. The background is white
    and opaque, so that the figure can be read wherever a notebook is shown.

    Args:
        columns: number of axes side by side.
        width, height: size of the whole figure in inches.
        options: passed on to `Figure.subplots`, for example `sharey=True`.
    """
    # Outside the style: on the first figure a notebook's backend sets itself up, and leaving
    # rc_context would undo that, so that no later figure were shown.
    canvas = plt.figure(
        figsize=(width, height), dpi=144, facecolor=COLORS["paper"], layout="constrained"
    )
    with plt.rc_context(STYLE):
        yield canvas.subplots(1, columns, **options)


def band(
    axes: Axes, x: Sequence[float], runs: Sequence[Sequence[float]], color: str, **line
) -> np.ndarray:
    """Draw the mean over runs as a line and the range from lowest to highest run as a band.

    Args:
        axes: where to draw.
        x: T positions.
        runs: R × T values, one row per run (seed).
        color: a Matplotlib colour.
        line: passed on to `Axes.plot`.

    Returns:
        The mean, T values.

    Raises:
        ValueError: `runs` is not R × T with R at least 1.
    """
    shapes = sorted({tuple(np.shape(run)) for run in runs})
    if shapes != [(len(x),)]:
        raise ValueError(f"runs must be rows of {len(x)} values, at least one, got shapes {shapes}")
    values = np.asarray(runs, dtype=float)
    mean = values.mean(axis=0)
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, lw=0)
    axes.plot(x, mean, color=color, **line)
    return mean


def label(axes: Axes, x: float, y: float, text: str, color: str = COLORS["ink"], **options) -> None:
    """Write `text` in the line's colour beside its point (x, y), in place of a legend entry."""
    place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"} | options
    axes.annotate(text, (x, y), color=color, annotation_clip=False, **place)


def shades(color: str, number: int) -> list[str]:
    """`number` shades of one colour from light to full: one idea, growing (depth, say).

    Raises:
        TypeError, ValueError: `number` is no whole number from 1 on.
    """
    check_positive(number=number)
    full, white = np.array(mpl_colors.to_rgb(color)), np.ones(3)
    shares = np.linspace(0.55, 1, number) if number > 1 else [1]
    return [mpl_colors.to_hex(share * full + (1 - share) * white) for share in shares]


def show_images(axes: Sequence[Axes], images: Sequence, titles: Sequence[str], **options) -> None:
    """Show one (H, W) image per axes as dark ink on white, without ticks.

    Args:
        axes: as many as there are images, or the only one.
        images: arrays or tensors of shape (H, W).
        titles: one line above each image.
        options: passed on to `Axes.imshow`, for example `vmin`, `vmax` or `cmap`.

    Raises:
        ValueError: axes, images and titles are not equally many.
    """
    axes = np.ravel(axes)
    if not len(axes) == len(images) == len(titles):
        raise ValueError(
            f"images and titles must be as many as axes ({len(axes)}), "
            f"got {len(images)} and {len(titles)}"
        )
    for one, image, title in zip(axes, images, titles, strict=True):
        one.imshow(np.asarray(image), **({"cmap": "gray_r"} | options))
        one.set_title(title, loc="center", fontsize=9)
        one.axis("off")

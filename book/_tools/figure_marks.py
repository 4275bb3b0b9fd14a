"""What is drawn in one panel of a Matplotlib figure: lines, points, bars, ranges, with their looks.

Values are read back as they were drawn. Nothing here draws or lays out the figure, so that reading
leaves its picture as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryLocator
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, ScalarFormatter

NUMBER = re.compile(r"[-−+]?[\d.,]+(?:e[-−+]?\d+)?")
# How far from a tick a mark may stand, as a share of the ticks' distance, and still mean the tick:
# marks are drawn side by side. Beside a number less, as a number is a place of its own.
BESIDE_WORD, BESIDE_NUMBER = 0.45, 0.15


class Look(NamedTuple):
    """What tells the marks of one series from those of another."""

    color: str
    line: str = ""
    marker: str = ""
    hollow: bool = False
    alpha: float = 1.0


@dataclass
class Series:
    """Marks that belong together: points (x, y), and ranges along the axis of the values."""

    look: Look
    x: list[float]
    y: list[float]
    start: list[float] | None = None
    end: list[float] | None = None
    joined: bool = True
    label: str = ""
    points: list[str] = field(default_factory=list)
    kind: str = "line"
    width: float = 0.0  # of a bar
    lying: bool = False  # whether its values are along x

    @property
    def is_bar(self) -> bool:
        return self.kind == "bar"

    @property
    def is_range(self) -> bool:
        return self.kind in ("|", "-")


class Across(NamedTuple):
    """A line right across the panel: at x or at y."""

    axis: str
    at: float
    look: Look
    label: str


def own_label(artist) -> str:
    """The label that the author gave; Matplotlib's own begin with a line."""
    text = str(artist.get_label() or "")
    return "" if text.startswith("_") else text


def line_look(line: Line2D) -> Look:
    marker = str(line.get_marker() or "")
    marker = "" if marker in ("None", " ") else marker
    style = str(line.get_linestyle())
    style = "" if style in ("None", " ") else style
    edge, face = line.get_markeredgecolor(), line.get_markerfacecolor()
    hollow = bool(marker) and _is_blank(face)
    color = line.get_color() if style or not marker else face if _is_blank(edge) else edge
    return Look(to_hex(color), style, marker, hollow)


def _is_blank(color) -> bool:
    return (isinstance(color, str) and color == "none") or to_hex(color) == "#ffffff"


def series(axes: Axes) -> tuple[list[Series], list[Across]]:
    """All that stands in the panel, in the order in which it was drawn."""
    found, across = [], []
    bars = [box for box in axes.containers if isinstance(box, BarContainer)]
    errors = [box for box in axes.containers if isinstance(box, ErrorbarContainer)]
    parts = {part for box in errors for part in (*box.lines[1], *box.lines[2])}
    found += _bars(bars)
    for artist in axes.get_children():
        if artist in parts:
            continue
        if isinstance(artist, Line2D):
            one = _line(artist, axes)
            if isinstance(one, Across):
                across.append(one)
            elif one and one.x:
                found.append(one)
        elif isinstance(artist, FillBetweenPolyCollection):
            found.append(_band(artist))
        elif isinstance(artist, LineCollection):
            found += _ranges(artist)
        elif isinstance(artist, PathCollection):
            found.append(_scatter(artist))
    for box in errors:
        _with_errors(next(one for one in found if _same_line(one, box.lines[0])), box)
    return found, across


def _line(line: Line2D, axes: Axes) -> Series | Across | None:
    x, y = (np.asarray(d, dtype=float).tolist() for d in line.get_data(orig=False))
    look, label = line_look(line), own_label(line)
    in_x, in_y = line.get_transform().contains_branch_seperately(axes.transData)
    if in_x != in_y:
        return Across("x", x[0], look, label) if in_x else Across("y", y[0], look, label)
    if not in_x:
        return None
    one = Series(look, x, y, label=label, joined=bool(look.line))
    if not look.marker and len(set(zip(x, y, strict=True))) == 1:
        return None  # no length, and nothing at its end: it cannot be seen
    if len(x) == 2 and look.line and not look.marker and (x[0] == x[1]) != (y[0] == y[1]):
        return _segment(one, axes)
    if len(x) == 1:
        one.joined = False
        one.look = look._replace(line="")
    return one


def _segment(one: Series, axes: Axes) -> Series:
    """A line along one axis: a range, or, where words stand along that axis, a mark."""
    upright = one.x[0] == one.x[1]
    words = ticks(axes.yaxis if upright else axes.xaxis)[1]
    if words and not all(is_number(word) for word in words):
        look = one.look._replace(line="", marker="|" if upright else "_")
        middle = [sum(one.x) / 2], [sum(one.y) / 2]
        return Series(look, *middle, joined=False, label=one.label)
    start, end = sorted(one.y if upright else one.x)
    x, y = (one.x[:1], [start]) if upright else ([start], one.y[:1])
    made = Series(one.look, x, y, [start], [end], False, one.label, kind="|" if upright else "-")
    made.lying = not upright
    return made


def _band(band: FillBetweenPolyCollection) -> Series:
    corners = band.get_paths()[0].vertices
    count = (len(corners) - 3) // 2
    low, high = corners[1 : count + 1], corners[count + 2 : 2 * count + 2][::-1]
    color = to_hex(band.get_facecolor()[0])
    ends = [np.sort([a, b]) for a, b in zip(low[:, 1], high[:, 1], strict=True)]
    start, end = ([float(pair[i]) for pair in ends] for i in (0, 1))
    x = [float(value) for value in low[:, 0]]
    return Series(Look(color), x, end, start, end, True, own_label(band), kind="band")


def _ranges(lines: LineCollection) -> list[Series]:
    ends = [np.asarray(part) for part in lines.get_segments()]
    if not ends or any(len(part) != 2 or part[0, 0] != part[1, 0] for part in ends):
        return []
    x = [float(part[0, 0]) for part in ends]
    low, high = ([float(pick(part[:, 1])) for part in ends] for pick in (min, max))
    look = Look(to_hex(lines.get_color()[0]))
    return [Series(look, x, low, low, high, False, own_label(lines), kind="|")]


def _scatter(points: PathCollection) -> Series:
    face = points.get_facecolor()
    edge = points.get_edgecolor()
    hollow = len(face) == 0 or not face[0][3]
    color = to_hex(edge[0] if hollow or len(edge) else face[0])
    x, y = np.asarray(points.get_offsets(), dtype=float).T.tolist()
    look = Look(color, marker="o", hollow=hollow)
    return Series(look, x, y, joined=False, label=own_label(points))


def _bars(boxes: list[BarContainer]) -> list[Series]:
    found = []
    for box in boxes:
        upright = box.orientation != "horizontal"
        for bar in box.patches:
            across = bar.get_x() + bar.get_width() / 2, bar.get_y() + bar.get_height() / 2
            base = float(bar.get_y() if upright else bar.get_x())
            top = base + float(bar.get_height() if upright else bar.get_width())
            place = float(across[0] if upright else across[1])
            look = Look(to_hex(bar.get_facecolor()), alpha=round(bar.get_facecolor()[3], 2))
            x, y = ([place], [top]) if upright else ([top], [place])
            label = own_label(box) or own_label(bar)
            wide = float(bar.get_width() if upright else bar.get_height())
            one = Series(look, x, y, [base], None, False, label, kind="bar", width=wide)
            one.lying = not upright
            found.append(one)
    return found


def _same_line(one: Series, line: Line2D) -> bool:
    x, y = line.get_data(orig=False)
    # A line through a single point cannot be seen, and its look has none.
    look = line_look(line)._replace(line=one.look.line) if len(x) == 1 else line_look(line)
    same = one.look == look and len(one.x) == len(x)
    return same and np.allclose(one.x, x, atol=0) and np.allclose(one.y, y, atol=0)


def _with_errors(one: Series, box: ErrorbarContainer) -> None:
    ends = [np.asarray(part)[:, 1] for part in box.lines[2][0].get_segments()]
    one.start, one.end = ([float(pick(part)) for part in ends] for pick in (min, max))
    one.label = own_label(box)


def ticks(axis: Axis) -> tuple[list[float], list[str]]:
    """Where the author has put words or numbers on an axis, and which; none where he has not."""
    locator, formatter = axis.get_major_locator(), axis.get_major_formatter()
    if not isinstance(locator, FixedLocator | StrCategoryLocator):
        return [], []
    if isinstance(formatter, ScalarFormatter):
        return [], []
    places = [float(place) for place in axis.get_majorticklocs()]
    words = [" ".join(str(word).split()) for word in formatter.format_ticks(places)]
    # A word that stands at two places means two things.
    words = [
        f"{word} ({words[:n].count(word) + 1})" if word in words[:n] else word
        for n, word in enumerate(words)
    ]
    return (places, words) if any(words) else ([], [])


def is_number(word: str) -> bool:
    return NUMBER.fullmatch(word.replace(" ", "")) is not None


def named(axis: Axis, values: list[float]) -> list[str] | None:
    """The tick that each value means; None where a value lies between them."""
    places, words = ticks(axis)
    if not places or not values:
        return None
    scaled = axis.get_transform().transform
    at, points = scaled(np.asarray(places)), scaled(np.asarray(values, dtype=float))
    gap = np.diff(np.sort(at)).min() if len(at) > 1 else 1.0
    away = np.abs(points[:, None] - at[None, :])
    numbers = all(is_number(word) for word in words)
    if not (away.min(axis=1) <= gap * (BESIDE_NUMBER if numbers else BESIDE_WORD)).all():
        return None
    return [words[place] for place in away.argmin(axis=1)]


def shown_axes(figure) -> Iterator[Axes]:
    """The figure's panels, colour bars left out."""
    return (axes for axes in figure.axes if axes.get_label() != "<colorbar>")

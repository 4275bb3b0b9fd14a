"""Read back from a Matplotlib figure the numbers that it shows, for a table under it.

When a notebook is executed for the book, a figure's output gets its numbers into its metadata,
where nbval, Jupyter and GitHub look for nothing. What a panel holds:

    title, x, y     its title and the names of its axes
    values          the axis of the values, "x" where bars or points stand beside words
    series          each with name, x, y and, where ranges are drawn, "from" and "to"
    across          lines right across: name, axis, at

A panel without a scale (axes off, or an axis without ticks) shows a picture or a sketch, and holds
no numbers to read; neither does a map of colours. `none` says so for a whole figure.
"""

from __future__ import annotations

import math

from figure_looks import settle
from figure_marks import Look, Series, is_number, named, series, shown_axes, ticks
from figure_names import Words, by_key, legend_keys, name_points, name_series
from figure_series import is_histogram, together
from figure_tables import packed
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet

DIGITS = 5


def numbers(figure) -> dict:
    """What the figure shows: {"panels": [...]}, or {"none": why there is nothing to read}."""
    panels, reasons = [], []
    for axes in shown_axes(figure):
        reason = nothing_to_read(axes)
        panel = _cells(axes) if reason else _panel(axes)
        if panel:
            panels.append(panel)
        else:
            reasons.append(reason)
    if not panels:
        return {"none": max(reasons, key=reasons.count)}
    settle([[row for row in panel["series"] if row["look"]] for panel in panels])
    lines = [line for panel in panels for line in panel["across"]]
    names = {(line["axis"], line["at"]): line["name"] for line in lines if line["name"]}
    for line in lines:
        line["name"] = line["name"] or names.get((line["axis"], line["at"]), "")
    return {"panels": [_finished(panel) for panel in panels]}


def as_text(figure) -> str:
    """The numbers as an output's metadata holds them."""
    return packed(numbers(figure))


def nothing_to_read(axes: Axes) -> str:
    """Why a panel has no numbers to read; empty where it has."""
    if axes.images:
        return "a picture"
    if any(isinstance(part, ContourSet) for part in axes.get_children()):
        return "a map of colours"
    found, _ = series(axes) if axes.axison else ([], [])
    lying = any(one.is_bar and one.lying for one in found)
    needed = (axes.xaxis,) if lying else (axes.xaxis, axes.yaxis)
    if not found or any(len(axis.get_majorticklocs()) == 0 for axis in needed):
        return "a sketch without a scale"
    return ""


def _cells(axes: Axes) -> dict | None:
    """A map with words on both axes and a number in each cell is a table already."""
    (places_x, words_x), (places_y, words_y) = ticks(axes.xaxis), ticks(axes.yaxis)
    texts = {t.get_position(): t.get_text() for t in axes.texts if is_number(t.get_text())}
    cells = [[texts.get((x, y)) for x in places_x] for y in places_y]
    if not axes.images or not cells or not all(all(row) for row in cells):
        return None
    rows = [
        {"name": word, "x": words_x, "y": [float(cell) for cell in row], "look": None}
        for word, row in zip(words_y, cells, strict=True)
    ]
    return {**_titles(axes), "values": "y", "series": rows, "across": []}


def _titles(axes: Axes) -> dict[str, str]:
    figure, shared = axes.figure, axes.get_shared_y_axes().get_siblings(axes)
    beside = sorted(shown_axes(figure), key=lambda one: one not in shared)
    left = next((one.get_ylabel() for one in beside if one.get_ylabel()), "")
    title = " ".join(axes.get_title(place) for place in ("left", "center", "right"))
    x = axes.get_xlabel() or figure.get_supxlabel()
    # Panels side by side often share the name of the left one's axis, if not the axis itself.
    y = axes.get_ylabel() or left or figure.get_supylabel()
    return {"title": _plain(title), "x": _plain(x), "y": _plain(y)}


def _plain(text: str) -> str:
    return " ".join(text.replace("$", "").split())


def _panel(axes: Axes) -> dict:
    marks, across = series(axes)
    found, titles = together(marks), _titles(axes)
    if is_histogram(found):
        titles["x"] = f"{titles['x']}, middle of the bin"
    words, keys = Words(axes), legend_keys(axes)
    if not keys:  # one legend often serves all panels that show the same
        others = [one for one in shown_axes(axes.figure) if _titles(one)["y"] == titles["y"]]
        keys = [key for one in others for key in legend_keys(one)]
    name_points(words, found)
    names = name_series(words, [*found, *across])
    rows = [_row(one, names.get(n, ""), keys) for n, one in enumerate(found)]
    lines = [
        {"name": one.label or names.get(len(found) + n, ""), "axis": one.axis, "at": one.at}
        for n, one in enumerate(across)
    ]
    values = _by_words(axes, rows, found)
    for name in ("x", "y"):
        worded = all(isinstance(at, str) for row in rows for at in row[name])
        usual = "value" if name == values else "name" if worded else "row"
        titles[name] = titles[name] or usual
    return {**titles, "values": values, "series": rows, "across": lines}


def _row(one: Series, name: str, keys: list[tuple[Look, str]]) -> dict:
    row = {"name": one.label or name, "x": one.x, "y": one.y, "look": one.look}
    row["key"] = "" if one.label else by_key(one.look, keys)
    row |= {"from": one.start} if one.start else {}
    row |= {"to": one.end} if one.end else {}
    row |= {"points": one.points} if one.points else {}
    return row


def _by_words(axes: Axes, rows: list[dict], found: list[Series]) -> str:
    """Put the words of an axis in place of its numbers; tell which axis has the values."""
    lying = any(one.lying for one in found)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        words = [named(axis, row[name]) for row in rows]
        numeric = all(is_number(word) for word in ticks(axis)[1])
        if all(words) and not (name == "y" and numeric):
            lying = lying or name == "y"
            for row, places in zip(rows, words, strict=True):
                row[name] = places
    return "x" if lying else "y"


def _finished(panel: dict) -> dict:
    kept = ("name", "x", "y", "from", "to", "points")
    rows = [{key: _rounded_all(row[key]) for key in kept if key in row} for row in panel["series"]]
    across = [{**line, "at": rounded(line["at"])} for line in panel["across"]]
    return {**panel, "series": rows, "across": across}


def _rounded_all(value):
    return [rounded(one) for one in value] if isinstance(value, list) else value


def rounded(value: float | str) -> float | int | str | None:
    """A number with five digits, a whole one with all of them; None where there is none."""
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return None
    if value != int(value):
        value = float(f"{value:.{DIGITS}g}")
    return int(value) if value == int(value) and abs(value) < 1e15 else value

"""Marks of a panel put together to series: what one look shows, with the ranges around it."""

from __future__ import annotations

from collections import Counter

import numpy as np
from figure_marks import Series

A_HISTOGRAM = 20  # bars side by side, at least


def together(marks: list[Series]) -> list[Series]:
    """The panel's series. Bars forget where they start if all of them start alike."""
    found = _grouped(_with_bands(marks))
    points = [one for one in found if not one.is_range]
    for span in (one for one in found if one.is_range):
        if not _give_range(span, points):
            points.append(span)
    bars = [one for one in points if one.is_bar]
    if len({base for one in bars for base in one.start}) == 1:
        for one in bars:
            one.start = None
    return points


def is_histogram(found: list[Series]) -> bool:
    """Many bars without a gap between them; where each stands is the middle of a bin."""
    bars = [one for one in found if one.is_bar]
    gaps = {round(gap, 9) for one in bars for gap in np.diff(one.x)}
    many = len(gaps) == 1 and len(bars[0].x) > A_HISTOGRAM
    return many and bars[0].width >= max(gaps) * 0.999


def _with_bands(marks: list[Series]) -> list[Series]:
    """Join each band to the line that runs in it; the area under a line is no range."""
    left = list(marks)
    for band in [one for one in marks if one.kind == "band"]:
        for one in marks:
            if one.kind == "line" and one.start is None and _is_around(band, one):
                under = not any(band.start) and np.allclose(band.end, one.y, atol=0)
                flat = np.allclose(band.start, band.end, atol=0)
                one.start, one.end = (None, None) if under or flat else (band.start, band.end)
                left.remove(band)
                break
    return left


def _is_around(band: Series, one: Series) -> bool:
    same = len(one.x) == len(band.x) and one.look.color == band.look.color
    return same and np.allclose(one.x, band.x, atol=0)


def _grouped(marks: list[Series]) -> list[Series]:
    """Single marks of one label are one series, or without labels those of one look; so are
    ranges and bars."""
    groups: dict[tuple, Series] = {}
    bars = [one for one in marks if one.is_bar]
    # Bars are drawn side by side around whole numbers. One at each: whatever their colours, they
    # are one series.
    spots = Counter(round(one.y[0] if one.lying else one.x[0]) for one in bars)
    alone = all(count == 1 for count in spots.values()) and not any(one.label for one in bars)
    # A legend needs the label once; the others of its look have it too.
    labels: dict[tuple, str] = {}
    for one in marks:
        if one.label:
            labels.setdefault((one.kind, one.look), one.label)
    for number, one in enumerate(marks):
        look = "" if one.is_bar and alone else one.look
        # Of one label and two colours, as where one row among many is another kind's.
        key: tuple = (one.kind, one.label or labels.get((one.kind, look)) or look)
        if one.joined and not (one.is_bar or one.is_range):
            key = (number,)
        if key in groups:
            _append(groups[key], one)
        else:
            groups[key] = one
    return list(groups.values())


def _append(into: Series, one: Series) -> None:
    into.x, into.y = into.x + one.x, into.y + one.y
    into.label = into.label or one.label
    if into.start is not None and one.start is not None:
        into.start = into.start + one.start
    if into.end is not None and one.end is not None:
        into.end = into.end + one.end


def _are_akin(one: Series, span: Series) -> bool:
    both = one.label and span.label
    return one.label == span.label if both else one.look.color == span.look.color


def _give_range(span: Series, points: list[Series]) -> bool:
    """Give each range to the mark that lies in it; tell whether none is left over.

    A line between two marks of its own colour joins them, and is no range.
    """
    place, value = ("x", "y") if span.kind == "|" else ("y", "x")
    ranges = zip(getattr(span, place), span.start, span.end, strict=True)
    left: dict[float, list[tuple[float, float]]] = {}
    for spot, start, end in ranges:
        left.setdefault(spot, []).append((start, end))
    own = [one for one in points if _are_akin(one, span) and one.start is None]
    for one in own:
        marks = list(zip(getattr(one, place), getattr(one, value), strict=True))
        fits = [next((r for r in left.get(at, ()) if r[0] <= v <= r[1]), None) for at, v in marks]
        inside = any(r and r[0] < v < r[1] for r, (_, v) in zip(fits, marks, strict=True))
        if all(fits) and inside and len(dict(marks)) == len(marks):
            one.start, one.end = ([r[end] for r in fits] for end in (0, 1))
            one.lying = one.lying or span.kind == "-"
            for (at, _), used in zip(marks, fits, strict=True):
                left[at].remove(used)
    pairs = [zip(getattr(one, place), getattr(one, value), strict=True) for one in own]
    ends = {mark for pair in pairs for mark in pair}
    rest = [(at, r) for at, ranges in left.items() for r in ranges]
    return all((at, r[0]) in ends and (at, r[1]) in ends for at, r in rest)

"""Which words in a panel name which of its series: labels, legends, and else what it looks like."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from figure_looks import family
from figure_marks import Across, Look, Series, is_number, line_look
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Annotation

# Pixels between a name and its line, if it touches none: in its colour, in a shade of it, in grey.
NEAR, NEAR_IF_SHADE, NEAR_IF_GREY = 1000, 90, 40
LOOSE = 30  # by so much a line is nearer than points beside it


class Words:
    """The texts of one panel that may be names: what they say, where, and in which colour."""

    def __init__(self, axes: Axes):
        self.axes = axes
        self.free: list[tuple[str, np.ndarray, np.ndarray, str]] = []
        for text in axes.texts:
            said = " ".join(text.get_text().split())
            if not said or not text.get_visible():
                continue
            x, y = text.xy if isinstance(text, Annotation) else text.get_position()
            anchor = np.array([axes.convert_xunits(x), axes.convert_yunits(y)], dtype=float)
            away = text.get_position() if isinstance(text, Annotation) else (0, 0)
            if isinstance(text, Annotation) and text.anncoords != "offset points":
                away = (0, 0)
            spot = (
                self.pixels([anchor[0]], [anchor[1]])[0] + np.asarray(away) * axes.figure.dpi / 72
            )
            color = to_hex(text.get_color())
            self.free.append((said, anchor, spot, color))

    def pixels(self, x, y) -> np.ndarray:
        """Places on the picture, as they would be without the last touch of the layout."""
        return self.axes.transData.transform(np.column_stack([x, y]).astype(float))

    def touching(self, one: Series) -> dict[int, list[int]]:
        """For each text that is tied to one of the marks: at which of them."""
        marks = np.column_stack([one.x, one.y])
        found = {}
        for number, (_, anchor, _, _) in enumerate(self.free):
            at = np.flatnonzero(np.isclose(marks, anchor, rtol=1e-6, atol=0).all(axis=1))
            if len(at):
                found[number] = at.tolist()
        return found

    def distance(self, one: Series | Across, number: int) -> float:
        """From the text to the nearest place on the line, in pixels."""
        if isinstance(one, Across):
            anchor = self.free[number][1]
            own = (one.at, anchor[1]) if one.axis == "x" else (anchor[0], one.at)
            marks = self.pixels([own[0]], [own[1]])
        else:
            marks = self.pixels(one.x, one.y)
        spots = [self.free[number][2], self.pixels(*[[v] for v in self.free[number][1]])[0]]
        marks = marks[np.isfinite(marks).all(axis=1)]
        return min((_to_line(spot, marks) for spot in spots), default=np.inf)


def _to_line(spot: np.ndarray, marks: np.ndarray) -> float:
    if len(marks) == 0:
        return np.inf
    nearest = np.hypot(*(marks - spot).T).min()
    for start, end in pairwise(marks):
        way = end - start
        if length := float(way @ way):
            share = np.clip((spot - start) @ way / length, 0, 1)
            nearest = min(nearest, np.hypot(*(start + share * way - spot)))
    return float(nearest)


def name_points(words: Words, found: list[Series]) -> None:
    """Give the marks of a series their own names, where several of them bear one."""
    for one in found:
        at = words.touching(one)
        if not one.is_bar and len(at) < 2:
            continue
        # Two words along a line of many points are remarks on it, not its points' names.
        if not one.is_bar and 2 * len(at) > len(one.x):
            one.points = [""] * len(one.x)
            for number, places in at.items():
                for place in places:
                    one.points[place] = words.free[number][0]
        # A text at the end of a bar says how long it is.
        words.free = [text for n, text in enumerate(words.free) if n not in at]


def name_series(words: Words, found: list[Series | Across]) -> dict[int, str]:
    """By its place in the list, the name that a text gives a series; the nearest come first."""
    pairs = []
    for number, (said, _, _, color) in enumerate(words.free):
        for place, one in enumerate(found):
            if one.label or (isinstance(one, Series) and (one.points or one.is_bar)):
                continue
            tied = isinstance(one, Series) and number in words.touching(one)
            away = words.distance(one, number)
            same, akin = color == one.look.color, family(color)[0] == family(one.look.color)[0]
            grey = family(color)[0] in ("ink", "muted")
            limit = NEAR_IF_SHADE if akin else NEAR_IF_GREY if grey else 0
            limit = NEAR if same and not grey else limit
            # A number may be the name of a line in its colour; else it is a value beside a mark.
            drawn = isinstance(one, Series) and one.joined and same and not grey
            is_name = drawn or not is_number(said.replace("%", ""))
            if (is_name and (tied or away < limit)) or (tied and same):
                away += LOOSE if isinstance(one, Series) and not one.joined else 0
                pairs.append((not tied, not same, not akin, away, number, place))
    names: dict[int, str] = {}
    taken: set[int] = set()
    for *_, number, place in sorted(pairs):
        if number not in taken and place not in names:
            names[place] = words.free[number][0]
            taken.add(number)
    return names


def legend_keys(axes: Axes) -> list[tuple[Look, str]]:
    """The legend's looks and words. Where no mark has its colour, it tells of a style alone."""
    legend = axes.get_legend()
    if legend is None:
        return []
    texts = [text.get_text() for text in legend.get_texts()]
    lines = legend.legend_handles
    return [
        (line_look(line), text)
        for line, text in zip(lines, texts, strict=True)
        if hasattr(line, "get_marker")
    ]


def by_key(look: Look, keys: list[tuple[Look, str]]) -> str:
    """The legend's word for a look, the same in all, or in all but the colour."""
    for key, said in keys:
        if key.color == look.color and (key.line, key.marker, key.hollow) == look[1:4]:
            return said
    for key, said in keys:
        like = bool(look.marker) and key.hollow == look.hollow
        if not key.marker:
            like = (key.line, key.marker) == (look.line, look.marker)
        if like and _is_grey(key):
            return said
    return ""


def _is_grey(look: Look) -> bool:
    return family(look.color)[0] in ("muted", "ink")

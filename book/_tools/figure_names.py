"""Which words in a panel name which of its series: labels, legends, and else what it looks like."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from figure_marks import Across, Look, Series, is_number, line_look
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Annotation

PALETTE = Path(__file__).parents[2] / "resnet_lib" / "colors.json"
IDEAS = json.loads(PALETTE.read_text(encoding="utf-8"))
HUES = {"residual": "blue", "shortcut": "orange", "plain": "grey", "gradient": "purple"}
HUES |= {"other": "green", "ink": "black", "muted": "dark grey", "grid": "light grey"}
STYLES = {"--": "dashed", ":": "dotted", "-.": "dash-dotted"}
# Pixels between a name and its line, if it touches none: in its colour, in a shade of it, in grey.
NEAR, NEAR_IF_SHADE, NEAR_IF_GREY = 1000, 90, 40
SAME_FAMILY, SAME_SHADE = 0.04, 0.04  # of the distance from black to white


def family(color: str) -> tuple[str, float]:
    """The idea that a colour stands for, and how full it is; a shade is its colour under white."""
    rgb, best = np.array(to_rgb(color)), ("", 0.0, SAME_FAMILY)
    for idea, full in IDEAS.items():
        way = 1 - np.array(to_rgb(full))
        if not way.any():
            continue
        share = float(np.clip((1 - rgb) @ way / (way @ way), 0, 1))
        off = float(np.abs(1 - rgb - share * way).max()) + 0.03 * (1 - share)
        if share > 0.3 and off < best[2]:
            best = (idea, share, off)
    return best[0], best[1]


def words_of(look: Look, beside: list[Look]) -> str:
    """A look in words: its hue, and what else tells it from those beside it."""
    idea, share = family(look.color)
    parts = [HUES.get(idea, look.color)]
    same = [one for one in beside if family(one.color)[0] == idea and one != look]
    if any(family(one.color)[1] > share + 0.05 or one.alpha > look.alpha for one in same):
        parts[0] = f"pale {parts[0]}"
    if any(one.line != look.line for one in same) and look.line in STYLES:
        parts.append(STYLES[look.line])
    if look.marker and not look.line and any(one.line for one in same):
        parts.append("points")
    if look.hollow and any(not one.hollow and one.marker for one in same):
        parts.append("hollow")
    return ", ".join(parts)


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
        single = len(one.x) > 1 and len({i for places in at.values() for i in places}) > 1
        bar = one.is_bar
        if not (single or bar):
            continue
        names = [""] * len(one.x)
        for number, places in at.items():
            said = words.free[number][0]
            if not (bar and is_number(said.replace("%", ""))):
                for place in places:
                    names[place] = said
        if any(names) and not bar:
            one.points = names
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
            grey = family(color)[0] in ("ink", "muted", "plain")
            limit = NEAR if same else NEAR_IF_SHADE if akin else NEAR_IF_GREY if grey else 0
            is_name = not is_number(said.replace("%", ""))
            if (is_name and (tied or away < limit)) or (tied and same):
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
        shape = (key.line, key.marker, key.hollow) if not key.marker else (key.hollow,)
        if shape == (look[1:4] if not key.marker else (look.hollow,)) and _is_grey(key):
            return said
    return ""


def _is_grey(look: Look) -> bool:
    return family(look.color)[0] in ("muted", "ink")


def settle(panels: list[list[dict]]) -> None:
    """Name the series of a figure, each panel a list of {"name", "look", "key"}.

    One without a name has that of its twin in another panel, or the name of its colour and the
    word for its style, or else it is called what it looks like. A panel's only one needs none.
    """
    twins: dict[Look, str] = {}
    for rows in sorted(panels, key=lambda rows: not _one_for_all(rows)):
        twins |= {row["look"]: row["name"] for row in rows if row["name"]}
    for rows in panels:
        if _one_for_all(rows):
            for row in rows:
                row["name"] = twins[row["look"]] if row["name"] else ""
        looks = [row["look"] for row in rows]
        of_color: dict[str, set] = {}
        for row in rows:
            of_color.setdefault(row["look"].color, set()).add(row["name"])
        for row in rows:
            names = of_color[row["look"].color] - {""}
            if not row["name"] and len(rows) > 1:
                twin = twins.get(row["look"]) or _same_shade(row["look"], looks, twins)
                row["name"] = twin or _described(row, looks, names)
            elif row["key"] and row["key"] not in row["name"]:
                row["name"] = ", ".join(filter(None, (row["name"], row["key"])))
        _tell_apart(rows)


def _one_for_all(rows: list[dict]) -> bool:
    """Whether a panel names but one of its many lines: perhaps with words for all of them."""
    return len(rows) > 2 and sum(bool(row["name"]) for row in rows) == 1


def _same_shade(look: Look, beside: list[Look], twins: dict[Look, str]) -> str:
    """The name of the same shade of another colour, where a panel has one colour in shades."""
    if len({family(one.color)[0] for one in beside}) > 1 or len({one.color for one in beside}) < 3:
        return ""

    def alike(one: Look) -> bool:
        as_full = abs(family(one.color)[1] - family(look.color)[1]) < SAME_SHADE
        return as_full and one._replace(color=look.color) == look

    found = {name for one, name in twins.items() if alike(one)}
    return found.pop() if len(found) == 1 else ""


def _described(row: dict, looks: list[Look], names: set[str]) -> str:
    hue, _, style = words_of(row["look"], looks).partition(", ")
    style = row["key"] or style
    name = next(iter(names)) if len(names) == 1 else "" if row["key"] else hue
    return ", ".join(filter(None, (name, style))) or hue


def _tell_apart(rows: list[dict]) -> None:
    many, seen = Counter(row["name"] for row in rows), Counter()
    for row in rows:
        name = row["name"]
        seen[name] += 1
        if many[name] > 1:
            row["name"] = f"{name} {seen[name]}".strip()

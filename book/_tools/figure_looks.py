"""What a series is called by its look, where no text names it: its hue, its style, its twins."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
from figure_marks import Look
from matplotlib.colors import to_rgb

PALETTE = Path(__file__).parents[2] / "resnet_lib" / "colors.json"
IDEAS = json.loads(PALETTE.read_text(encoding="utf-8"))
HUES = {"residual": "blue", "shortcut": "orange", "plain": "grey", "gradient": "purple"}
HUES |= {"other": "green", "ink": "black", "muted": "dark grey", "grid": "light grey"}
MARKS = {
    ".": "dots",
    "o": "circles",
    "|": "strokes",
    "_": "strokes",
    "+": "crosses",
    "s": "squares",
}
MARKS |= {"D": "diamonds", "<": "arrowheads", ">": "arrowheads"}
STYLES = {"--": "dashed", ":": "dotted", "-.": "dash-dotted"}
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
    if not look.line and any((one.line, one.marker) != ("", look.marker) for one in same):
        parts.append(MARKS.get(look.marker, "points"))
    if look.hollow and any(not one.hollow and one.marker for one in same):
        parts.append("hollow")
    return ", ".join(parts)


def settle(panels: list[list[dict]]) -> None:
    """Name the series of a figure, each panel a list of {"name", "look", "key"}.

    One without a name has that of its twin in another panel, or the name of its colour and the
    word for its style, or else it is called what it looks like. A panel's only one needs none.
    """
    twins: dict[Look, str] = {}
    for rows in sorted(panels, key=lambda rows: all(row["name"] for row in rows)):
        twins |= {row["look"]: row["name"] for row in rows if row["name"]}
    for rows in panels:
        nameless = [row for row in rows if not row["name"]]
        if nameless and all(row["look"] in twins for row in nameless):
            # Then what names others here may be words for all: "all three".
            for row in rows:
                row["name"] = twins[row["look"]]
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
    for name, count in Counter(row["name"] for row in rows).items():
        alike = [row for row in rows if row["name"] == name]
        styles = [STYLES.get(row["look"].line, "solid") for row in alike]
        hues = [HUES.get(family(row["look"].color)[0], "") for row in alike]
        for words in (styles, hues, [str(number + 1) for number in range(count)]):
            if len(set(words)) == count > 1:
                comma = " " if words[0].isdigit() else ", "
                for row, word in zip(alike, words, strict=True):
                    row["name"] = f"{name}{comma}{word}".removeprefix(comma)
                break

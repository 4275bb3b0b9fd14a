"""The numbers of a notebook's figures, which executing it has kept, as tables and as CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from nbformat import NotebookNode
from notebooks import NUMBERS, picture_kinds

CAPTION = re.compile(r"\*\*Figure (?P<number>\S+)\.\*\* (?P<text>.+)", re.DOTALL)
MOST_ROWS = 20  # of a table on a page; the CSV file has all
MOST_COLUMNS = 6  # before a table is turned, if that makes it narrower
MOST_IN_CELL = 6  # numbers; where there are more, how many, and from where to where
LONGEST_PLAIN = 1500  # characters
DIGITS = 3
NO_BREAK = "\u00a0"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Numbers(NamedTuple):
    """What one figure shows: its panels, empty where there is nothing to read, and then why."""

    panels: list[dict]
    none: str


class Table(NamedTuple):
    """One panel's numbers as words; `left_out` tells which rows a long one lacks."""

    title: str
    header: list[str]
    rows: list[list[str]]
    left_out: str


def packed(numbers: dict) -> str:
    """Numbers on one line; many of them are pressed, so that notebooks stay small."""
    text = json.dumps(numbers, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= LONGEST_PLAIN:
        return text
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def unpacked(text: str) -> dict:
    """What `packed` has put on one line."""
    if not text.startswith("{"):
        text = zlib.decompress(base64.b64decode(text)).decode()
    return json.loads(text)


def kept(cell: NotebookNode) -> Numbers | None:
    """The numbers of the plot that a cell shows; None where no Matplotlib figure was read."""
    for output in cell.get("outputs", ()):
        text = output.get("metadata", {}).get(NUMBERS)
        if text and picture_kinds(output):
            found = unpacked(text)
            return Numbers(found.get("panels", []), found.get("none", ""))
    return None


def of_notebook(notebook: NotebookNode) -> Iterator[tuple[int, str, Numbers]]:
    """Each figure that has numbers: its cell's place, its caption's number or "", its numbers."""
    for place, cell in enumerate(notebook.cells):
        numbers = kept(cell)
        if numbers and numbers.panels:
            after = notebook.cells[place + 1] if place + 1 < len(notebook.cells) else None
            caption = CAPTION.match(after.source) if after else None
            yield place, caption["number"] if caption else "", numbers


def csv_name(page: str, place: int, number: str) -> str:
    """The file for a figure of a page: "figure-01-2.csv", or by the page where it has no number."""
    if number:
        chapter, _, figure = number.partition(".")
        return f"figure-{chapter.zfill(2)}-{figure}.csv"
    return f"{page.replace('/', '-')}-{place + 1}.csv"


def as_csv(numbers: Numbers) -> str:
    """One row for each point: panel, series, where it stands, and the range drawn around it."""
    panels = numbers.panels
    alike = len({_names(panel) for panel in panels}) == 1
    x, y = _names(panels[0]) if alike else ("x", "y")
    rows = [row for panel in panels for row in _points(panel)]
    columns = {
        "panel": [row["panel"] for row in rows] if len(panels) > 1 else [],
        "series": [row["series"] for row in rows],
        "point": [row["point"] for row in rows],
        "x axis": [] if alike else [row["names"][0] for row in rows],
        "y axis": [] if alike else [row["names"][1] for row in rows],
        x: [row["x"] for row in rows],
        y: [row["y"] for row in rows],
        "from": [row["from"] for row in rows],
        "to": [row["to"] for row in rows],
    }
    needed = {k: v for k, v in columns.items() if any(value not in ("", None) for value in v)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(needed)
    writer.writerows(zip(*needed.values(), strict=True))
    return text.getvalue()


def _names(panel: dict) -> tuple[str, str]:
    return panel["x"], panel["y"]


def _points(panel: dict) -> Iterator[dict]:
    common = {"panel": panel["title"], "names": _names(panel), "point": "", "from": "", "to": ""}
    for series in panel["series"]:
        for place, (x, y) in enumerate(zip(series["x"], series["y"], strict=True)):
            own = {key: series[key][place] for key in ("from", "to") if key in series}
            own["point"] = series["points"][place] if "points" in series else ""
            yield {**common, "series": series["name"], "x": x, "y": y, **own}
    for line in panel["across"]:
        yield {**common, "series": line["name"], "x": "", "y": "", line["axis"]: line["at"]}


def tables(numbers: Numbers) -> list[Table]:
    """A table for each panel, no longer than a page can bear."""
    return [_table(panel) for panel in numbers.panels]


def _table(panel: dict) -> Table:
    header, rows = _listed(panel) if any("points" in s for s in panel["series"]) else _wide(panel)
    shown, left_out = rows, ""
    if len(rows) > MOST_ROWS:
        step = -(-(len(rows) - 1) // (MOST_ROWS - 1))
        shown = [*rows[:-1:step], rows[-1]]
        left_out = f"{len(shown)} of {len(rows)} rows; the CSV file has all."
    lines = [f"{line['name'] or 'A line'} at {show(line['at'])}" for line in panel["across"]]
    notes = " ".join(filter(None, ["; ".join(lines) + "." if lines else "", left_out]))
    return Table(panel["title"], header, shown, notes)


def _listed(panel: dict) -> tuple[list[str], list[list[str]]]:
    """A row for each point that has a name."""
    several = len(panel["series"]) > 1
    header = ["point", *(["series"] if several else []), panel["x"], panel["y"]]
    rows = []
    for series in panel["series"]:
        points = series.get("points") or [""] * len(series["x"])
        for name, x, y in zip(points, series["x"], series["y"], strict=True):
            row = [name or series["name"] or "–", *([series["name"]] if several else [])]
            rows.append([*row, show(x), show(y)])
    return header, rows


def _wide(panel: dict) -> tuple[list[str], list[list[str]]]:
    """A row for each place along the axis, a column for each series."""
    value, place = ("x", "y") if panel["values"] == "x" else ("y", "x")
    cells: dict = {}
    names = [series["name"] or panel[value] for series in panel["series"]]
    for column, series in enumerate(panel["series"]):
        for n, at in enumerate(series[place]):
            cells.setdefault(at, [[] for _ in names])[column].append(n)
    keys = list(cells)
    if all(isinstance(key, int | float) for key in keys):
        keys.sort()
    all_series = panel["series"]
    rows = [
        [
            show(key),
            *(_cell(s, cell, value) for s, cell in zip(all_series, cells[key], strict=True)),
        ]
        for key in keys
    ]
    header = [panel[place], *names]
    if len(names) > max(MOST_COLUMNS, len(rows)):
        turned = [list(row) for row in zip(header, *rows, strict=True)]
        header, rows = turned[0], turned[1:]
    return header, rows


def _cell(series: dict, places: list[int], value: str) -> str:
    if len(places) <= MOST_IN_CELL:
        return ", ".join(_value(series, place, value) for place in places) or "–"
    numbers = [series[value][place] for place in places if series[value][place] is not None]
    return f"{len(numbers)} values, {_range(min(numbers), max(numbers))}"


def _value(series: dict, place: int, value: str) -> str:
    shown = show(series[value][place])
    start, end = (series.get(key, {place: None})[place] for key in ("from", "to"))
    if start is None and end is None:
        return shown
    if end is None or series[value][place] == start:
        return _range(start, series[value][place] if end is None else end)
    return f"{shown} ({_range(start, end)})"


def _range(start: float, end: float) -> str:
    return f"{show(start)}{NO_BREAK}to{NO_BREAK}{show(end)}"


def show(value: float | str | None) -> str:
    """A number with three digits, if need be with a power of ten; whole ones and words as given."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) < 10**9:
        return f"{value:,}".replace("-", "−")
    first, _, exponent = f"{value:.{DIGITS - 1}e}".partition("e")
    power = int(exponent)
    if -3 <= power < 6:
        text = f"{value:,.{max(0, DIGITS - 1 - power)}f}"
        return _short(text)
    return f"{_short(first)} × 10{str(power).translate(SUPERSCRIPTS)}".replace(" ", NO_BREAK)


def _short(text: str) -> str:
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")

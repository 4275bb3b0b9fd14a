"""What a living figure is made of, and the HTML in which it waits for its script."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from decimal import ROUND_HALF_UP, Context, Decimal
from html import escape
from urllib.parse import quote

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Slider:
    """One of several values: the script gets a value, the reader sees its text.

    stops: the values at which Page Up and Page Down halt.
    marked: whether they also stand as marks at the slider, where a drag comes to rest.
    """

    name: str
    label: str
    values: list
    start: float
    texts: list[str]
    stops: tuple = ()
    marked: bool = False

    @property
    def words(self):
        """The value behind each text, which is how a page names it."""
        return dict(zip(self.texts, self.values, strict=True))

    def html(self, ident):
        place = self.values.index(self.start)
        stops = [self.values.index(value) for value in self.stops]
        marks = "".join(f'<option value="{stop}"></option>' for stop in stops)
        extra = f'data-stops="{" ".join(map(str, stops))}" ' * bool(stops)
        extra += f'list="{ident}-marks" ' * self.marked
        return (
            f'<label for="{ident}">{escape(self.label)}</label>'
            f'<input type="range" id="{ident}" data-control="{self.name}" autocomplete="off" '
            f'{extra}min="0" max="{len(self.values) - 1}" value="{place}" '
            f'aria-valuetext="{escape(self.texts[place])}">'
            f'<span class="living-value" aria-hidden="true">{escape(self.texts[place])}</span>'
            + f'<datalist id="{ident}-marks">{marks}</datalist>'
            * self.marked
        )


@dataclass(frozen=True)
class Choice:
    """One of a few options, each with a word for it; the script gets the option."""

    name: str
    label: str
    options: dict[str, str]
    start: str

    @property
    def words(self):
        return {option: option for option in self.options}

    def html(self, ident):
        boxes = "".join(
            f'<label><input type="radio" name="{ident}" data-control="{self.name}" '
            f'value="{option}" autocomplete="off"{" checked" * (option == self.start)}> '
            f"{escape(words)}</label>"
            for option, words in self.options.items()
        )
        return f"<fieldset><legend>{escape(self.label)}</legend><div>{boxes}</div></fieldset>"


@dataclass(frozen=True)
class Switch:
    """On or off; the script also gets how far it has turned, from 0 to 1."""

    name: str
    label: str
    start: bool

    @property
    def words(self):
        return {"on": True, "off": False}

    def html(self, ident):
        return (
            f'<label class="living-switch"><input type="checkbox" data-control="{self.name}" '
            f'autocomplete="off"{" checked" * self.start}> {escape(self.label)}</label>'
        )


@dataclass(frozen=True)
class Menu(Choice):
    """One of many options: a list to unfold."""

    def html(self, ident):
        options = "".join(
            f'<option value="{option}"{" selected" * (option == self.start)}>'
            f"{escape(words)}</option>"
            for option, words in self.options.items()
        )
        return (
            f'<label for="{ident}">{escape(self.label)}</label>'
            f'<select id="{ident}" data-control="{self.name}" autocomplete="off">{options}</select>'
        )


@dataclass(frozen=True)
class Curve:
    """Points that the reader moves up and down: one slider each, seen in the drawing alone.

    places: what each point stands above. The script gets the values "NAME 0", "NAME 1" and so on.
    """

    name: str
    label: str
    places: list[str]
    values: list
    start: float
    texts: list[str]

    @property
    def words(self):
        return dict(zip(self.texts, self.values, strict=True))

    def html(self, ident):
        place = self.values.index(self.start)
        points = "".join(
            f'<input type="range" id="{ident}-{point}" data-control="{self.name} {point}" '
            f'data-scale="{self.name}" autocomplete="off" min="0" max="{len(self.values) - 1}" '
            f'value="{place}" aria-label="{escape(words)}" aria-orientation="vertical" '
            f'aria-valuetext="{escape(self.texts[place])}"><span aria-hidden="true"></span>'
            for point, words in enumerate(self.places)
        )
        return (
            f'<fieldset class="living-points"><legend>{escape(self.label)}</legend>'
            f"<div>{points}</div></fieldset>"
        )


@dataclass(frozen=True)
class Table:
    """The same numbers to read, without a script too, and to take along as CSV."""

    caption: str
    header: list[str]
    rows: list[list[str]]

    def html(self, name):
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.header)
        body = ""
        for first, *cells in self.rows:
            row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            body += f'<tr><th scope="row">{escape(first)}</th>{row}</tr>'
        return (
            '<details class="living-table"><summary>The numbers as a table</summary>'
            f'<div class="pst-scrollable-table-container" tabindex="0" role="region" '
            f'aria-label="{escape(self.caption)}"><table class="table">'
            f"<caption>{escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
            f'<p><a download="{name}.csv" href="{self.csv()}">As a CSV file</a></p></details>'
        )

    def csv(self):
        """The table as an address; a minus sign is what programs take for one."""
        lines = "\r\n".join(",".join(map(_csv_cell, row)) for row in [self.header, *self.rows])
        return "data:text/csv;charset=utf-8," + quote(lines.replace("−", "-") + "\r\n")


@dataclass(frozen=True)
class Figure:
    """A living figure as its Python function describes it.

    title: what it shows and what one can do with it, in a line.
    high: how many pixels the drawing is high; small: the same on a page that has it small.
    data: all that its script knows beside the controls' values.
    still: the picture for a page that brings none of its own, as SVG.
    panel: HTML beside the drawing; the script fills each element with `data-slot`.
    takes_place: whether it takes the place of the still picture or stands under it.
    """

    title: str
    controls: list
    table: Table
    high: int
    small: int = 0
    data: dict = field(default_factory=dict)
    still: str = ""
    panel: str = ""
    takes_place: bool = True

    def starting(self, starts):
        """The same figure with other starts, a text by a control's name."""
        controls = {control.name: control for control in self.controls}
        for name, text in starts.items():
            controls[name] = replace(controls[name], start=controls[name].words[text])
        return replace(self, controls=list(controls.values()))

    def opening(self, name, small):
        high = self.small if small and self.small else self.high
        return (
            f'<div class="living" id="living-{name}" data-living="{name}">'
            f'<div class="living-stage" style="--high: {high}px">'
        )

    def begin(self, name, small=False):
        """All before the still picture."""
        return f'{self.opening(name, small)}<div class="living-still">' * self.takes_place

    def end(self, name, small=False):
        """All after it. What has the class living-live cannot be seen before its script runs."""
        after_still = "</div>" if self.takes_place else self.opening(name, small)
        rows = "".join(
            f'<div class="living-control">{control.html(f"living-{name}-{control.name}")}</div>'
            for control in self.controls
        )
        title = escape(self.title)
        panel = f'<div class="living-panel living-live">{self.panel}</div>' if self.panel else ""
        return (
            f'{after_still}<svg class="living-drawing living-live" role="img"></svg></div>'
            f'<div class="living-controls living-live" role="group" aria-label="{title}">'
            f'<p class="living-title">{title}</p>{rows}</div>'
            '<p class="living-said living-live"></p>'
            f'<p class="living-told living-live" role="status"></p>{panel}'
            f"{self.table.html(name)}{self.inline()}</div>"
        )

    def inline(self):
        """What the script reads, in the page itself: from a folder it may fetch nothing."""
        sliders = [control for control in self.controls if isinstance(control, Slider | Curve)]
        known = {slider.name: asdict(slider) for slider in sliders}
        kept = {name: {k: s[k] for k in ("values", "texts")} for name, s in known.items()}
        text = json.dumps({"data": self.data, "sliders": kept}, ensure_ascii=False)
        text = text.replace("</", "<\\/")
        return f'<script type="application/json" class="living-data">{text}</script>'


def _csv_cell(text):
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


def number(value):
    """Three digits, or two and a power of ten; living.js writes numbers in the same way."""
    if not value:
        return "0"
    exact = Decimal(value)
    rounded = Context(prec=3, rounding=ROUND_HALF_UP).plus(exact)
    if Decimal("0.01") <= abs(rounded) < 1000:
        return format(rounded.normalize(), "f").replace("-", "−")
    rounded = Context(prec=2, rounding=ROUND_HALF_UP).plus(exact)
    exponent = rounded.adjusted()
    first = format(rounded.scaleb(-exponent).normalize(), "f").replace("-", "−")
    return f"{first} × 10{power(exponent)}"


def power(exponent):
    return str(exponent).translate(SUPERSCRIPTS)


def fixed(places, value):
    """With so many decimals; a half is rounded up, and nothing is minus zero."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return format(rounded or abs(rounded), "f").replace("-", "−")


def span(values, write: Callable[[float], str] = number):
    """From the least to the most, as living.js writes it."""
    ends = [write(value) for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)

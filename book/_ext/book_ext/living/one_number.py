"""One number: n layers that multiply by w, with the shortcut and without it.

Chapter 02 has F(x) = wx and H(x) = wx + x. So a layer multiplies the derivative by w, and with the
shortcut by 1 + w. What the script shows is compared with autograd in tests/pages/test_living.py.
"""

import math

from book_ext.living.parts import Figure, Slider, Switch, Table, number, power

WEIGHTS = [step / 100 for step in range(-220, 121)]
TENTHS = tuple(WEIGHTS[::10])
DEEPEST = 60  # as many layers as chapter 02 takes
LAYERS = list(range(1, DEEPEST + 1))
START = 0.5
# The axis, in powers of ten: 2.2^60 lies on it, and what is smaller than its end is told in words.
LOWEST, HIGHEST, TICKS = -24, 21, (-20, -10, 0, 10, 20)
NEAR = 1  # a power of ten away: the marked band, in which a gradient keeps its size more or less
BAND = "a tenth to ten times"
ALT = "The size of a derivative by the number of layers, on a logarithmic axis."
TABLE = (0.5, 0.1, 0.0, -0.1, -0.5, -0.9, -1.0)
WIDE, HIGH = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 40, 26


def factor(weight):
    """What a layer multiplies the derivative by when its input is added to its result."""
    return round(1 + weight, 2)


def table():
    rows = []
    for weight in TABLE:
        both = (weight, factor(weight))
        cells = [number(one**depth) for depth in (10, DEEPEST) for one in both]
        rows.append([number(weight), number(factor(weight)), *cells])
    header = ["w", "1 + w", "w¹⁰", "(1 + w)¹⁰", "w⁶⁰", "(1 + w)⁶⁰"]
    return Table("The derivative after 10 and after 60 layers", header, rows)


def still():
    """The picture for the weight at the start, as the script draws it first."""

    def x(layer):
        return LEFT + (WIDE - LEFT - RIGHT) * layer / DEEPEST

    def y(exponent):
        return TOP + (HIGH - TOP - BOTTOM) * (HIGHEST - exponent) / (HIGHEST - LOWEST)

    wide, high = WIDE - LEFT - RIGHT, y(-NEAR) - y(NEAR)
    band = f'x="{LEFT}" y="{y(NEAR):.1f}" width="{wide}" height="{high:.1f}"'
    parts = [
        f'<rect class="near" {band}/>',
        f'<rect class="near" x="{LEFT}" y="3" width="18" height="11"/>',
        f'<text x="{LEFT + 24}" y="12">{BAND}</text>',
    ]
    for tick in TICKS:
        name = f"10{power(tick)}" if tick else "1"
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDE - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y(tick) + 4:.1f}">{name}</text>')
    parts.append(f'<text x="{LEFT}" y="{HIGH - 6}">0 layers</text>')
    parts.append(f'<text class="end" x="{WIDE - RIGHT}" y="{HIGH - 6}">{DEEPEST}</text>')
    for one, kind, below in ((START, "plain", 18), (factor(START), "residual", -12)):
        end = y(DEEPEST * math.log10(one))
        said = f"{number(one)}{power(DEEPEST)} = {number(one**DEEPEST)}"
        place = f'x="{x(DEEPEST)}" y="{end + below:.1f}"'
        parts.append(f'<path class="line {kind}" d="M{x(0)} {y(0):.1f}L{x(DEEPEST)} {end:.1f}"/>')
        parts.append(f'<circle class="dot {kind}" cx="{x(DEEPEST)}" cy="{end:.1f}" r="5"/>')
        parts.append(f'<text class="said end" {place}>{said}</text>')
    label = f"{ALT} With w = {number(START)} it is {number(START**DEEPEST)} after 60 layers without"
    label += f" the shortcut, and {number(factor(START) ** DEEPEST)} with it."
    return (
        f'<svg class="living-picture" viewBox="0 0 {WIDE} {HIGH}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def figure(root):
    return Figure(
        title="Move w and n, and switch the shortcut off",
        controls=[
            Slider(
                "weight",
                "w, each layer’s weight",
                WEIGHTS,
                START,
                list(map(number, WEIGHTS)),
                stops=TENTHS,
            ),
            Slider("depth", "n, layers", LAYERS, DEEPEST, list(map(str, LAYERS))),
            Switch("shortcut", "shortcut", True),
        ],
        table=table(),
        high=320,
        small=260,
        data={
            "deepest": DEEPEST,
            "lowest": LOWEST,
            "highest": HIGHEST,
            "ticks": TICKS,
            "near": NEAR,
            "band": BAND,
        },
        still=still(),
    )

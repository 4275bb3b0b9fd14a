"""The book's diagrams, drawn by code as SVG: same input, same bytes.

Solid blue is the residual branch F(x), dashed orange the shortcut, grey the plain network.
"""

from html import escape

from resnet_lib.plots import COLORS

__all__ = [
    "Diagram",
    "basic_block",
    "bottleneck",
    "downsample_block",
    "function_classes",
    "plain_and_residual",
]

FONT = "Helvetica, Arial, sans-serif"


class Diagram:
    """A canvas of fixed size; a notebook shows it as a picture.

    Args:
        width, height: size of the canvas in px.
    """

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self.parts: list[str] = []

    def text(
        self, x: float, y: float, words: str, color: str = "ink", size: int = 15, style: str = ""
    ) -> None:
        """Words centred on (x, y); `style` is added to the element, for example an anchor."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{COLORS[color]}" {style}>'
            f"{escape(words)}</text>"
        )

    def box(self, x: float, y: float, words: str, color: str = "ink", width: float = 132) -> None:
        """A box of height 34 centred on (x, y), with words in it."""
        self.parts.append(
            f'<rect x="{x - width / 2:g}" y="{y - 17:g}" width="{width:g}" height="34" rx="7" '
            f'fill="{COLORS[color]}" fill-opacity="0.1" stroke="{COLORS[color]}" '
            'stroke-width="1.6"/>'
        )
        self.text(x, y, words, size=14)

    def arrow(self, points: str, color: str = "ink", dashed: bool = False) -> None:
        """An arrow along an SVG path such as "M 10 10 V 40"."""
        dash = 'stroke-dasharray="6 4" ' if dashed else ""
        self.parts.append(
            f'<path d="{points}" fill="none" stroke="{COLORS[color]}" stroke-width="2" {dash}'
            f'marker-end="url(#head-{color})"/>'
        )

    def plus(self, x: float, y: float) -> None:
        """The addition: a circle of radius 13 with a plus in it."""
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="13" fill="{COLORS["paper"]}" '
            f'stroke="{COLORS["ink"]}" stroke-width="2"/>'
            f'<path d="M {x - 6:g} {y:g} h 12 M {x:g} {y - 6:g} v 12" '
            f'stroke="{COLORS["ink"]}" stroke-width="2"/>'
        )

    def ellipse(self, x: float, y: float, rx: float, ry: float, color: str, turn: float) -> None:
        """An ellipse around (x, y), turned by `turn` degrees."""
        self.parts.append(
            f'<ellipse cx="{x:g}" cy="{y:g}" rx="{rx:g}" ry="{ry:g}" '
            f'transform="rotate({turn:g} {x:g} {y:g})" fill="{COLORS[color]}" '
            f'fill-opacity="0.08" stroke="{COLORS[color]}" stroke-width="1.8"/>'
        )

    def __repr__(self) -> str:
        return f"Diagram({self.width}, {self.height})"

    def _repr_svg_(self) -> str:
        heads = "".join(
            f'<marker id="head-{name}" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" '
            f'fill="{COLORS[name]}"/></marker>'
            for name in ("ink", "residual", "shortcut", "plain", "gradient")
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="{FONT}" text-anchor="middle" '
            f'dominant-baseline="central"><defs>{heads}</defs>'
            f'<rect width="{self.width}" height="{self.height}" fill="{COLORS["paper"]}"/>'
            f"{''.join(self.parts)}</svg>"
        )


def function_classes() -> Diagram:
    """Growing families of functions: on the left each holds the last, on the right none does."""
    d = Diagram(640, 290)
    d.text(160, 24, "nested", size=16)
    d.text(480, 24, "not nested", size=16)
    nested = ((150, 175, 42, 30), (162, 170, 80, 60), (176, 164, 122, 94))
    apart = ((416, 206, 42, 30, 0), (466, 182, 84, 52, 28), (492, 112, 120, 44, 12))
    for number, (x, y, rx, ry) in enumerate(nested, start=1):
        d.ellipse(x, y, rx, ry, "residual", 0)
        d.text(x, y - ry + 13, f"depth {number}", "residual", size=12)
    for number, (x, y, rx, ry, turn) in enumerate(apart, start=1):
        d.ellipse(x, y, rx, ry, "plain", turn)
        beside = -66 if number == 1 else 0  # the second class's border crosses the first
        d.text(x + beside, y + (4 if beside else -8), f"depth {number}", "plain", size=12)
    for x, y in ((296, 244), (424, 264)):
        d.text(x, y, "★", size=22)
        d.text(x, y + 19, "the function we want", size=12)
    return d


def plain_and_residual() -> Diagram:
    """Two layers of a plain network beside the same two layers with a shortcut around them."""
    d = Diagram(640, 330)
    for x, color in ((170, "plain"), (440, "residual")):
        d.text(x, 22, "x", style='font-style="italic"', size=17)
        d.arrow(f"M {x} 36 V 66", color)
        d.box(x, 84, "layer", color)
        d.arrow(f"M {x} 102 V 134", color)
        d.text(x + 12, 117, "ReLU", color, size=12, style='text-anchor="start"')
        d.box(x, 152, "layer", color)
    d.text(80, 118, "H(x)", "plain", size=17, style='font-style="italic"')
    d.text(350, 118, "F(x)", "residual", size=17, style='font-style="italic"')
    d.arrow("M 170 170 V 290", "plain")
    d.arrow("M 440 170 V 212", "residual")
    d.arrow("M 440 48 H 560 V 228 H 456", "shortcut", dashed=True)
    d.text(570, 118, "x", "shortcut", size=17, style='font-style="italic" text-anchor="start"')
    d.plus(440, 228)
    d.arrow("M 440 243 V 290")
    d.text(182, 262, "ReLU", "plain", size=12, style='text-anchor="start"')
    d.text(452, 266, "ReLU", size=12, style='text-anchor="start"')
    d.text(170, 310, "plain: layers that give H(x)", "plain", size=14)
    d.text(450, 310, "residual: H(x) = F(x) + x, then ReLU", size=14)
    return d


def basic_block() -> Diagram:
    """BasicBlock: convolution, batch norm and ReLU in order, the addition before the last ReLU."""
    d = Diagram(640, 470)
    x, down = 300, "residual"
    d.text(x, 20, "x", style='font-style="italic"', size=17)
    d.text(x + 24, 20, "(N, C, H, W)", "muted", size=13, style='text-anchor="start"')
    steps = ["conv1  3×3", "bn1", "ReLU", "conv2  3×3", "bn2"]
    d.arrow(f"M {x} 34 V 58", down)
    for number, words in enumerate(steps):
        y = 76 + 60 * number
        d.box(x, y, words, down)
        if number < 4:
            d.arrow(f"M {x} {y + 18} V {y + 42}", down)
    d.text(196, 196, "F(x)", down, size=17, style='font-style="italic"')
    d.arrow(f"M {x} 334 V 356", down)
    d.arrow(f"M {x} 44 H 460 V 372 H {x + 16}", "shortcut", dashed=True)
    d.text(472, 196, "shortcut", "shortcut", size=14, style='text-anchor="start"')
    d.plus(x, 372)
    d.arrow(f"M {x} 386 V 402")
    d.box(x, 420, "ReLU")
    d.arrow(f"M {x} 438 V 458")
    d.text(x + 24, 456, "ReLU(F(x) + x)", style='font-style="italic" text-anchor="start"')
    return d


def bottleneck() -> Diagram:
    """Basic block on 64 channels beside a bottleneck on 256; each bar is as wide as its signal."""
    d = Diagram(640, 470)
    for x, title, channels, kernels in (
        (160, "basic block", (64, 64, 64), ("3×3", "3×3")),
        (440, "bottleneck", (256, 64, 64, 256), ("1×1", "3×3", "1×1")),
    ):
        d.text(x, 20, title, "muted", size=14)
        step = 318 / len(kernels)
        for number, (before, kernel) in enumerate(zip(channels, kernels, strict=False)):
            y = 52 + number * step
            _signal(d, x, y, before)
            d.arrow(f"M {x} {y + 7} V {y + step / 2 - 19}", "residual")
            d.box(x, y + step / 2, f"conv  {kernel}", "residual", width=104)
            d.arrow(f"M {x} {y + step / 2 + 18} V {y + step - 8}", "residual")
        _signal(d, x, 370, channels[-1])
        d.arrow(f"M {x} 377 V 400", "residual")
        right = x + 116
        start = x + 0.3 * channels[0] + 4
        d.arrow(f"M {start:g} 52 H {right} V 416 H {x + 16}", "shortcut", dashed=True)
        d.text(right + 9, 211, "x", "shortcut", 17, 'font-style="italic" text-anchor="start"')
        d.text(x - 96, 211, "F(x)", "residual", 17, 'font-style="italic"')
        d.plus(x, 416)
        d.arrow(f"M {x} 431 V 460")
        d.text(x + 12, 446, "ReLU", size=12, style='text-anchor="start"')
    return d


def _signal(d: Diagram, x: float, y: float, channels: int) -> None:
    """A bar centred on (x, y), as wide as there are channels, with their number on its left."""
    width = 0.6 * channels
    d.parts.append(
        f'<rect x="{x - width / 2:g}" y="{y - 5:g}" width="{width:g}" height="10" rx="3" '
        f'fill="{COLORS["ink"]}" fill-opacity="0.55"/>'
    )
    d.text(x - width / 2 - 8, y, str(channels), size=13, style='text-anchor="end"')


def downsample_block() -> Diagram:
    """The first block of conv3_x: branch and shortcut must both arrive as 128 × 28 × 28."""
    d = Diagram(640, 450)
    x, side, down = 170, (366, 540), "residual"
    d.text(x, 20, "x", style='font-style="italic"', size=17)
    d.text(x - 24, 20, "64 × 56 × 56", "muted", size=13, style='text-anchor="end"')
    steps = ["conv1  3×3, stride 2", "bn1, ReLU", "conv2  3×3", "bn2"]
    d.arrow(f"M {x} 34 V 58", down)
    for number, words in enumerate(steps):
        y = 76 + 66 * number
        d.box(x, y, words, down, width=164)
        if number < 3:
            d.arrow(f"M {x} {y + 18} V {y + 48}", down)
    d.text(62, 175, "F(x)", down, size=17, style='font-style="italic"')
    d.arrow(f"M {x} 292 V 344", down)
    d.text(x - 14, 318, "128 × 28 × 28", "muted", size=13, style='text-anchor="end"')
    _fork(d, x, side)
    d.plus(x, 360)
    d.arrow(f"M {x} 374 V 390")
    d.box(x, 408, "ReLU", width=164)
    d.arrow(f"M {x} 426 V 446")
    return d


def _fork(d: Diagram, x: int, side: tuple[int, int]) -> None:
    """The shortcut from x, through one of two columns and not through both, to the addition."""
    d.arrow(f"M {x} 44 H {side[0]} V 124", "shortcut", dashed=True)
    d.arrow(f"M {side[0]} 44 H {side[1]} V 124", "shortcut", dashed=True)
    columns = (("A", "every second value", "zero channels"), ("B, C", "1×1, stride 2", "bn"))
    for place, (option, *parts) in zip(side, columns, strict=True):
        d.text(place + 10, 92, option, "shortcut", size=15, style='text-anchor="start"')
        for y, words in zip((142, 208), parts, strict=True):
            d.box(place, y, words, "shortcut", width=144)
        d.arrow(f"M {place} 160 V 190", "shortcut", dashed=True)
    d.text(sum(side) / 2, 92, "or", "muted", size=14)
    d.arrow(f"M {side[0]} 226 V 356", "shortcut", dashed=True)
    d.arrow(f"M {side[1]} 226 V 360 H {x + 16}", "shortcut", dashed=True)
    d.text(side[0] + 14, 318, "128 × 28 × 28", "muted", size=13, style='text-anchor="start"')

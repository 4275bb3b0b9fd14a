"""The architecture explorer: where the parameters and the arithmetic of a ResNet lie.

The counts are formulas, here for the table and in architecture.js for the figure. Both are compared
with torchvision's networks in tests/pages/test_living_architecture.py.
"""

from book_ext.living.block_calculator import costs
from book_ext.living.parts import Choice, Figure, Slider, Table

NETWORKS = {
    "18": ("basic", (2, 2, 2, 2)),
    "34": ("basic", (3, 4, 6, 3)),
    "50": ("bottleneck", (3, 4, 6, 3)),
    "101": ("bottleneck", (3, 4, 23, 3)),
    "152": ("bottleneck", (3, 8, 36, 3)),
}
PARTS = ("stem", "stage 1", "stage 2", "stage 3", "stage 4", "head")
WIDTHS = {"basic": (64, 128, 256, 512), "bottleneck": (256, 512, 1024, 2048)}
SIZES = list(range(1, 513))
USUAL = (32, 64, 96, 112, 128, 224, 256, 384, 512)  # where Page Up, Page Down and a drag halt
CLASSES = 1000
MOST_BLOCKS, MOST_LAYERS = 36, 4
IMAGE = 224  # pixels, of the table


def halved(size):
    return -(-size // 2)


def parts(depth, size):
    """What comes out of each part, its parameters and its multiply-adds."""
    kind, blocks = NETWORKS[depth]
    side, weights = halved(size), 49 * 3 * 64
    yield (64, side, side), weights + 2 * 64, weights * side**2
    given, side = 64, halved(side)  # behind the max pool
    for stage, (out, number) in enumerate(zip(WIDTHS[kind], blocks, strict=True)):
        total = [0, 0]
        for block in range(number):
            stride = 2 if stage and not block else 1
            fits = stride == 1 and given == out
            shortcut = "identity" if fits else "projection"
            *found, _ = costs(kind, given, out, stride, side, shortcut)
            total = [old + new for old, new in zip(total, found, strict=True)]
            given, side = out, halved(side) if stride == 2 else side
        yield (out, side, side), *total
    yield (CLASSES,), given * CLASSES + CLASSES, given * CLASSES


def table():
    rows = []
    for depth in NETWORKS:
        found = list(parts(depth, IMAGE))
        for name, (shape, *counts) in zip(PARTS, found, strict=True):
            shown = " × ".join(map(str, shape))
            rows.append([f"ResNet-{depth}, {name}", shown, *(f"{count:,}" for count in counts)])
        sums = [sum(row[place] for row in found) for place in (1, 2)]
        rows.append([f"ResNet-{depth}", str(CLASSES), *(f"{count:,}" for count in sums)])
    header = ["part", "what comes out", "parameters", "multiply-adds"]
    return Table(f"The networks’ parts, for an image of {IMAGE} pixels", header, rows)


def panel():
    """One row for each level that stands open, from the network to the layer."""
    head = "".join(f'<th scope="col">{words}</th>' for words in ("parameters", "multiply-adds"))
    rows = ""
    for level in ("network", "part", "block", "layer"):
        slots = "".join(
            f'<td><span data-slot="{level} {what}"></span> <span data-slot="{level} {what} share">'
            "</span></td>"
            for what in ("parameters", "multiply-adds")
        )
        rows += f'<tr><th scope="row" data-slot="{level} name"></th>{slots}</tr>'
    slots = (f'<td data-slot="ratio {what}"></td>' for what in ("parameters", "multiply-adds"))
    rows += f'<tr><th scope="row">at {IMAGE} px = 1</th>{"".join(slots)}</tr>'
    return (
        '<table class="table spans"><caption>What is open, and its share of the network</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "<p>A layer is a convolution with its batch norm, or the classifier. Each strip is the "
        "tinted piece of the strip above, at full width; its percentages are shares of this piece, "
        "those of the table shares of the network. Orange are the projections. "
        "Below, the gradient goes back through the open block, from right to left: a path takes "
        "one of two ways in each block. A multiply-add is one product that is added to a sum. "
        "ResNet-50, 101 and 152 have the "
        "bottleneck blocks of chapter 06.</p>"
    )


def numbered(name, label, most, start):
    values = list(range(1, most + 1))
    return Slider(name, label, values, start, list(map(str, values)))


def figure(root):
    measures = {"parameters": "parameters", "work": "multiply-adds"}
    texts = list(map(str, SIZES))
    ways = {"both": "both ways", "shortcut": "shortcut", "branch": "branch"}
    return Figure(
        title="Open a part, a block, a layer",
        controls=[
            Choice("depth", "ResNet", {depth: depth for depth in NETWORKS}, "18"),
            Choice("measure", "widths show", measures, "parameters"),
            Slider("size", "image, pixels", SIZES, IMAGE, texts, stops=USUAL, marked=True),
            Choice("part", "part", {part: part for part in PARTS}, "stage 4"),
            numbered("block", "block", MOST_BLOCKS, 1),
            numbered("layer", "layer", MOST_LAYERS, 1),
            Choice("way", "gradient", ways, "both"),
        ],
        table=table(),
        high=412,
        data={
            "networks": NETWORKS,
            "parts": PARTS,
            "widths": WIDTHS,
            "classes": CLASSES,
            "image": IMAGE,
        },
        panel=panel(),
        takes_place=False,
    )

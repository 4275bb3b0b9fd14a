"""The block calculator: shapes along both paths of a block, what it costs, and where it fails.

The costs are formulas here, for the table, and in block-calculator.js. Both are compared with
PyTorch in tests/pages/test_living_block.py, and so is each error message, word for word.
"""

from book_ext.living.parts import Choice, Figure, Slider, Table

CHANNELS = [1, 3, 16, 32, 64, 128, 256, 512, 1024, 2048]
OUT_CHANNELS = CHANNELS[2:]  # multiples of 4, which a bottleneck needs
SIZES = [1, 2, 3, 7, 8, 14, 25, 28, 56]
BYTES = 4  # of a number in single precision
IMAGES = 2  # in the batch of which PyTorch's messages speak
# Blocks of ResNet-18, of the small networks for CIFAR-10 and of ResNet-50.
TABLE = (
    ("basic", 64, 64, 1, 56, "identity"),
    ("basic", 64, 128, 2, 56, "padding"),
    ("basic", 64, 128, 2, 56, "projection"),
    ("basic", 16, 32, 2, 32, "padding"),
    ("basic", 16, 32, 2, 32, "projection"),
    ("bottleneck", 64, 256, 1, 56, "projection"),
    ("bottleneck", 256, 256, 1, 56, "identity"),
    ("bottleneck", 256, 512, 2, 56, "projection"),
)


def convolutions(kind, given, out, stride, size):
    """Kernel, channels in and out, and the size of what comes out, of each one in the branch."""
    halved = -(-size // stride)
    if kind == "basic":
        return [(3, given, out, halved), (3, out, out, halved)]
    middle = out // 4
    return [(1, given, middle, size), (3, middle, middle, halved), (1, middle, out, halved)]


def costs(kind, given, out, stride, size, shortcut):
    """Parameters, multiply-adds, and bytes of activations kept for one image."""
    branch = convolutions(kind, given, out, stride, size)
    halved = branch[-1][3]
    projection = [(1, given, out, halved)] if shortcut == "projection" else []
    weights = [kernel**2 * before * after for kernel, before, after, _ in branch + projection]
    positions = [side**2 for *_, side in branch + projection]
    norms = sum(2 * after for _, _, after, _ in branch + projection)
    # Each convolution's output is kept, and each ReLU's; the last ReLU's comes after the sum.
    kept = [given * size**2, *(2 * after * side**2 for _, _, after, side in branch)]
    kept += [after * side**2 for _, _, after, side in projection]
    multiply_adds = sum(w * p for w, p in zip(weights, positions, strict=True))
    return sum(weights) + norms, multiply_adds, BYTES * sum(kept)


def table():
    rows = []
    for case in TABLE:
        kind, given, out, stride, size, shortcut = case
        parameters, multiply_adds, kept = costs(*case)
        shapes = (
            f"{given} × {size} × {size}",
            f"{out} × {-(-size // stride)} × {-(-size // stride)}",
        )
        numbers = f"{parameters:,}", f"{multiply_adds:,}", f"{kept:,}"
        rows.append([f"{kind}, {shortcut}", *shapes, *numbers])
    header = ["block, shortcut", "in", "out", "parameters", "multiply-adds", "bytes kept"]
    return Table("What some blocks cost, for one image", header, rows)


def panel():
    """One row for each cost, one column for each path."""
    head = "".join(f'<th scope="col">{words}</th>' for words in ("branch", "shortcut", "block"))
    rows = ""
    for name in ("parameters", "multiply-adds", "kept"):
        cells = (f'<td data-slot="{name} {path}"></td>' for path in ("branch", "shortcut", "block"))
        rows += f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>'
    return (
        '<table class="table"><caption>What it costs, for one image</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "<p>Percentages and tints in the drawing are shares of the block’s multiply-adds. "
        "A multiply-add is one product that is added to a sum. Kept are the activations that "
        "the backward pass needs, 4 bytes each; the block’s input and output count for the block "
        "alone. Parameters include batch norm’s. PyTorch’s messages are what "
        "<code>out += shortcut</code> raises for a batch of two images.</p>"
    )


def figure(root):
    return Figure(
        title="Choose a block, and see what arrives at the sum",
        controls=[
            Choice("kind", "block", {"basic": "basic", "bottleneck": "bottleneck"}, "basic"),
            Slider("given", "channels in", CHANNELS, 64, list(map(str, CHANNELS))),
            Slider("out", "channels out", OUT_CHANNELS, 128, list(map(str, OUT_CHANNELS))),
            Slider("size", "size", SIZES, 56, list(map(str, SIZES))),
            Choice("stride", "stride", {"1": "1", "2": "2"}, "2"),
            Choice(
                "shortcut",
                "shortcut",
                {
                    "identity": "identity",
                    "padding": "zero padding (A)",
                    "projection": "projection (B, C)",
                },
                "projection",
            ),
        ],
        table=table(),
        high=430,
        data={"bytes": BYTES, "images": IMAGES},
        panel=panel(),
        takes_place=False,
    )

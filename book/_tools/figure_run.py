"""What a kernel does so that each figure's output holds the figure's numbers; and filling them in.

Nothing heavy is imported here: a notebook begins as it would without.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterator
from pathlib import Path

TOOLS = str(Path(__file__).parent)
# Code for a kernel before its first cell. It leaves no name behind.
KEEP_NUMBERS = f"""
import sys
sys.path.insert(0, {TOOLS!r})
import figure_run
figure_run.keep_numbers()
sys.path.remove({TOOLS!r})
del sys, figure_run
"""


def keep_numbers() -> None:
    """From now on each figure that this kernel shows has its numbers in its output's metadata."""
    from IPython import get_ipython

    def bundle(figure) -> tuple[dict, dict]:
        sys.path.insert(0, TOOLS)
        try:
            from figure_data import as_text
            from notebooks import NUMBERS
        finally:
            sys.path.remove(TOOLS)
        return {}, {NUMBERS: as_text(figure)}

    formatter = get_ipython().display_formatter.mimebundle_formatter
    formatter.for_type_by_name("matplotlib.figure", "Figure", bundle)


def plots(notebook) -> Iterator[tuple[int, dict]]:
    """Each output that Matplotlib may have drawn, with its cell's place."""
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                yield place, output


def lacks_numbers(notebook) -> bool:
    from notebooks import NUMBERS

    return any(NUMBERS not in output.metadata for _, output in plots(notebook))


def fill_in(kept, fresh) -> list[int]:
    """Give the kept outputs the numbers of those of another run that show the same picture.

    Returns:
        The places of the cells whose picture came out otherwise; they stay as they were.
    """
    from notebooks import NUMBERS

    others = []
    for (place, one), (_, other) in zip(plots(kept), plots(fresh), strict=True):
        if _pixels(one) == _pixels(other):
            one.metadata[NUMBERS] = other.metadata[NUMBERS]
        else:
            others.append(place)
    return others


def _pixels(output) -> tuple:
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
    return image.size, image.convert("RGB").tobytes()

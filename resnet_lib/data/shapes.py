"""Pictures drawn by code: data with more variety than the digits, and no download."""

from math import atan2, cos, hypot, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from resnet_lib.arguments import check_choice, check_whole

ARM = 0.3
CROSS = [(1, ARM), (ARM, ARM), (ARM, 1), (-ARM, 1), (-ARM, ARM), (-1, ARM)]
CROSS += [(-x, -y) for x, y in CROSS]
# Angle and distance from the centre, of each corner.
SHAPES: dict[str, list[tuple[float, float]]] = {
    "circle": [(2 * pi * corner / 48, 1) for corner in range(48)],
    "cross": [(atan2(y, x), hypot(x, y)) for x, y in CROSS],
    "square": [(pi / 4 + pi / 2 * corner, 1) for corner in range(4)],
    "triangle": [(2 * pi / 3 * corner - pi / 2, 1) for corner in range(3)],
}
DARK, BRIGHT = (0, 120), (120, 256)  # of each channel, of 256: ground and shape
TURN = pi / 8  # to either side
NOISE = 20  # standard deviation, of 255
FINER = 4  # drawn larger and then reduced: edges are smooth


def draw_shape(kind: str, size: int, dice: np.random.Generator) -> Image.Image:
    """Draw one shape of any colour, size, place and turn, on a ground of one colour, with noise.

    Args:
        kind: "circle", "cross", "square" or "triangle".
        size: side of the picture in pixels, from 8 on.
        dice: what the picture's chances are drawn from.

    Raises:
        TypeError, ValueError: `kind`, `size` or `dice` is not as above.
    """
    check_choice("kind", kind, tuple(SHAPES))
    check_whole("size", size, 8)
    if not isinstance(dice, np.random.Generator):
        raise TypeError(f"dice must be a numpy.random.Generator, got {type(dice).__name__}")
    ground, color = (dice.integers(*levels, 3).tolist() for levels in (DARK, BRIGHT))
    radius = size * FINER * dice.uniform(0.22, 0.45)
    x, y = dice.uniform(radius, size * FINER - radius, 2)
    turn = dice.uniform(-TURN, TURN)
    corners = [
        (x + radius * far * cos(angle + turn), y + radius * far * sin(angle + turn))
        for angle, far in SHAPES[kind]
    ]
    picture = Image.new("RGB", (size * FINER, size * FINER), tuple(ground))
    ImageDraw.Draw(picture).polygon(corners, fill=tuple(color))
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BOX), dtype=float)
    pixels += dice.normal(0, NOISE, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))

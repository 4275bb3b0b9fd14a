"""Picture files of the usual kinds, and what each becomes when it is read in a wrong way."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from resnet_lib.data import read_picture

SIZE = 16
CLASSES = ("pear", "apple", "melon", "fig")  # not in the order of the alphabet
_COLORS = {
    "pear": (200, 220, 40),
    "apple": (220, 40, 60),
    "melon": (40, 190, 90),
    "fig": (60, 50, 190),
}
_CORNER = 6  # pixels of a sign that tells the corners apart


@dataclass(frozen=True, eq=False)
class Picture:
    """A file, what its kind is, which class it shows, and how it can be misread.

    Attributes:
        kind: what is special about it, in words.
        right: (3, SIZE, SIZE) pixels from 0 to 1.
        wrong: pixels by what was done to the picture, in words.
    """

    path: Path
    name: str
    kind: str
    right: Tensor
    wrong: dict[str, Tensor] = field(default_factory=dict)


def _drawn(name: str, high: int, wide: int, seed: int) -> Image.Image:
    """A smooth picture of the class's colour, with no symmetry."""
    dice = np.random.default_rng(seed)
    y, x = np.mgrid[0:high, 0:wide] / max(high, wide)
    waves = [np.sin(4 * x * a + 3 * y * b + c) for a, b, c in dice.uniform(0.5, 1.5, (3, 3))]
    pixels = np.array(_COLORS[name]) + 28 * np.stack(waves, axis=-1)
    side = _CORNER * min(high, wide) // SIZE
    pixels[:side, :side] *= 0.4
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _fractions(picture: Image.Image) -> Tensor:
    """(3, H, W) from 0 to 1."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    return pixels.float() / 255


def plain(folder: Path, name: str, seed: int = 0) -> Picture:
    """Of the network's size, so that nothing has to be resized."""
    path = folder / f"plain{seed}.png"
    _drawn(name, SIZE, SIZE, seed).save(path)
    return _picture(path, name, "of the network's size")


def wide(folder: Path, name: str, seed: int = 1) -> Picture:
    """Larger, and wider than high. Fine lines show how it is made smaller."""
    drawn = _drawn(name, 4 * SIZE, 6 * SIZE, seed)
    pixels = np.array(drawn).astype(int)
    # Of four columns the middle two have less red, and every second less green: the mean stays.
    pixels[..., 0] += 60 * np.array([1, -1, -1, 1] * (6 * SIZE // 4))
    pixels[..., 1] += 40 * np.array([1, -1] * (3 * SIZE))
    drawn = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    path = folder / f"wide{seed}.png"
    drawn.save(path)
    square = drawn.crop((SIZE, 0, 5 * SIZE, 4 * SIZE))
    small = {"size": (SIZE, SIZE), "mode": "bilinear", "antialias": False}
    wrong = {
        "squeezed into a square": drawn.resize((SIZE, SIZE), Image.Resampling.BILINEAR),
        "cropped at its left side": drawn.crop((0, 0, 4 * SIZE, 4 * SIZE)).resize((SIZE, SIZE)),
        "cropped to its middle, and not made smaller before": drawn.crop(
            (2 * SIZE + SIZE // 2, SIZE + SIZE // 2, 3 * SIZE + SIZE // 2, 2 * SIZE + SIZE // 2)
        ),
        "made smaller by leaving pixels out": square.resize((SIZE, SIZE), Image.Resampling.NEAREST),
        "squeezed into a square by leaving pixels out": drawn.resize((SIZE, SIZE), 0),
    }
    found = {words: _fractions(picture) for words, picture in wrong.items()}
    found["made smaller without antialiasing"] = F.interpolate(_fractions(square)[None], **small)[0]
    found["squeezed into a square without antialiasing"] = F.interpolate(
        _fractions(drawn)[None], **small
    )[0]
    return _picture(path, name, "larger than the network's, and wider than high", found)


def odd(folder: Path) -> list[Picture]:
    """What else a picture file can carry."""
    drawn, path = _drawn("apple", SIZE, SIZE, 5), folder / "alpha.png"
    seen = Image.new("L", drawn.size, 255)
    seen.paste(0, (0, SIZE // 2, SIZE, SIZE))
    black = drawn.copy()
    black.paste((0, 0, 0), (0, SIZE // 2, SIZE, SIZE))
    clear = black.copy()
    clear.putalpha(seen)
    clear.save(path)
    under = {"read with the colour under what is transparent": _fractions(black)}
    found = [_picture(path, "apple", "with transparency, which is laid on white", under)]
    drawn, path = _drawn("melon", SIZE, SIZE, 6), folder / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter before it is shown
    drawn.save(path, exif=exif)
    lying = {"not turned as the file says": _fractions(drawn)}
    found.append(_picture(path, "melon", "with an orientation, as phones write it", lying))
    path = folder / "grey.png"
    _drawn("pear", SIZE, SIZE, 7).convert("L").save(path)
    found.append(_picture(path, "pear", "in grey"))
    path = folder / "palette.png"
    drawn = _drawn("fig", SIZE, SIZE, 8).quantize(64)
    drawn.save(path)
    numbers = torch.from_numpy(np.array(drawn)).float().expand(3, -1, -1) / 255
    places = {"read as the numbers of its palette's places": numbers}
    return [*found, _picture(path, "fig", "with a palette", places)]


def _picture(path: Path, name: str, kind: str, wrong: dict[str, Tensor] | None = None) -> Picture:
    return Picture(path, name, kind, read_picture(path, SIZE).float() / 255, wrong or {})

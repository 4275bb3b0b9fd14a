"""Picture files of any size and kind, decoded into one tensor of bytes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

THREADS = 4


def read_pictures(files: Sequence[Path], size: int) -> tuple[Tensor, dict[Path, str]]:
    """Decode files into (N, 3, size, size) uint8; those that fail are black, with their fault."""
    images = torch.zeros(len(files), 3, size, size, dtype=torch.uint8)

    def read(row: int) -> str | None:
        if not files[row].is_file():  # a pipe, say, would be waited for
            return "not a regular file"
        try:
            pixels = _read_picture(files[row], size)
        except UnidentifiedImageError:
            return "not an image" if files[row].stat().st_size else "empty file"
        except Exception as error:  # a decoder meets damage with any error at all
            return (str(error) or type(error).__name__).splitlines()[0]
        images[row] = torch.from_numpy(pixels).permute(2, 0, 1)
        return None

    with ThreadPoolExecutor(THREADS) as pool:  # Pillow decodes outside of Python's lock
        faults = pool.map(read, range(len(files)))
        return images, {file: f for file, f in zip(files, faults, strict=True) if f is not None}


def _read_picture(file: Path, size: int) -> np.ndarray:
    """One picture, upright, in RGB, its middle square at size × size: (size, size, 3) uint8."""
    with Image.open(file) as opened:
        if opened.mode in ("I", "F"):
            # Pillow would cut their values off at 255, whatever they mean.
            raise ValueError(f"pixels of mode {opened.mode} have no agreed range: save 8 bits")
        picture = ImageOps.exif_transpose(opened)
    if picture.mode.startswith("I;16"):
        pixels = np.asarray(picture).astype(np.uint16) >> 8
        picture = Image.fromarray(pixels.astype(np.uint8))
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow warns of the direct way
    picture = picture.convert("RGB")
    return np.array(ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR))

"""Picture files of any size and kind, decoded into bytes of one size."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from resnet_lib.arguments import check_choice, check_whole

THREADS = 4
# Of all that Pillow opens, the formats of pictures. EPS, say, would start another program. AVIF
# needs a Pillow that has it, HEIF the package pillow-heif, registered.
FORMATS = (
    *("AVIF", "BMP", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF"),
    "WEBP",
)
GROUND = 255  # white


def read_picture(
    source: "str | os.PathLike | bytes | Image.Image",
    size: int,
    channels: int = 3,
    *,
    most_pixels: int | None = None,
) -> Tensor:
    """Decode one picture, upright, its middle square at `size` × `size`, into bytes.

    What kind of file it is, its content decides, not its suffix. The shorter side is brought to
    `size` pixels (bilinear, antialiased) and the middle square cut out. The page *API* lists what
    becomes of alpha, palettes, 16 bits and other odd kinds.

    Args:
        source: a path, a file's content, or a picture of Pillow, which is left as it is.
        size: side of the result in pixels.
        channels: 3 for red, green and blue, 1 for grey.
        most_pixels: a file with more is refused before it is decoded, as a stranger's should be: a
            few kilobytes can be gigabytes of pixels. None: as many as Pillow allows.

    Returns:
        (channels, size, size) uint8.

    Raises:
        TypeError: `source` is none of these.
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture that can be read, or another argument is not allowed.
    """
    check_whole("size", size, 1)
    check_choice("channels", channels, (1, 3))
    if not isinstance(source, str | os.PathLike | bytes | Image.Image):
        raise TypeError(
            f"source must be a path, bytes or a picture of Pillow, got {type(source).__name__}"
        )
    if isinstance(source, str | os.PathLike):
        source = Path(source).expanduser()
        if not source.exists():
            raise FileNotFoundError(f"source must be a picture, and there is none at {source}")
    found = _tried(source, size, channels, most_pixels)
    if isinstance(found, str):
        name = "the file" if isinstance(source, bytes) else source
        raise ValueError(f"{name} cannot be read: {found}")
    return found


def read_pictures(
    sources: Sequence[Path | Image.Image], images: Tensor
) -> tuple[dict[int, str], list[int]]:
    """Decode files, or pictures of Pillow, into `images` (N, channels, size, size).

    Returns by row the faults of those that fail, whose images are black, and the rows of pictures
    of a single colour.
    """

    def read(row: int) -> str | bool:
        found = _tried(sources[row], images.shape[2], images.shape[1])
        if isinstance(found, str):
            images[row] = 0
            return found
        images[row] = found
        return bool((found == found[:, :1, :1]).all())

    files = [row for row, source in enumerate(sources) if isinstance(source, Path)]
    with ThreadPoolExecutor(THREADS) as pool:  # Pillow decodes outside of Python's lock
        every = dict(zip(files, pool.map(read, files), strict=True))
    # Pictures of Pillow may share a file that is still to be read: one after the other.
    every |= {row: read(row) for row in range(len(sources)) if row not in every}
    faults = {row: found for row, found in every.items() if isinstance(found, str)}
    return faults, [row for row, found in every.items() if found is True]


def is_picture(file: Path) -> bool:
    """Whether a file is a picture by its suffix or its content, be it damaged or not."""
    if Image.registered_extensions().get(file.suffix.lower()) in FORMATS:
        return True
    try:
        with _opened(file):
            return True
    except Exception:
        return False


def _tried(
    source: "Path | bytes | Image.Image", size: int, channels: int, most_pixels: int | None = None
) -> Tensor | str:
    """The picture, or why it cannot be read."""
    try:
        if isinstance(source, Image.Image):
            return _square(source, size, channels)
        if isinstance(source, Path) and not source.is_file():  # a pipe, say, would be waited for
            return "not a regular file"
        with _opened(source) as opened:
            width, height = opened.size
            if most_pixels is not None and width * height > most_pixels:
                return f"{width} × {height} pixels are more than {most_pixels:,}"
            return _square(opened, size, channels)
    except UnidentifiedImageError:
        return "not an image" if isinstance(source, Image.Image) else _what_else(source)
    except Exception as error:  # a decoder meets damage with any error at all
        return (str(error) or type(error).__name__).splitlines()[0]


def _what_else(source: Path | bytes) -> str:
    """What a file is that Pillow does not know."""
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as opened:
        head = opened.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif"):
        return "HEIF or AVIF, which Pillow does not open here: save it as JPEG"
    return "not an image" if head else "empty file"


def _opened(source: Path | bytes) -> Image.Image:
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    return Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats)


def _upright(opened: Image.Image) -> Image.Image:
    """The first frame, turned as its EXIF data say; damaged data say nothing."""
    opened.load()
    try:
        return ImageOps.exif_transpose(opened)
    except Exception:
        return opened


def _square(opened: Image.Image, size: int, channels: int) -> Tensor:
    """The middle square at size × size, on white ground: (channels, size, size) uint8."""
    picture = _in_eight_bits(_upright(opened), opened.format)
    if "transparency" in picture.info or picture.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        # The colour under what is transparent is any, most often black.
        shown = picture.convert("RGBA")
        picture = Image.new("RGB", picture.size, (GROUND,) * 3)
        picture.paste(shown, mask=shown.getchannel("A"))
    picture = picture.convert("RGB" if channels == 3 else "L")
    square = np.array(ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(square.reshape(size, size, channels)).permute(2, 0, 1)


def _in_eight_bits(picture: Image.Image, file_format: str | None) -> Image.Image:
    """Grey of 16 bits as grey of 8: Pillow would cut it off at 255."""
    # Older versions of Pillow open grey of 16 bits in these two formats with mode I.
    is_deep = picture.mode == "I" and file_format in ("PNG", "PPM")
    if not is_deep and not picture.mode.startswith("I;16"):
        if picture.mode in ("I", "F"):
            raise ValueError(f"pixels of mode {picture.mode} have no agreed range: save 8 bits")
        return picture
    deep = np.asarray(picture).astype(np.uint16)
    if 0 < deep.max() < 256:
        raise ValueError("pixels of 16 bits, none above 255, would all be black: save 8 bits")
    grey = (deep >> 8).astype(np.uint8)
    if "transparency" in picture.info:  # the one value that is not to be seen
        grey[deep == picture.info["transparency"]] = GROUND
    return Image.fromarray(grey)

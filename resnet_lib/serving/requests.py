"""What a request may hold, and the images in it; this knows no server."""

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from resnet_lib.data import read_picture

__all__ = ["MOST_IMAGES", "MOST_PIXELS", "Refused", "images_of"]

MOST_IMAGES = 64
MOST_PIXELS = 50_000_000  # of one picture; decoded it takes four bytes a pixel


class Refused(ValueError):
    """A request that is not answered, and why."""


def images_of(inputs: Sequence[Any], image: Sequence[int]) -> np.ndarray:
    """The images that a request asks about.

    Args:
        inputs: its inputs, with `name`, `datatype`, `shape` and `data` as the Open Inference
            Protocol has them: one, called "images" (UINT8) or "pictures" (BYTES).
        image: shape (C, H, W) that the network takes.

    Returns:
        (N, C, H, W) uint8.

    Raises:
        Refused: the request is not as it must be; the message says how.
    """
    if len(inputs) != 1 or inputs[0].name not in READ:
        names = ", ".join(one.name for one in inputs) or "none"
        raise Refused(f'a request has one input, "images" or "pictures", got {names}')
    given = inputs[0]
    read, datatype = READ[given.name]
    if given.datatype != datatype:
        raise Refused(f"{given.name} must be of datatype {datatype}, got {given.datatype}")
    shape = list(given.shape)
    if not shape or min(shape) < 0:
        raise Refused(f"{given.name} must have a shape of whole numbers, got {shape}")
    if not 1 <= shape[0] <= MOST_IMAGES:
        raise Refused(f"a request holds 1 to {MOST_IMAGES} images, got {shape[0]}")
    return read(getattr(given.data, "root", given.data), shape, tuple(image))


def _of_images(data: Any, shape: list[int], image: tuple[int, ...]) -> np.ndarray:
    if tuple(shape[1:]) != image:
        raise Refused(f"images must have the shape (N, {', '.join(map(str, image))}), got {shape}")
    if isinstance(data, list) and len(data) == 1 and isinstance(data[0], bytes):
        data = data[0]  # as gRPC brings them
    try:
        numbers = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.asarray(data)
    except ValueError:  # lists of several lengths
        numbers = np.empty(0, object)
    is_whole = numbers.dtype.kind in "iu"
    if not is_whole or not ((numbers >= 0) & (numbers <= 255)).all():
        raise Refused("images must be whole numbers from 0 to 255")
    if numbers.size != math.prod(shape):
        raise Refused(f"images of shape {shape} are {math.prod(shape)} numbers, got {numbers.size}")
    return numbers.astype(np.uint8).reshape(shape)


def _of_pictures(data: Any, shape: list[int], image: tuple[int, ...]) -> np.ndarray:
    files = data if isinstance(data, list) else [data]
    if shape not in ([len(files)], [len(files), 1]):
        raise Refused(f"pictures of shape {shape} cannot be {len(files)} files")
    images = []
    for number, file in enumerate(files):
        try:
            content = file if isinstance(file, bytes) else base64.b64decode(file, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise Refused(f"picture {number} must be the bytes of a file in base64") from None
        try:
            images.append(read_picture(content, image[1], image[0], most_pixels=MOST_PIXELS))
        except ValueError as error:
            raise Refused(f"picture {number}: {error}") from None
    return np.stack([one.numpy() for one in images])


READ = {"images": (_of_images, "UINT8"), "pictures": (_of_pictures, "BYTES")}

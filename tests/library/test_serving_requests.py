"""What a request may hold: the images in it, or a refusal in words."""

import io
import struct
import zlib
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toy_serving import as_images, as_pictures, pictures, png

from resnet_lib.data import read_picture
from resnet_lib.serving.requests import MOST_IMAGES, Refused, images_of

SHAPE = (3, 8, 8)


def read(*inputs):
    return images_of([SimpleNamespace(**one) for one in inputs], SHAPE)


def bomb(side=10_000):
    """A PNG of a few bytes that says that it is enormous."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_numbers_become_the_images():
    batch = pictures(3)
    found = read(as_images(batch))
    assert found.dtype == np.uint8
    assert np.array_equal(found, batch.numpy())


def test_nested_lists_and_the_bytes_of_grpc_are_the_same():
    batch = pictures(2)
    for data in (batch.tolist(), [batch.numpy().tobytes()], batch.numpy().tobytes()):
        assert np.array_equal(read(as_images(batch, data=data)), batch.numpy())


def test_picture_files_are_brought_to_the_size_as_in_training(tmp_path):
    files = [png(one, size=(20, 12)) for one in pictures(2)]
    found = read(as_pictures(files))
    for number, file in enumerate(files):
        path = tmp_path / "a.png"
        path.write_bytes(file)
        assert np.array_equal(found[number], read_picture(path, 8).numpy())
    assert np.array_equal(read(as_pictures(files, data=files)), found), "as gRPC brings them"
    assert np.array_equal(read(as_pictures(files, shape=[2, 1])), found)


ONE = pictures(1)
REFUSED = {
    "nothing": ((), 'a request has one input, "images" or "pictures", got none'),
    "two": ((as_images(ONE), as_images(ONE)), "got images, images"),
    "another name": ((as_images(ONE, name="x"),), "got x"),
    "fractions": (
        (as_images(ONE, datatype="FP32", data=[0.5] * 192),),
        "images must be of datatype UINT8, got FP32",
    ),
    "fractions called bytes": ((as_images(ONE, data=[0.5] * 192),), "whole numbers from 0 to 255"),
    "256": ((as_images(ONE, data=[256] * 192),), "whole numbers from 0 to 255"),
    "below 0": ((as_images(ONE, data=[-1] * 192),), "whole numbers from 0 to 255"),
    "words": ((as_images(ONE, data=["a"] * 192),), "whole numbers from 0 to 255"),
    "nulls": ((as_images(ONE, data=[None] * 192),), "whole numbers from 0 to 255"),
    "true": ((as_images(ONE, data=[True] * 192),), "whole numbers from 0 to 255"),
    "huge": ((as_images(ONE, data=[10**30] * 192),), "whole numbers from 0 to 255"),
    "ragged": ((as_images(ONE, data=[[1, 2], [3]]),), "whole numbers from 0 to 255"),
    "too few": ((as_images(ONE, data=[1] * 191),), "[1, 3, 8, 8] are 192 numbers, got 191"),
    "none": ((as_images(ONE, data=[]),), "whole numbers from 0 to 255"),
    "grey": ((as_images(ONE[:, :1]),), "images must have the shape (N, 3, 8, 8), got [1, 1, 8, 8]"),
    "no batch": ((as_images(ONE[0]),), "images must have the shape (N, 3, 8, 8), got [3, 8, 8]"),
    "no shape": ((as_images(ONE, shape=[]),), "images must have a shape of whole numbers, got []"),
    "a shape below 0": ((as_images(ONE, shape=[-1, 3, 8, 8]),), "must have a shape"),
    "no image": ((as_images(ONE, shape=[0, 3, 8, 8], data=[]),), "a request holds 1 to 64 images"),
    "too many": (
        (as_images(ONE, shape=[MOST_IMAGES + 1, 3, 8, 8]),),
        "a request holds 1 to 64 images, got 65",
    ),
    "no base64": ((as_pictures([b"a"], data=["!"]),), "picture 0 must be the bytes of a file in"),
    "a number": ((as_pictures([b"a"], data=[5]),), "picture 0 must be the bytes of a file in"),
    "no picture": ((as_pictures([b"abc"]),), "picture 0: the file cannot be read: not an image"),
    "no bytes": ((as_pictures([b""]),), "picture 0: the file cannot be read: empty file"),
    "a good and a bad one": ((as_pictures([png(ONE[0]), b"abc"]),), "picture 1: the file cannot"),
    "cut short": ((as_pictures([png(ONE[0])[:60]]),), "picture 0: the file cannot be read"),
    "a program": (
        (as_pictures([b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"]),),
        "picture 0: the file cannot be read: not an image",
    ),
    "enormous": (
        (as_pictures([bomb()]),),
        "picture 0: the file cannot be read: 10000 × 10000 pixels are more than 50,000,000",
    ),
    "another count": ((as_pictures([b"a"], shape=[2]),), "pictures of shape [2] cannot be 1 files"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    inputs, words = REFUSED[name]
    with pytest.raises(Refused) as caught:
        read(*inputs)
    assert words in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(["images", "pictures"]),
    st.sampled_from(["UINT8", "BYTES", "FP32"]),
    st.lists(st.integers(-2, 9), max_size=4),
    json_values,
)
def test_any_request_is_read_or_refused(name, datatype, shape, data):
    try:
        found = read({"name": name, "datatype": datatype, "shape": shape, "data": data})
    except Refused:
        return
    assert found.shape[1:] == SHAPE


@given(st.data())
def test_a_picture_with_other_bytes_is_read_or_refused(data):
    file = bytearray(png(pictures(1)[0]))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Refused):
        assert read(as_pictures([bytes(file)])).shape == (1, *SHAPE)


def test_a_large_picture_that_is_allowed():
    file = io.BytesIO()
    Image.new("L", (5000, 3000), 200).save(file, "PNG")
    assert (read(as_pictures([file.getvalue()])) == 200).all()
    assert torch.equal(read_picture(file.getvalue(), 8, 1), torch.full((1, 8, 8), 200).byte())

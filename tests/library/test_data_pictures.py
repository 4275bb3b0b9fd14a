"""One picture file: whatever it carries, it becomes bytes of one size, or is refused in words."""

import re
import warnings

import numpy as np
import pytest
import refusals
import torch
from PIL import Image, ImageDraw, features

from resnet_lib.data import image_folder, read_picture

RED, GREEN, BLUE, WHITE, BLACK = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
)


def halves(mode="RGB", left=RED, right=BLUE):
    picture = Image.new(mode, (16, 16), left)
    picture.paste(right, (8, 0, 16, 16))
    return picture


def corners(found):
    """Colours of the left and of the right edge's middle."""
    side = found.shape[2]
    return [tuple(found[:, side // 2, x].tolist()) for x in (0, side - 1)]


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


def circle_on_nothing(color):
    """A shape on transparent ground whose hidden colour is black, as most programs write it."""
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((4, 4, 11, 11), fill=(*color, 255))
    return picture


# Orientation, colours


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path, orientation):
    rough = np.random.default_rng(1).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    upright = Image.fromarray(rough).resize((20, 12), Image.Resampling.BICUBIC)
    back = {  # how a camera that was held so has stored it
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turned = upright.transpose(back[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_picture(saved(tmp_path / "1.png", turned, exif=exif), 8)
    assert torch.equal(found, read_picture(upright, 8))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_do_not_cost_the_picture(tmp_path):
    path = saved(tmp_path / "1.png", halves(), exif=b"Exif\0\0MM\0*\0\0\0\xff no such table")
    assert corners(read_picture(path, 8)) == [RED, BLUE]


@pytest.mark.parametrize(
    ("mode", "suffix", "left", "right"),
    [
        ("RGB", "png", RED, BLUE),
        ("P", "png", RED, BLUE),
        ("P", "gif", RED, BLUE),
        ("CMYK", "jpg", RED, BLUE),
        ("CMYK", "tif", RED, BLUE),
        ("YCbCr", "jpg", RED, BLUE),
        ("L", "png", (76,) * 3, (29,) * 3),
        ("1", "png", BLACK, WHITE),
        ("LA", "png", (76,) * 3, (29,) * 3),
        ("RGBA", "webp", RED, BLUE),
        ("RGBA", "tif", RED, BLUE),
    ],
)
def test_every_mode_becomes_colours(tmp_path, mode, suffix, left, right):
    picture = halves(right=WHITE, left=BLACK) if mode == "1" else halves()
    path = saved(tmp_path / f"1.{suffix}", picture.convert(mode))
    for found, expected in zip(corners(read_picture(path, 8)), (left, right), strict=True):
        assert np.abs(np.subtract(found, expected)).max() <= 12, (mode, found)


def test_grey_may_be_asked_for():
    found = read_picture(halves(), 8, channels=1)
    assert found.shape == (1, 8, 8)
    assert corners(found) == [(76,), (29,)]
    assert corners(read_picture(circle_on_nothing(BLACK), 8, channels=1)) == [(255,), (255,)]


# Transparency


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_black_shape_on_transparent_ground_can_be_seen(mode):
    found = read_picture(circle_on_nothing(BLACK).convert(mode), 16)
    assert corners(found) == [WHITE, WHITE]
    assert found[:, 8, 8].tolist() == [0, 0, 0]


def test_half_transparent_is_half_white():
    found = read_picture(Image.new("RGBA", (9, 9), (255, 0, 0, 128)), 8)
    assert found[:, 4, 4].tolist() == [255, 127, 127]


def test_transparency_of_palettes_and_single_colours_counts(tmp_path):
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([0, 0, 255, 9, 9, 9])
    palette.paste(1, (8, 0, 16, 16))
    kinds = {
        "one.png": (palette, 0, [WHITE, (9, 9, 9)]),
        "shares.png": (palette, b"\x80\xff", [(127, 127, 255), (9, 9, 9)]),
        "one.gif": (palette, 0, [WHITE, (9, 9, 9)]),
        "colour.png": (halves(), RED, [WHITE, BLUE]),
        "grey.png": (halves("L", 30, 90), 30, [WHITE, (90,) * 3]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, (picture, transparency, expected) in kinds.items():
            path = saved(tmp_path / name, picture, transparency=transparency)
            assert corners(read_picture(path, 8)) == expected, name


def test_deep_grey_with_a_transparent_value(tmp_path):
    deep = np.full((16, 16), 0x4321, dtype=np.uint16)
    deep[:, :8] = 0x4322
    picture = Image.fromarray(deep)
    picture.info["transparency"] = 0x4322
    assert corners(read_picture(picture, 8)) == [WHITE, (0x43,) * 3]


def test_folder_of_black_shapes_is_not_black(tmp_path):
    for name, color in (("circle", BLACK), ("dot", (30, 0, 0))):
        (tmp_path / name).mkdir()
        for number in range(3):
            picture = circle_on_nothing(color)
            picture.putpixel((number, 5), (*color, 255))
            picture.save(tmp_path / name / f"{number}.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = image_folder(tmp_path, 16)
    assert min(data.std) > 0.3
    data.normalize(data.train_images)


def test_white_shapes_on_white_are_named(tmp_path):
    for name, color in (("circle", WHITE), ("dot", RED)):
        (tmp_path / name).mkdir()
        for number in range(12):
            circle_on_nothing(color).save(tmp_path / name / f"{number:02}.png")
    message = "12 of the pictures in .* have a single colour all over.*\n  circle/00.png"
    with pytest.warns(UserWarning, match=message) as caught:
        image_folder(tmp_path, 16)
    assert str(caught[0].message).endswith("circle/09.png\n  and 2 more")
    assert caught[0].filename == __file__


def test_pictures_that_are_all_alike_are_named_as_the_cause(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (9, 9)).save(tmp_path / name / f"{number}.png")
    with pytest.warns(UserWarning, match="4 of the pictures"):
        data = image_folder(tmp_path, 8)
    with pytest.raises(ValueError, match=r"^std\[0\] must .* same value in all images"):
        data.normalize  # noqa: B018


# Depth


def test_deep_grey_is_scaled_not_cut_off(tmp_path):
    deep = Image.fromarray(np.full((10, 10), 0x4321, dtype=np.uint16))
    for name in ("1.png", "1.tif"):
        assert (read_picture(saved(tmp_path / name, deep), 8) == 0x43).all()


def test_older_pillow_gives_deep_grey_another_mode():
    picture = Image.fromarray(np.full((10, 10), 0x4321, dtype=np.int32))
    picture.format = "PNG"
    assert picture.mode == "I"
    assert (read_picture(picture, 8) == 0x43).all()


def test_deep_colours_keep_their_upper_half(tmp_path):
    rows = b"P6 9 9 65535\n" + bytes([0x43, 0x21, 0x80, 0, 0xFF, 0xFF]) * 81
    (tmp_path / "1.ppm").write_bytes(rows)
    found = read_picture(tmp_path / "1.ppm", 8)
    assert np.abs(found[:, 4, 4].numpy().astype(int) - [0x43, 0x80, 0xFF]).max() <= 1


def test_deep_grey_that_would_be_black_is_refused():
    deep = np.arange(100, dtype=np.uint16).reshape(10, 10)
    refused(ValueError, "none above 255, would all be black", Image.fromarray(deep))
    assert (read_picture(Image.fromarray(deep * 0), 8) == 0).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_range_are_refused(tmp_path, mode):
    path = saved(tmp_path / "1.tif", Image.new(mode, (9, 9)))
    refused(ValueError, f"{path} cannot be read: pixels of mode {mode} have no agreed range", path)


# Frames


def frames(path, **options):
    first, *others = (Image.new("RGB", (9, 9), color) for color in (RED, GREEN, BLUE))
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_of_several_frames_the_first_counts(tmp_path, suffix):
    path = frames(tmp_path / f"1.{suffix}")
    assert getattr(Image.open(path), "n_frames", 1) == 3
    assert np.abs(read_picture(path, 8)[:, 4, 4].numpy().astype(int) - RED).max() <= 3


# Suffixes

suffixes = ["jpg", "JPEG", "jfif", "png", "apng", "bmp", "gif", "ico", "jp2", "ppm", "TIF", "webp"]
if features.check("avif"):
    suffixes.append("avif")


@pytest.mark.parametrize("suffix", suffixes)
def test_suffixes(tmp_path, suffix):
    path = saved(tmp_path / f"1.{suffix}", Image.new("RGB", (16, 16), (10, 100, 200)))
    found = read_picture(path, 9)
    assert np.abs(found.numpy() - np.array([10, 100, 200])[:, None, None]).max() <= 4


@pytest.mark.parametrize("name", ["picture", "picture.txt", "picture.gif", "pic.ture.JPG", "1."])
def test_content_decides_not_the_suffix(tmp_path, name):
    path = saved(tmp_path / "1.png", halves()).rename(tmp_path / name)
    assert corners(read_picture(path, 8)) == [RED, BLUE]


# Damage


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<html>404</html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"%PDF-1.7", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF or AVIF, which Pillow does not open here: save it"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, content, reason):
    path = tmp_path / "1.jpg"
    path.write_bytes(content)
    refused(ValueError, f"{path} cannot be read: {reason}", path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp"])
def test_truncated_pictures_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"1.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(ValueError, f"{path} cannot be read: ", path)


def test_huge_pictures_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "1.png", Image.new("L", (50, 50)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    refused(ValueError, f"{path} cannot be read: Image size (2500 pixels) exceeds limit", path)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3)])
def test_tiny_pictures_are_enlarged(shape):
    found = read_picture(Image.new("RGB", shape, (1, 2, 3)), 8)
    assert torch.equal(
        found, torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)
    )


# The door


def refused(error, message, source, size=8, channels=3):
    with pytest.raises(error, match=re.escape(message)):
        read_picture(source, size, channels)


def test_picture_of_pillow_is_left_as_it_is():
    picture = circle_on_nothing(BLACK)
    before = picture.mode, picture.size, picture.tobytes(), dict(picture.info)
    read_picture(picture, 8)
    assert before == (picture.mode, picture.size, picture.tobytes(), dict(picture.info))


def test_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path / "1.png", halves())
    assert corners(read_picture("~/1.png", 8)) == [RED, BLUE]


def test_wrong_arguments(tmp_path):
    refused(
        FileNotFoundError,
        f"source must be a picture, and there is none at {tmp_path}/x",
        tmp_path / "x",
    )
    refused(ValueError, "not a regular file", tmp_path)
    refused(ValueError, "the file cannot be read: not an image", b"1.png")
    for source in (None, 7, np.zeros((8, 8, 3))):
        refused(TypeError, "source must be a path, bytes or a picture of Pillow, got ", source)
    for size in (0, -8, 8.0, None, True):
        message = f"size must be a whole number of at least 1, got {size!r}"
        refused(refusals.for_whole(size), message, halves(), size)
    for channels in (0, 2, 4, None, "RGB"):
        refused(ValueError, "channels must be one of 1, 3, got", halves(), 8, channels)

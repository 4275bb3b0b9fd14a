"""The reader's own pictures: read right, split fairly, and no file skipped in silence."""

import os
import random
import re
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
import refusals
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from resnet_lib.data import image_folder
from resnet_lib.data.folder_split import split


def colored(width=16, height=16, seed=0):
    """A picture of smooth colours, different for each seed."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return rough.resize((width, height), Image.Resampling.BICUBIC)


def save(path, picture=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or colored(seed=len(str(path)))).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path):
    """Ten pictures of one class and five of another, all different."""
    place = tmp_path / "pets"
    for number in range(10):
        save(place / "cat" / f"{number}.png", colored(seed=number))
    for number in range(5):
        save(place / "dog" / f"{number}.png", colored(seed=100 + number))
    return place


def every(data):
    """All images as bytes, with their class."""
    return sorted(
        (image.numpy().tobytes(), data.classes[label])
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        )
        for image, label in zip(images, labels, strict=True)
    )


def only(path, size=8):
    """What one picture becomes; beside it stand three of no interest."""
    root = path.parents[1]
    for name in ("a", "b"):
        save(root / "other" / f"{name}.png")
    save(path.parent / "zz_twin.png")
    data = image_folder(root, size, test_fraction=0.5)
    expected = {image for image, label in every(data) if label == path.parent.name}
    twin = np.asarray(Image.open(path.parent / "zz_twin.png").resize((size, size), 2))
    (found,) = expected - {twin.transpose(2, 0, 1).tobytes()}
    return torch.frombuffer(bytearray(found), dtype=torch.uint8).view(3, size, size).numpy()


# Reading


def test_pictures_come_in_whole(root):
    data = image_folder(root, 16)
    assert data.classes == ("cat", "dog")
    assert data.train_images.shape == (12, 3, 16, 16)
    assert data.test_images.shape == (3, 3, 16, 16)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert data.train_labels.tolist() == [0] * 8 + [1] * 4
    assert data.skipped == ()
    expected = [
        (np.asarray(picture).transpose(2, 0, 1).tobytes(), ("cat", "dog")[label])
        for picture, label in ImageFolder(str(root))
    ]
    assert every(data) == sorted(expected)
    pixels = data.train_images.numpy() / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(data.std, pixels.std((0, 2, 3)), rtol=1e-12)


@pytest.mark.parametrize("kind", [str, Path])
def test_path_may_begin_at_home(root, kind, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(every(image_folder(kind("~/pets")))) == 15
    monkeypatch.chdir(root.parent)
    assert len(every(image_folder(kind("pets")))) == 15


@pytest.mark.parametrize("shape", [(48, 24), (24, 72), (24, 24), (12, 36)])
def test_size_and_crop_are_torchvisions(tmp_path, shape):
    """With sides that divide evenly; torchvision rounds the longer side, and the margin."""
    path = save(tmp_path / "cat" / "1.png", colored(*shape, seed=1))
    theirs = v2.Compose([v2.Resize(12), v2.CenterCrop(12)])(Image.open(path))
    found = only(path, 12).astype(int)
    assert np.abs(found - np.asarray(theirs, dtype=int).transpose(2, 0, 1)).max() <= 1


@pytest.mark.parametrize("shape", [(37, 50), (50, 37), (13, 200), (9, 8), (3, 5), (1, 4000)])
def test_middle_of_any_shape_is_taken(tmp_path, shape):
    """A ramp of brightness along the longer side is grey in the middle of the result."""
    ramp = np.linspace(40, 200, max(shape)).round().astype(np.uint8)
    ramp = np.broadcast_to(ramp[None] if shape[0] > shape[1] else ramp[:, None], shape[::-1])
    found = only(save(tmp_path / "cat" / "1.png", Image.fromarray(ramp.copy())))
    assert found.shape == (3, 8, 8)
    assert found.mean() == pytest.approx(120, abs=2)
    span = 160 * min(shape) / max(shape)
    assert found.max() - found.min() == pytest.approx(span * 7 / 8, abs=5 + span * 0.2)


def test_large_pictures_are_antialiased(tmp_path):
    checks = np.indices((160, 160)).sum(0) % 2 * 255
    found = only(save(tmp_path / "cat" / "1.png", Image.fromarray(checks.astype(np.uint8))))
    assert np.abs(found.astype(int) - 128).max() <= 2


def test_files_lie_at_any_depth_and_clutter_is_ignored(root):
    save(root / "cat" / "old" / "deep" / "11.png", colored(seed=50))
    clutter = ["cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "cat/._1.png", ".git/x.png"]
    clutter += ["dog/.ipynb_checkpoints/1.png", "__MACOSX/cat/1.png", "README.md", "labels.csv"]
    for name in clutter:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"clutter")
    (root / ".empty").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = image_folder(root)
    assert data.classes == ("cat", "dog")
    assert len(every(data)) == 16
    assert data.skipped == ()


def test_nothing_else_is_touched(root, monkeypatch):
    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    def refuse(*_):
        raise AssertionError("image_folder() opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = state(), sorted(root.rglob("*"))
    image_folder(root, seed=3)
    assert (state(), sorted(root.rglob("*"))) == before


# Splitting


@given(
    sizes=st.lists(st.integers(2, 30), min_size=2, max_size=4),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_split_is_complete_disjoint_and_keeps_shares(sizes, fraction, seed):
    labels = torch.cat([torch.full((n,), label) for label, n in enumerate(sizes)])
    train, test = split(labels, fraction, seed)
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(labels)))
    held_back = labels[test].bincount(minlength=len(sizes))
    for n, held in zip(sizes, held_back.tolist(), strict=True):
        assert 1 <= held <= n - 1
        assert abs(held - fraction * n) <= 1


def test_split_depends_on_the_seed_alone(root):
    def parts(seed):
        data = image_folder(root, 8, seed=seed, test_fraction=0.4)
        return data.train_images, data.train_labels, data.test_images, data.test_labels

    first = parts(1)
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    assert all(map(torch.equal, parts(1), first))
    assert not torch.equal(parts(2)[2], first[2])
    assert len(first[3]) == 6


@pytest.mark.parametrize("name", ["val", "validation", "test", "Test"])
def test_parts_that_are_there_are_kept(root, tmp_path, name):
    place = tmp_path / "split"
    root.rename(place.parent / "moved")
    place.mkdir()
    (tmp_path / "moved").rename(place / "train")
    for number in range(2):
        save(place / name / "cat" / f"{number}.png", colored(seed=200 + number))
        save(place / name / "dog" / f"{number}.png", colored(seed=300 + number))
    data = image_folder(place, 16, test_fraction=0.5, seed=9)
    assert len(data.train_labels) == 15
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    expected = [np.asarray(colored(seed=s)).transpose(2, 0, 1) for s in (200, 201, 300, 301)]
    np.testing.assert_array_equal(data.test_images, expected)
    (place / name / "cat" / "notes.txt").write_text("x")
    save(place / "extra" / "1.png"), save(place / "loose.jpg")
    with pytest.warns(UserWarning, match="3 of the files") as caught:
        data = image_folder(place, skip_unreadable=True)
    assert data.skipped == tuple(sorted([f"{name}/cat/notes.txt", "extra", "loose.jpg"]))
    assert "extra: folder beside train and" in str(caught[0].message)


def test_train_may_be_a_class(tmp_path):
    for name in ("train", "bus"):
        for number in range(2):
            save(tmp_path / name / f"{number}.png")
    assert image_folder(tmp_path).classes == ("bus", "train")


# What cannot be read


def damage(root):
    """One file of each kind of damage; its name and the reason that is given."""
    whole = save(root / "whole.jpg", colored(200, 200), quality=95).read_bytes()
    deep = save(root / "deep.png", colored(64, 64)).read_bytes()
    for name in ("whole.jpg", "deep.png"):
        (root / name).unlink()
    contents = {
        "cat/empty.jpg": (b"", "empty file"),
        "cat/half.jpg": (whole[: len(whole) // 2], "image file is truncated"),
        "cat/page.png": (b"<html>404</html>", "not an image"),
        "dog/flipped.png": (deep[:60] + bytes([deep[60] ^ 255]) + deep[61:], "broken"),
        "dog/half.png": (deep[: len(deep) // 2], "image file is truncated"),
        "dog/iphone.heic": (b"\0\0\0\x18ftypheic", "HEIF or AVIF, which Pillow does not open here"),
        "dog/notes.txt": (b"good dog", "not an image"),
        "loose.jpg": (whole, "in no class folder"),
    }
    for name, (content, _) in contents.items():
        (root / name).write_bytes(content)
    (root / "dog" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    Image.new("F", (9, 9)).save(root / "cat" / "float.tif")
    reasons = {name: reason for name, (_, reason) in contents.items()}
    reasons["dog/gone.jpg"] = "broken link"
    reasons["cat/float.tif"] = "pixels of mode F have no agreed range"
    return reasons


def test_unreadable_files_are_listed_all_at_once(root):
    reasons = damage(root)
    with pytest.raises(ValueError, match=r"^10 of the files in .* cannot be read\.") as caught:
        image_folder(root)
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("Mend or remove them, or leave them out with skip_unreadable=True:")
    assert [line.split(": ")[0].strip() for line in lines] == sorted(reasons)
    for line in lines:
        name, reason = line.strip().split(": ", 1)
        assert reason.startswith(reasons[name]), line


def test_unreadable_files_are_left_out_with_one_warning(root):
    before = every(image_folder(root, 16))
    reasons = damage(root)
    with pytest.warns(UserWarning, match=r"^10 of the files in .* are left out:") as caught:
        data = image_folder(root, 16, skip_unreadable=True)
    assert len(caught) == 1
    assert Path(caught[0].filename) == Path(__file__)
    assert all(name in str(caught[0].message) for name in reasons)
    assert data.skipped == tuple(sorted(reasons))
    assert every(data) == before


def test_pipe_is_not_waited_for(root):
    os.mkfifo(root / "cat" / "pipe.jpg")
    with pytest.raises(ValueError, match=r"cat/pipe\.jpg: not a regular file"):
        image_folder(root)


def test_class_that_loses_too_much_is_named(root):
    for number in range(4):
        (root / "dog" / f"{number}.png").write_bytes(b"")
    message = "must have at least 2 readable pictures to be split, got 1 in dog$"
    with (
        pytest.warns(UserWarning, match="4 of the files"),
        pytest.raises(ValueError, match=message),
    ):
        image_folder(root, skip_unreadable=True)


# The door


def refused(error, message, root, *arguments, **options):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        image_folder(root, *arguments, **options)


def test_wrong_root(tmp_path):
    refused(
        FileNotFoundError,
        f"root must be a folder, and there is none at {tmp_path}/x",
        tmp_path / "x",
    )
    (tmp_path / "file").write_text("")
    refused(FileNotFoundError, "root must be a folder", tmp_path / "file")
    for root in (None, 3, b"pets", ["pets"]):
        refused(TypeError, "root must be a path, got ", root)


def test_too_few_classes(tmp_path):
    message = f"{tmp_path} must hold a folder for each of at least 2 classes, got "
    refused(ValueError, message + "none", tmp_path)
    save(tmp_path / "1.png")
    refused(ValueError, message + "none", tmp_path)
    save(tmp_path / "cat" / "1.png")
    refused(ValueError, message + "only cat", tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "ant" / "deep").mkdir(parents=True)
    message = f"each class folder of {tmp_path} must hold pictures, got none in ant, dog"
    refused(ValueError, message, tmp_path)


def test_class_too_small_to_split(root):
    save(root / "ant" / "1.png")
    message = f"each class of {root} must have at least 2 readable pictures to be split, got 1 in "
    refused(ValueError, message + "ant", root)


def test_parts_with_other_classes(tmp_path):
    for name in ("train/cat", "train/dog", "val/dog", "val/eel", "val/fox"):
        save(tmp_path / name / "1.png")
    message = "train and val must have the same classes, got only in train: cat; only in val: eel,"
    refused(ValueError, message, tmp_path)


@pytest.mark.parametrize("size", [7, 0, -64, 64.0, "64", None, True, (64, 64)])
def test_wrong_size(root, size):
    error = refusals.for_whole(size)
    refused(error, f"size must be a whole number of at least 8, got {size!r}", root, size)


@pytest.mark.parametrize("fraction", [0, 1, 0.0, 1.0, -0.2, 20, float("nan"), "0.2", None, True])
def test_wrong_fraction(root, fraction):
    message = f"test_fraction must be a number of at least 0.01 and at most 0.99, got {fraction!r}"
    refused(refusals.for_number(fraction), message, root, test_fraction=fraction)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None, True])
def test_wrong_seed(root, seed):
    message = "seed must be a whole number from 0 to 4294967295"
    refused(refusals.for_whole(seed), message, root, seed=seed)

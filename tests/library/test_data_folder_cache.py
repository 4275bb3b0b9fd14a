"""Pictures on the disk: the same as in memory, decoded once, noticed when changed, never half."""

import json
import os
import re
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from resnet_lib.data import Batches, folder, image_folder, picture_cache, pictures
from resnet_lib.data.free_memory import free_memory


@pytest.fixture
def root(tmp_path):
    """Six pictures of one class and three of another."""
    place = tmp_path / "pets"
    for name, count in (("cat", 6), ("dog", 3)):
        (place / name).mkdir(parents=True)
        for number in range(count):
            save(place / name / f"{number}.png", 10 * count + number)
    return place


def save(path, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def damaged(root):
    (root / "cat" / "0.png").write_bytes(b"")
    (root / "dog" / "9.png").write_bytes(b"<html>")


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that are decoded."""
    names, real = [], pictures._tried

    def tried(source, *rest):
        names.append(source.name)
        return real(source, *rest)

    monkeypatch.setattr(pictures, "_tried", tried)
    return names


def same(one, other):
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for name in ("classes", "mean", "std", "skipped"):
        assert getattr(one, name) == getattr(other, name), name


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("is_damaged", [False, True])
def test_cache_holds_what_memory_would(root, tmp_path, decoded, is_damaged):
    options = {"seed": 3, "test_fraction": 0.4}
    if is_damaged:
        damaged(root)
        options["skip_unreadable"] = True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        expected = image_folder(root, 8, **options)
        count = len(decoded)
        first = image_folder(root, 8, cache=tmp_path / "cache", **options)
        assert len(decoded) == 2 * count
        second = image_folder(root, 8, cache=tmp_path / "cache", **options)
    assert len(decoded) == 2 * count, "decoded again"
    same(first, expected)
    same(second, expected)
    assert len(first.train_labels) + len(first.test_labels) == 9 - is_damaged
    assert names(tmp_path) == ["cache", "cache.json", "pets"]
    assert (tmp_path / "cache").stat().st_size == (9 - is_damaged) * 3 * 64
    assert len(caught) == 3 * is_damaged


def test_parts_are_mapped_in_their_order(root, tmp_path):
    for part in ("train", "val", "test"):
        shutil.copytree(root, tmp_path / "set" / part)
    shutil.rmtree(root)
    (tmp_path / "set").rename(root)
    expected = image_folder(root, 8)
    found = image_folder(root, 8, cache=tmp_path)
    same(found, expected)
    assert torch.equal(found.validation_images, expected.validation_images)
    assert torch.equal(found.validation_labels, expected.validation_labels)
    assert names(tmp_path) == ["pets", "pets-8.pictures", "pets-8.pictures.json"]


def test_mapped_pictures_serve_batches(root, tmp_path):
    found = image_folder(root, 8, cache=tmp_path)
    batches = Batches(found.train_images, found.train_labels, 3, shuffle=True)
    assert batches.images.data_ptr() == found.train_images.data_ptr()
    images = torch.cat([images for images, _ in batches])
    assert sorted(map(bytes, images.numpy())) == sorted(map(bytes, found.train_images.numpy()))


def test_changes_do_not_reach_the_file(root, tmp_path):
    for _ in range(2):
        data = image_folder(root, 8, cache=tmp_path)
        assert data.train_images.any()
        data.train_images.zero_()
    assert image_folder(root, 8, cache=tmp_path).train_images.any()


def newer(root):
    path = root / "cat" / "1.png"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def longer(root):
    path, times = root / "cat" / "1.png", (root / "cat" / "1.png").stat()
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


CHANGES = {
    "newer": newer,
    "longer": longer,
    "added": lambda root: save(root / "cat" / "7.png", 99),
    "removed": lambda root: (root / "cat" / "1.png").unlink(),
    "renamed": lambda root: (root / "cat" / "1.png").rename(root / "cat" / "11.png"),
    "moved": lambda root: (root / "cat" / "1.png").rename(root / "dog" / "11.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_folder_is_decoded_anew(root, tmp_path, decoded, change):
    image_folder(root, 8, cache=tmp_path / "cache")
    CHANGES[change](root)
    decoded.clear()
    found = image_folder(root, 8, cache=tmp_path / "cache")
    assert len(decoded) == len(found.train_labels) + len(found.test_labels)
    same(found, image_folder(root, 8))


@pytest.mark.parametrize("options", [{"seed": 1}, {"test_fraction": 0.5}, {"size": 9}])
def test_other_settings_are_another_cache(root, tmp_path, decoded, options):
    image_folder(root, 8, cache=tmp_path / "cache")
    decoded.clear()
    settings = {"size": 8} | options
    same(image_folder(root, cache=tmp_path / "cache", **settings), image_folder(root, **settings))
    assert len(decoded) == 18


def test_moved_folder_and_cache_are_found_again(root, tmp_path, decoded):
    image_folder(root, 8, cache=tmp_path / "cache")
    (tmp_path / "store").mkdir()
    root.rename(tmp_path / "store" / "pets")
    for name in ("cache", "cache.json"):
        (tmp_path / name).rename(tmp_path / "store" / name)
    decoded.clear()
    image_folder(tmp_path / "store" / "pets", 8, cache=tmp_path / "store" / "cache")
    assert decoded == []


@pytest.mark.parametrize("damage", ["shorter", "longer", "touched", "no json", "half json"])
def test_damaged_cache_is_made_anew(root, tmp_path, decoded, damage):
    cache, about = tmp_path / "cache", tmp_path / "cache.json"
    image_folder(root, 8, cache=cache)
    expected = image_folder(root, 8)
    decoded.clear()
    if damage == "shorter":
        cache.write_bytes(cache.read_bytes()[:-1])
    elif damage == "longer":
        cache.write_bytes(cache.read_bytes() + b"x")
    elif damage == "touched":
        os.utime(cache, ns=(0, 0))
    else:
        # The bytes alone may be another's file, so they are not written over.
        about.write_text(about.read_text()[:20]) if damage == "half json" else about.unlink()
        with pytest.raises(ValueError, match="is another file: it is not written over"):
            image_folder(root, 8, cache=cache)
        cache.unlink()
    same(image_folder(root, 8, cache=cache), expected)
    assert len(decoded) == 9


@pytest.mark.parametrize(
    ("module", "name"), [(folder, "read_pictures"), (folder, "channel_statistics")]
)
def test_failure_on_the_way_leaves_the_older_cache(root, tmp_path, monkeypatch, module, name):
    image_folder(root, 8, cache=tmp_path / "cache")
    before = (tmp_path / "cache").read_bytes()
    newer(root)
    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        image_folder(root, 8, cache=tmp_path / "cache")
    assert names(tmp_path) == ["cache", "cache.json", "pets"]
    assert (tmp_path / "cache").read_bytes() == before


def test_new_bytes_are_not_taken_for_the_old(root, tmp_path, monkeypatch):
    """After a kill between the bytes and the words that say what they were made from."""
    image_folder(root, 8, cache=tmp_path / "cache")
    old, changed = (root / "cat" / "1.png"), tmp_path / "1.png"
    old.rename(changed)
    save(old, 77)
    with monkeypatch.context() as patch:
        patch.setattr(picture_cache, "write_whole", interrupted)
        with pytest.raises(KeyboardInterrupt):
            image_folder(root, 8, cache=tmp_path / "cache")
    changed.rename(old)
    same(image_folder(root, 8, cache=tmp_path / "cache"), image_folder(root, 8))


def interrupted(*_):
    raise KeyboardInterrupt


def test_unreadable_files_are_not_forgotten(root, tmp_path, decoded):
    damaged(root)
    with pytest.raises(ValueError, match="2 of the files"):
        image_folder(root, 8, cache=tmp_path / "cache")
    assert names(tmp_path) == ["pets"]
    with pytest.warns(UserWarning, match="2 of the files"):
        image_folder(root, 8, cache=tmp_path / "cache", skip_unreadable=True)
    decoded.clear()
    with pytest.raises(ValueError, match=r"2 of the files(.|\n)*cat/0.png: empty file") as caught:
        image_folder(root, 8, cache=tmp_path / "cache")
    assert caught.value.remedy == {"skip_unreadable": True}
    assert decoded == []


def test_json_says_what_the_bytes_are(root, tmp_path):
    image_folder(root, 8, cache=tmp_path / "cache")
    stored = json.loads((tmp_path / "cache.json").read_text())
    assert stored["shape"] == [9, 3, 8, 8]
    assert stored["made_from"]["size"] == 8
    states = {name: [size, time] for name, size, time in stored["made_from"]["files"]}
    found = (root / "cat" / "1.png").stat()
    assert states["cat/1.png"] == [found.st_size, found.st_mtime_ns]


# What is refused


def test_pictures_that_do_not_fit_into_memory(root, monkeypatch, tmp_path):
    monkeypatch.setattr(picture_cache, "free_memory", lambda: 9 * 192 - 1)
    message = "9 pictures of 8 × 8 must fit into memory: they take 1,728 bytes, and 1,727 are free."
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        image_folder(root, 8)
    assert "Name a file for them with cache, or choose a smaller size" in str(caught.value)
    assert len(image_folder(root, 8, cache=tmp_path).train_labels) == 7
    for enough in (9 * 192, None):
        monkeypatch.setattr(picture_cache, "free_memory", lambda count=enough: count)
        image_folder(root, 8)


def test_memory_that_is_free_is_found():
    found = free_memory()
    assert found is None or 2**20 < found < 2**50


def test_disk_without_room(root, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1727)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    message = f"room for 9 pictures of 8 × 8, 1,728 bytes; {tmp_path} has 1,727"
    with pytest.raises(ValueError, match=re.escape(message)):
        image_folder(root, 8, cache=tmp_path / "cache")
    assert names(tmp_path) == ["pets"]


def test_wrong_cache(root, tmp_path):
    for cache, message in (
        (root / "cache", "cache must lie outside of the pictures' folder"),
        (root / "cat", "cache must lie outside of the pictures' folder"),
        (tmp_path / "no" / "cache", "cache must name a file in a folder that is there"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            image_folder(root, 8, cache=cache)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis.txt is another file: it is not written over"):
        image_folder(root, 8, cache=tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    for cache in (True, 3, b"cache"):
        with pytest.raises(TypeError, match=r"^cache must be a path or None, got "):
            image_folder(root, 8, cache=cache)

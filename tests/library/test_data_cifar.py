"""CIFAR-10: whole and checked, or an error that says what is wrong and what to do."""

import hashlib
import io
import pickle
import re
import socket
import tarfile
import urllib.request
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from resnet_lib.data import Normalize, cifar, cifar10

FOLDER = "cifar-10-batches-py"
TRAIN = [f"data_batch_{i}" for i in range(1, 6)]
FILES = [*TRAIN, "test_batch", "batches.meta"]
every_file = pytest.mark.parametrize("name", FILES)


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings; CIFAR's files are of that time."""

    def save_string(self, content):
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)

    dispatch: ClassVar = pickle._Pickler.dispatch | {bytes: save_string}


def python2_pickle(content):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(content)
    return file.getvalue()


def fake_batch(number, n=4):
    rng = np.random.default_rng(number)
    return {
        b"batch_label": b"batch",
        b"labels": rng.integers(0, 3, n).tolist(),
        b"data": rng.integers(0, 256, (n, 3072), dtype=np.uint8),
        b"filenames": [b"one.png"] * n,
    }


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def cut_off(*_):
        raise AssertionError("a test asked the network")

    monkeypatch.setattr(socket.socket, "connect", cut_off)


@pytest.fixture(autouse=True)
def contents(monkeypatch):
    """A set of 20 + 4 images in CIFAR's format; torchvision's sums are those of its files."""
    found = {name: fake_batch(number) for number, name in enumerate(FILES[:-1])}
    found["batches.meta"] = {b"num_cases_per_batch": 4, b"label_names": [b"cat", b"dog", b"ship"]}
    found = {name: python2_pickle(content) for name, content in found.items()}
    sums = {name: hashlib.md5(content).hexdigest() for name, content in found.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in TRAIN])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    return found


@pytest.fixture
def root(contents, tmp_path, monkeypatch):
    monkeypatch.delenv("RESNET_LIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    place = tmp_path / "set"
    (place / FOLDER).mkdir(parents=True)
    for name, content in contents.items():
        (place / FOLDER / name).write_bytes(content)
    return place


@pytest.fixture
def no_network(monkeypatch):
    def urlopen(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


@pytest.fixture
def archive(contents, tmp_path, monkeypatch):
    """The packed set, which stands on the server."""
    path = tmp_path / "server" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

    class Response(io.BytesIO):
        url, length = CIFAR10.url, path.stat().st_size

    def urlopen(request, *_, **__):
        assert request.full_url == CIFAR10.url
        return Response(path.read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def snapshot(folder):
    return {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in folder.rglob("*")}


def is_whole(data, contents):
    """Whether the fake set came in as it is."""
    train = [pickle.loads(contents[name], encoding="bytes") for name in TRAIN]
    test = pickle.loads(contents["test_batch"], encoding="bytes")
    images = np.concatenate([batch[b"data"] for batch in train]).reshape(20, 3, 32, 32)
    labels = [label for batch in train for label in batch[b"labels"]]
    return (
        np.array_equal(data.train_images, images)
        and data.train_labels.tolist() == labels
        and np.array_equal(data.test_images, test[b"data"].reshape(4, 3, 32, 32))
        and data.test_labels.tolist() == test[b"labels"]
        and data.classes == ("cat", "dog", "ship")
        and data.skipped == ()
    )


# What is there


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("inner", ["", FOLDER])
def test_set_is_read_whole_and_nothing_is_written(root, contents, kind, inner, monkeypatch):
    before = snapshot(root)
    monkeypatch.setattr(cifar.tempfile, "TemporaryDirectory", None)
    data = cifar10(kind(root / inner))
    assert is_whole(data, contents)
    assert data.train_images.dtype == data.test_images.dtype == torch.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert snapshot(root) == before


def test_set_agrees_with_torchvision(root):
    data = cifar10(root)
    train, test = CIFAR10(root), CIFAR10(root, train=False)
    assert np.array_equal(data.train_images.permute(0, 2, 3, 1), train.data)
    assert np.array_equal(data.test_images.permute(0, 2, 3, 1), test.data)
    assert data.train_labels.tolist() == train.targets
    assert data.test_labels.tolist() == test.targets
    assert list(data.classes) == train.classes


def test_statistics_are_those_of_the_training_images(root):
    data = cifar10(root)
    pixels = data.train_images.numpy() / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(data.std, pixels.std((0, 2, 3)), rtol=1e-12)
    normalised = Normalize(data.mean, data.std)(data.train_images)
    np.testing.assert_allclose(normalised.mean((0, 2, 3)), 0, atol=1e-6)


def test_folder_is_found_by_the_environment(root, contents, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"nowhere/resnet_lib/cifar-10-batches-py"):
        cifar10(download=False)
    monkeypatch.setenv("RESNET_LIB_DATA", str(root))
    assert is_whole(cifar10(download=False), contents)
    monkeypatch.setenv("RESNET_LIB_DATA", str(root / FOLDER))
    assert is_whole(cifar10(download=False), contents)
    with pytest.raises(FileNotFoundError):
        cifar10(tmp_path / "elsewhere", download=False)
    monkeypatch.setenv("RESNET_LIB_DATA", "")
    root.rename(tmp_path / "resnet_lib")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert is_whole(cifar10(download=False), contents)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache").mkdir()
    (tmp_path / "resnet_lib").rename(tmp_path / ".cache" / "resnet_lib")
    assert is_whole(cifar10(download=False), contents)


# What is not


@every_file
def test_missing_file_is_named_with_the_remedy(root, name):
    (root / FOLDER / name).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        cifar10(root, download=False)
    message = str(caught.value)
    assert message.startswith(f"CIFAR-10 is not complete in {root / FOLDER}: {name} missing. ")
    assert "Fetch https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz where" in message
    assert f"into {root}; or name the folder that has {FOLDER} as root or in RESNET_L" in message


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


damages = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "one bit": lambda content: content[:-20] + bytes([content[-20] ^ 1]) + content[-19:],
}


@every_file
@pytest.mark.parametrize("damage", [*damages, "bomb"])
def test_damaged_file_is_named_and_nothing_is_opened(root, name, damage, tmp_path, monkeypatch):
    path, marker = root / FOLDER / name, tmp_path / "marker"
    content = path.read_bytes()
    bomb = pickle.dumps(Bomb(marker))
    path.write_bytes(bomb if damage == "bomb" else damages[damage](content))
    opened = []
    monkeypatch.setattr(cifar.pickle, "loads", lambda *_, **__: opened.append(1))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is truncated or alt") as caught:
        cifar10(root)
    assert hashlib.md5(content).hexdigest() in str(caught.value)
    assert hashlib.md5(path.read_bytes()).hexdigest() in str(caught.value)
    assert "Delete it and call cifar10() again" in str(caught.value)
    assert not opened
    assert not marker.exists()


def test_bomb_would_go_off(tmp_path):
    """The test above means something only if it would."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_swapped_files_are_noticed(root):
    one, two = root / FOLDER / "data_batch_1", root / FOLDER / "data_batch_2"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second), two.write_bytes(first)
    with pytest.raises(ValueError, match=r"data_batch_1 is truncated or altered"):
        cifar10(root)


@pytest.mark.parametrize("root", [3, b"folder", ["folder"], True], ids=repr)
def test_wrong_root(root):
    with pytest.raises(TypeError, match=r"^root must be a path or None, got "):
        cifar10(root)


# What can be fetched


@pytest.mark.parametrize("missing", [["data_batch_2"], ["batches.meta"], FILES])
def test_missing_files_are_fetched(root, archive, contents, missing):
    for name in missing:
        (root / FOLDER / name).unlink()
    before = snapshot(root)
    assert is_whole(cifar10(root), contents)
    after = snapshot(root)
    kept = {path for path in before if path.is_file()}
    assert {path: before[path] for path in kept} == {path: after[path] for path in kept}
    assert {path.relative_to(root).as_posix() for path in after} == {
        FOLDER,
        *(f"{FOLDER}/{name}" for name in FILES),
    }


@pytest.mark.parametrize("inner", ["", FOLDER])
def test_everything_is_fetched_into_a_new_folder(archive, contents, tmp_path, inner):
    place = tmp_path / "a" / "b"
    assert is_whole(cifar10(place / inner), contents)
    assert sorted(path.name for path in place.iterdir()) == [FOLDER]
    assert is_whole(cifar10(place, download=False), contents)


def test_archive_that_lies_there_is_used(archive, contents, no_network, tmp_path):
    place = tmp_path / "set"
    place.mkdir()
    archive.rename(place / archive.name)
    assert is_whole(cifar10(place), contents)
    assert (place / archive.name).exists()


@pytest.mark.parametrize("broken", [False, True])
def test_no_network_says_what_to_fetch_and_where_to_put_it(no_network, tmp_path, broken):
    place = tmp_path / "set"
    place.mkdir()
    if broken:
        (place / CIFAR10.filename).write_bytes(b"half an archive")
    with pytest.raises(OSError, match="could not be fetched") as caught:
        cifar10(place)
    message = str(caught.value)
    assert message.startswith(f"CIFAR-10 is not complete in {place / FOLDER}: data_batch_1, ")
    assert "(no route to host)" in message
    assert f"Fetch {CIFAR10.url} where there is a network and put it, packed or" in message
    assert f"into {place}; or name" in message
    assert [path.name for path in place.iterdir()] == [CIFAR10.filename] * broken


def test_broken_download_leaves_nothing_behind(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.raises(OSError, match=r"could not be fetched \(File not found or corrupted"):
        cifar10(tmp_path / "set")
    assert list((tmp_path / "set").iterdir()) == []


def test_folder_that_cannot_be_written(archive, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="could not be fetched"):
        cifar10(tmp_path / "file" / "set")

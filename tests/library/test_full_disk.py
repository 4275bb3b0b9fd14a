"""Writing where it cannot be done: a full disk, a folder that may not be written, a kill.

A full disk is a limit on the size of a file, which the system reports as it reports a full disk.
"""

import os
import signal
import stat
from contextlib import contextmanager

import pytest
import torch
from toy_training import CPU, cnn

from resnet_lib import data, files, serving, weights
from resnet_lib.train import Checkpoints, TrainConfig, TrainState

resource = pytest.importorskip("resource")
CARD = weights.model_card("resnet8", "digits")
NET = weights.resnet8("digits")


@contextmanager
def room_for(size: int):
    """No file may become larger than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def contents(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_file(folder):
    files.write_whole(folder / "file", b"x" * 100_000)


def write_weights(folder):
    weights.save_weights(folder / "net.safetensors", NET, net="resnet8")


def write_checkpoint(folder):
    state = TrainState(cnn(), TrainConfig(), CPU).as_tree()
    Checkpoints(folder).save(7, state | {"more": torch.zeros(50_000)})


def publish(folder):
    network = folder.parent / "network.onnx"
    network.write_bytes(b"x" * 100_000)
    serving.publish(folder, "pets", network, CARD)


def decode(folder):
    root = folder.parent / "pictures"
    for number in range(6):
        shown = data.read_picture(picture(number), 40)
        place = root / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        save(shown, place / f"{number}.png")
    data.image_folder(root, 64, cache=folder / "kept.pictures")


def picture(number):
    from PIL import Image

    return Image.new("RGB", (40, 40), (number, 99, 7))


def save(shown, path):
    from PIL import Image

    noise = torch.randint(0, 50, shown.shape, dtype=torch.uint8)
    Image.fromarray((shown + noise).permute(1, 2, 0).numpy()).save(path)


WRITERS = [write_file, write_weights, write_checkpoint, publish]


@pytest.mark.parametrize("write", WRITERS)
def test_full_disk_is_said_and_nothing_is_half_written(write, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    write(folder)
    before = contents(folder)
    with room_for(50_000), pytest.raises(OSError, match="File too large"):
        write(folder)
    assert contents(folder) == before
    write(folder)  # and it goes on once there is room


def test_full_disk_leaves_no_cache(tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    with room_for(30_000), pytest.raises(OSError, match="File too large"):
        decode(folder)
    assert not contents(folder)
    decode(folder)
    assert set(contents(folder)) == {"kept.pictures", "kept.pictures.json"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("write", WRITERS)
def test_folder_that_may_not_be_written_is_said(write, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    write(folder)
    before = contents(folder)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(PermissionError, match="there"):
            write(folder)
    finally:
        folder.chmod(stat.S_IRWXU)
    assert contents(folder) == before


@pytest.mark.parametrize("write", [write_file, write_weights])
def test_folder_in_the_place_of_the_file_is_said(write, tmp_path):
    for name in ("file", "net.safetensors"):
        (tmp_path / name).mkdir()
    with pytest.raises(OSError, match="directory"):
        write(tmp_path)
    assert not contents(tmp_path)


@pytest.mark.parametrize("write", [write_file, write_weights, write_checkpoint])
def test_file_in_the_place_of_the_folder_is_said(write, tmp_path):
    (tmp_path / "there").write_bytes(b"mine")
    with pytest.raises(OSError, match="there"):
        write(tmp_path / "there")
    assert contents(tmp_path) == {"there": b"mine"}


@pytest.mark.parametrize("place", ["before", "after"])
def test_writing_that_is_interrupted_leaves_the_old_file(place, tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_whole(path, b"old")
    sync = os.fsync

    def interrupted(number):
        if place == "after":
            sync(number)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, b"new")
    assert contents(tmp_path) == {"file": b"old"}

"""Damaged checkpoints: recognised, named, and the one before is used."""

import random
import warnings

import pytest
import torch
from toy_training import CPU, cnn, rows, trained

from resnet_lib.train import CheckpointError, Checkpoints, TrainConfig, TrainState


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints as `fit` writes them."""
    checkpoints = Checkpoints(tmp_path)
    state = TrainState(cnn(), TrainConfig(ema_decay=0.9), CPU)
    for step in (10, 20):
        checkpoints.save(step, state.as_tree() | {"step": step})
    return tmp_path


def files(folder, step=20):
    return [folder / f"step-{step:08d}.{kind}" for kind in ("json", "safetensors")]


def loaded(folder):
    """The step of the checkpoint that is used, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        state = Checkpoints(folder).load()
    return state["step"], [str(one.message) for one in caught]


def assert_recognised(folder, path, what):
    step, said = loaded(folder)
    assert step == 10, f"{path.name}: {what} was not noticed"
    assert len(said) == 1
    assert f"{files(folder)[0]} cannot be used: " in said[0]
    assert said[0].endswith(f" Going on from {files(folder, 10)[0]}.")


def test_whole_one_is_used_without_a_word(folder):
    assert loaded(folder) == (20, [])


@pytest.mark.parametrize("kind", [0, 1], ids=["json", "safetensors"])
def test_file_cut_short_anywhere_is_recognised(folder, kind):
    path = files(folder)[kind]
    content = path.read_bytes()
    size = len(content)
    places = {0, 1, 7, 8, 9, size // 2, size - 2, size - 1}
    places |= set(random.Random(0).sample(range(size), 50))
    for length in sorted(places):
        path.write_bytes(content[:length])
        assert_recognised(folder, path, f"cut to {length} of {size} bytes")
    path.write_bytes(content)
    assert loaded(folder) == (20, [])


@pytest.mark.parametrize("kind", [0, 1], ids=["json", "safetensors"])
def test_single_wrong_bit_is_recognised(folder, kind):
    path = files(folder)[kind]
    content = path.read_bytes()
    places = {0, 1, len(content) - 1} | set(random.Random(1).sample(range(len(content)), 50))
    for place in sorted(places):
        for bit in range(8) if place < 2 else random.Random(place).sample(range(8), 2):
            wrong = bytearray(content)
            wrong[place] ^= 1 << bit
            path.write_bytes(wrong)
            assert_recognised(folder, path, f"bit {bit} of byte {place}")


@pytest.mark.parametrize("kind", [0, 1], ids=["json", "safetensors"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content + b"\0",
        lambda content: content + content,
        lambda content: bytes(len(content)),
        lambda content: content[:100] + bytes(len(content) - 100),
        lambda content: b"[]",
        lambda content: b"null",
        lambda content: b'{"sha256": 1}',
        lambda content: b"[" * 100_000,
        lambda content: b"9" * 5000,
        lambda content: b"\xff\xfe",
    ],
)
def test_other_damage_is_recognised(folder, kind, damage):
    path = files(folder)[kind]
    path.write_bytes(damage(path.read_bytes()))
    assert_recognised(folder, path, "other content")


@pytest.mark.parametrize("kind", [0, 1], ids=["json", "safetensors"])
def test_files_of_two_checkpoints_are_not_mixed(folder, kind):
    state = TrainState(cnn(seed=1), TrainConfig(ema_decay=0.9), CPU)
    Checkpoints(folder / "other").save(20, state.as_tree() | {"step": 20})
    path = files(folder)[kind]
    path.write_bytes(files(folder / "other")[kind].read_bytes())
    assert_recognised(folder, path, "file of another checkpoint")


def test_checkpoint_under_another_number_is_not_believed(folder):
    """Renamed by hand, 10 would pass for the newest and 20 would be forgotten."""
    for old, new in zip(files(folder, 10), files(folder, 30), strict=True):
        new.write_bytes(old.read_bytes())
    step, said = loaded(folder)
    assert step == 20
    assert "step-00000030.json cannot be used: it is the checkpoint of step 10" in said[0]


@pytest.mark.parametrize("kind", [0, 1], ids=["json", "safetensors"])
def test_missing_file(folder, kind):
    files(folder)[kind].unlink()
    step, said = loaded(folder)
    assert step == 10
    assert len(said) == kind  # without its JSON there is no checkpoint, as after a kill


def test_folder_in_a_files_place(folder):
    for path in files(folder):
        path.unlink()
        path.mkdir()
    step, said = loaded(folder)
    assert step == 10
    assert "step-00000020.json cannot be used" in said[0]


def test_all_damaged_is_an_error(folder):
    for step in (10, 20):
        files(folder, step)[1].write_bytes(b"")
    with pytest.raises(CheckpointError) as error:
        Checkpoints(folder).load()
    for step in (10, 20):
        assert f"{files(folder, step)[0]} cannot be used" in str(error.value)


@pytest.mark.parametrize("kind", [0, 1], ids=["json", "safetensors"])
def test_run_goes_on_from_the_checkpoint_before(tmp_path, kind):
    """And writes the damaged one anew: afterwards all is whole."""
    config = TrainConfig(epochs=3)
    whole, history = trained(config)
    checkpoints = Checkpoints(tmp_path, every=2)
    with pytest.raises(ZeroDivisionError):
        trained(config, checkpoints=checkpoints, on_epoch=lambda row: 1 / (2 - row["epoch"]))
    newest = checkpoints.paths()[0].with_suffix([".json", ".safetensors"][kind])
    newest.write_bytes(newest.read_bytes()[:-5])
    with pytest.warns(UserWarning, match=f"{newest.stem}.*cannot be used"):
        resumed, again = trained(config, cnn(seed=9), checkpoints=checkpoints)
    assert rows(again) == rows(history)
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoints.load()["counters"] == [3, 0, 9]

"""Checkpoints: what goes in comes out, the newest are kept, nothing of others is touched."""

import json
import math
import os

import pytest
import refusals
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_lib.train import CheckpointError, Checkpoints

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.half, torch.int64, torch.uint8]
DTYPES += [torch.bool]


def same(a, b):
    """Equal to the bit and of the same type; NaN equals NaN, tuples equal lists."""
    if isinstance(a, torch.Tensor):
        kind = (a.dtype, a.shape) == (b.dtype, b.shape)
        return kind and a.contiguous().view(-1).view(torch.uint8).equal(
            b.view(-1).view(torch.uint8)
        )
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=True)
        return type(b) is dict and len(a) == len(b) and all(
            type(k) is type(m) and k == m and same(v, w) for (k, v), (m, w) in pairs
        )  # fmt: skip
    if isinstance(a, list | tuple):
        return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b)) and repr(a) == repr(b)


def passed(folder, state):
    checkpoints = Checkpoints(folder)
    checkpoints.save(3, state)
    return checkpoints.load()


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    dtype = draw(st.sampled_from(DTYPES))
    values = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    return values.transpose(0, -1) if values.dim() > 1 and draw(st.booleans()) else values


keys = st.text(max_size=3) | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)
# Names of places are made of keys and points, so these are the ones that may be confused.
confusing = st.text("a.01'", max_size=3) | st.integers(0, 1)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | tensors()
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(confusing, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(state=st.dictionaries(confusing | keys, trees, max_size=4))
@settings(deadline=None, max_examples=50)
def test_any_tree_comes_back(tmp_path_factory, state):
    assert same(state, passed(tmp_path_factory.mktemp("run"), state))


def test_places_of_the_same_name_are_kept_apart(tmp_path):
    one, two, three, four = (torch.tensor([float(i)]) for i in range(4))
    state = {"a.b": one, "a": {"b": two, "0": three, 0: four}, "a.b'": one + 10}
    assert same(state, passed(tmp_path, state))


def test_dictionary_may_look_like_the_way_it_is_kept(tmp_path):
    state = {"tensor": "state.t", "pairs": [["a", 1]], "t": {"tensor": torch.ones(1)}}
    assert same(state, passed(tmp_path, state))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_every_kind_come_back(tmp_path, dtype):
    base = torch.arange(48).view(2, 3, 2, 4).to(dtype)
    state = {
        "plain": base,
        "channels last": base.to(memory_format=torch.channels_last),
        "turned": base.permute(3, 1, 0, 2),
        "every other": base[:, ::2],
        "spread": base[:1, :1].expand(2, 3, 2, 4),
        "part": base.view(-1)[5:9],
        "number": base.view(-1)[7],
        "empty": base[:0],
        "shared": [base, base],
    }
    found = passed(tmp_path, state)
    assert same(state, found)
    assert all(t.is_contiguous() for t in found.values() if isinstance(t, torch.Tensor))


def test_special_numbers_come_back(tmp_path):
    tiny = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45])
    state = {"nan": math.nan, "inf": [math.inf, -math.inf], "-0": -0.0, "large": 2**80, "t": tiny}
    state |= {"third": 1 / 3, "smallest": 5e-324}
    assert same(state, passed(tmp_path, state))


def test_parameters_come_back_as_tensors(tmp_path):
    weight = torch.nn.Parameter(torch.rand(3))
    (weight * 2).sum().backward()
    found = passed(tmp_path, {"w": weight})["w"]
    assert type(found) is torch.Tensor
    assert not found.requires_grad
    assert found.equal(weight.detach())


def test_what_is_saved_does_not_change_later(tmp_path):
    weight = torch.zeros(3)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"w": weight})
    weight += 1
    assert checkpoints.load()["w"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"a": {"b": [1, {2}]}}, "state.a.b.1 must be made of .*, got set"),
        ({"f": print}, "state.f must be made of .*, got builtin_function_or_method"),
        ({"b": b"x"}, "state.b must be made of .*, got bytes"),
        ({"c": 1j}, "state.c must be made of .*, got complex"),
        ({"d": {(1, 2): 3}}, r"keys of state.d must be strings or numbers, got \(1, 2\)"),
        ({b"e": 1}, "keys of state must be strings or numbers, got b'e'"),
    ],
)
def test_what_cannot_be_kept_is_named_and_nothing_is_written(tmp_path, state, words):
    with pytest.raises(TypeError, match=words):
        Checkpoints(tmp_path / "run").save(1, state)
    assert not (tmp_path / "run").exists()


# Which ones are kept


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


def pair(step):
    return [f"step-{step:08d}.json", f"step-{step:08d}.safetensors"]


@pytest.mark.parametrize("keep", [2, 3, 5])
def test_the_newest_are_kept(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path, keep=keep)
    for step in range(0, 60, 10):
        path = checkpoints.save(step, {"step": step, "t": torch.tensor(step)})
        assert path == tmp_path / pair(step)[0]
        assert checkpoints.load() == {"step": step, "t": step}
    last = range(60 - 10 * keep, 60, 10)
    assert kept(tmp_path) == sorted(name for step in last for name in pair(step))
    assert [path.name for path in checkpoints.paths()] == [pair(step)[0] for step in last][::-1]


def test_order_is_that_of_numbers_not_of_names(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (99_999_998, 99_999_999, 100_000_000, 100_000_001):
        checkpoints.save(step, {"step": step})
    assert checkpoints.load() == {"step": 100_000_001}
    steps = [100_000_001, 100_000_000, 99_999_999]
    assert [path.stem for path in checkpoints.paths()] == [f"step-{step}" for step in steps]


def test_same_step_again_takes_the_place_of_the_first(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for value in (1, 2):
        checkpoints.save(7, {"value": value, "t": torch.full((value,), value)})
    assert kept(tmp_path) == pair(7)
    assert same(checkpoints.load(), {"value": 2, "t": torch.tensor([2, 2])})


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path):
    foreign = ["notes.txt", "step-notes.txt", "step-1.json.bak", "step-00000001", "model.json"]
    for name in foreign:
        (tmp_path / name).write_text("mine")
    (tmp_path / "step-5.json.d").mkdir()
    for step in (1, 2, 3):
        for name in pair(step):
            (tmp_path / (name + ".new")).write_bytes(b"half of it")
    (tmp_path / pair(2)[1]).write_bytes(b"tensors without their JSON")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load() is None
    for step in (3, 4, 5):
        checkpoints.save(step, {})
    assert kept(tmp_path) == sorted([*foreign, "step-5.json.d", *pair(4), *pair(5)])


def test_no_checkpoint_is_no_error(tmp_path):
    assert Checkpoints(tmp_path).load() is None
    assert Checkpoints(tmp_path / "not" / "there").load() is None
    assert Checkpoints(tmp_path / "not" / "there").paths() == []
    assert not (tmp_path / "not").exists()


def test_folder_is_made_with_its_parents(tmp_path):
    Checkpoints(str(tmp_path / "a" / "b")).save(1, {})
    assert kept(tmp_path / "a" / "b") == pair(1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "every must be a whole number of at least 1, got 0"),
        ({"every": -3}, "every must be .*, got -3"),
        ({"every": 2.0}, r"every must be .*, got 2\.0"),
        ({"every": True}, "every must be .*, got True"),
        ({"keep": 1}, "keep must be a whole number of at least 2, got 1"),
        ({"keep": None}, "keep must be .*, got None"),
        ({"keep": 2.5}, r"keep must be .*, got 2\.5"),
    ],
)
def test_wrong_settings_are_named(options, words):
    (value,) = options.values()
    with pytest.raises(refusals.for_whole(value), match=words):
        Checkpoints("folder", **options)


@pytest.mark.parametrize("step", [-1, 1.0, None, True, "1"])
def test_wrong_step_is_named(tmp_path, step):
    message = f"step must be a whole number of at least 0, got {step!r}"
    with pytest.raises(refusals.for_whole(step), match=message):
        Checkpoints(tmp_path / "run").save(step, {})
    assert not (tmp_path / "run").exists()


def test_json_can_be_read_without_the_library(tmp_path):
    path = Checkpoints(tmp_path).save(3, {"model": {"w": torch.ones(2)}, "loss": [0.5, None]})
    content = json.loads(path.read_text(encoding="utf-8"))
    assert list(content) == ["sha256", "step", "state", "tensors"]
    assert content["step"] == 3
    model, loss = content["state"]["pairs"]
    assert model == ["model", {"pairs": [["w", {"tensor": "state.model.w"}]]}]
    assert loss == ["loss", [0.5, None]]


# When the disk is full, or nobody may write there


def fails_at(monkeypatch, name, number):
    """Let the n-th call of a function of `os` fail as on a full disk."""
    real, calls = getattr(os, name), []

    def failing(*arguments, **options):
        calls.append(name)
        if len(calls) == number:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, failing)
    return calls


@pytest.mark.parametrize("again", [False, True], ids=["new step", "same step again"])
@pytest.mark.parametrize(("name", "number"), [("fsync", 1), ("fsync", 2), ("replace", 1)])
def test_full_disk_leaves_earlier_checkpoints_alone(tmp_path, monkeypatch, name, number, again):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.save(step, {"step": step, "t": torch.tensor(step)})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    calls = fails_at(monkeypatch, name, number)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(3 if again else 4, {"step": 4, "t": torch.tensor(4)})
    assert len(calls) == number
    monkeypatch.undo()
    if name == "fsync" or not again:  # nothing had been renamed
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert checkpoints.load()["step"] == (2 if name == "replace" and again else 3)
    checkpoints.save(4, {"step": 4})
    assert checkpoints.load() == {"step": 4}


def test_full_disk_between_the_two_renames(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"step": 1})
    fails_at(monkeypatch, "replace", 2)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(2, {"step": 2})
    assert checkpoints.load() == {"step": 1}
    assert kept(tmp_path) == [*pair(1), pair(2)[1]]


def test_file_in_the_folders_place(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FileExistsError, match="run"):
        Checkpoints(tmp_path / "run").save(1, {})
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a user to become")
def test_folder_that_may_not_be_written_to(tmp_path):
    """Root may write everywhere, so a child process becomes nobody."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"step": 1})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    folder = os.open(tmp_path, os.O_RDONLY)  # a nobody may not go there by name
    os.fchmod(folder, 0o555)
    child = os.fork()
    if not child:
        try:
            os.fchdir(folder)
            if os.getuid() == 0:
                os.setuid(65534)
            Checkpoints(".").save(2, {"step": 2})
        except PermissionError:
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    os.fchmod(folder, 0o755)
    os.close(folder)
    assert os.waitstatus_to_exitcode(status) == 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert checkpoints.load() == {"step": 1}


def test_only_damaged_checkpoints_are_an_error_with_a_remedy(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {"t": torch.ones(2)})
    (tmp_path / pair(1)[0]).write_text("{}")
    (tmp_path / pair(2)[1]).unlink()
    with pytest.raises(CheckpointError) as error:
        checkpoints.load()
    for word in (pair(2)[0], pair(2)[1], pair(1)[0], "checksum", f"remove the folder {tmp_path}"):
        assert word in str(error.value)

"""Records: their form, and that none is lost, half-written or mixed with another run's."""

import copy
import json
import os
import re
import subprocess

import jsonschema
import pytest
from bench import record
from notebooks import ROOT

SCHEMA_FILE = ROOT / "experiments" / "bench" / "record.schema.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SPREAD = ["smallest", "lower_quartile", "median", "upper_quartile", "largest"]
CONFIGURATION = {"device": "cpu", "threads": 1, "batches": [1, 8]}


def sample():
    """A record as a run would write it."""
    return {
        "experiment": "bench_parity",
        "command": "python experiments/bench_parity.py --device cpu --threads 1 --batches 1 8",
        "configuration": CONFIGURATION,
        "seed": 0,
        "commit": {"hash": "07af94c" + 33 * "0", "dirty": False},
        "hardware": {
            "cpu": "Intel(R) Xeon(R) CPU @ 2.20GHz",
            "cores": 2,
            "threads": 1,
            "ram_gib": 23.5,
            "gpu": "NVIDIA H200",
        },
        "versions": {
            "python": "3.12.1",
            "torch": "2.15.0+cpu",
            "torchvision": "0.29.2",
            "numpy": "2.4.6",
        },
        "date": "2026-01-31",
        "wall_seconds": 12.5,
        "results": [
            {
                "network": "resnet18",
                "mode": "training",
                "batch": 1,
                "size": 224,
                "rounds": 6,
                "milliseconds": {"ours": 10.0, "torchvision": 10.0},
                "ratio": dict.fromkeys(SPREAD, 1.0),
                "control": dict.fromkeys(SPREAD, 1.0),
                "peak_bytes": {"ours": 1000, "torchvision": 1000},
                "peak_ratio": 1.0,
                "relative_difference": 0.0,
            }
        ],
    }


def header(**changes):
    return {**record.describe("bench_parity", CONFIGURATION, 0), **changes}


# The form.


def test_every_record_keeps_the_schema():
    for path in sorted((ROOT / "results").glob("**/*.json")):
        held = record.load(path)
        faults = [f"{'.'.join(map(str, e.path))}: {e.message}" for e in VALIDATOR.iter_errors(held)]
        assert not faults, f"{path.name}: {faults}"
        assert path.stem.startswith(held["experiment"]), path.name
        assert (ROOT / "experiments" / f"{held['experiment']}.py").exists(), path.name


def test_schema_lets_a_good_record_pass():
    VALIDATOR.check_schema(SCHEMA)
    VALIDATOR.validate(sample())
    VALIDATOR.validate(sample() | {"commit": None})
    assert (
        set(SCHEMA["properties"]) == set(SCHEMA["required"]) == set(record.FIELDS) == set(sample())
    )


@pytest.mark.parametrize("field", record.FIELDS)
def test_schema_misses_a_missing_field(field):
    broken = sample()
    del broken[field]
    assert not VALIDATOR.is_valid(broken)


@pytest.mark.parametrize("field", ["hardware", "versions", "commit"])
def test_schema_misses_a_missing_part(field):
    for part in sample()[field]:
        broken = sample()
        del broken[field][part]
        assert not VALIDATOR.is_valid(broken), part


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("note",), "by hand"),
        (("hardware", "host"), "gpu-7"),
        (("versions", "cuda"), "13.2"),
        (("commit", "branch"), "main"),
        (("results", 0, "note"), "slow"),
        (("results", 0, "ratio", "mean"), 1.0),
        (("seed",), "0"),
        (("seed",), True),
        (("wall_seconds",), "12"),
        (("wall_seconds",), -1),
        (("date",), "31.01.2026"),
        (("hardware", "cores"), 2.5),
        (("hardware", "gpu"), ""),
        (("commit", "hash"), "07af94c"),
        (("versions", "torch"), 2.15),
        (("configuration",), {}),
        (("results",), []),
        (("results", 0, "mode"), "both"),
        (("results", 0, "milliseconds", "ours"), None),
    ],
)
def test_schema_refuses(place, value):
    broken = sample()
    inner = broken
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    assert not VALIDATOR.is_valid(broken)


@pytest.mark.parametrize(
    "leak",
    [
        "/data/cifar",
        "--data /data/cifar",
        "--data=/data/cifar",
        "~/cifar",
        "../cifar",
        r"C:\cifar",
        "D:/cifar",
        "someone@machine",
        "localhost",
        "node7.internal",
        "https://example.org",
    ],
)
def test_schema_refuses_paths_and_hosts_anywhere(leak):
    for place in ("command", "experiment"):
        assert not VALIDATOR.is_valid(sample() | {place: leak})
    broken = sample()
    broken["configuration"] = {"device": "cpu", "data": ["images", leak]}
    assert not VALIDATOR.is_valid(broken)
    broken = sample() | {"experiment": "another", "results": {"curves": [{"label": leak}]}}
    assert not VALIDATOR.is_valid(broken)
    broken["results"]["curves"][0]["label"] = "ours / torchvision, ms/step"
    assert VALIDATOR.is_valid(broken)


def test_description_is_valid_and_tells_no_names(monkeypatch):
    for module, name in (("platform", "node"), ("socket", "gethostname"), ("getpass", "getuser")):
        monkeypatch.setattr(f"{module}.{name}", lambda: "some-particular-name")
    monkeypatch.setattr(
        os, "uname", lambda: os.uname_result(("Linux", "some-particular-name") * 2 + ("x",))
    )
    described = header() | {"date": "2026-01-31", "wall_seconds": 1.0}
    VALIDATOR.validate(described | {"results": sample()["results"]})
    text = json.dumps(described)
    assert "some-particular-name" not in text
    assert str(ROOT) not in text
    assert described["command"] == sample()["command"]


# The commit.


def git(folder, *words):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    run = subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)
    return run.stdout.decode().strip()


def test_commit_says_whether_something_but_results_was_changed(tmp_path):
    git(tmp_path, "init", "-q")
    assert record.commit(tmp_path) is None  # nothing committed yet
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "One")
    clean = {"hash": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    assert record.commit(tmp_path) == clean
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "new.json").write_text("1")
    assert record.commit(tmp_path) == clean
    (tmp_path / "code.py").write_text("2")
    assert record.commit(tmp_path) == clean | {"dirty": True}


def test_commit_is_none_outside_git_and_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert record.commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert record.commit(ROOT) is None


# Writing and reading.


def test_written_record_is_read_the_same(tmp_path):
    path = tmp_path / "new" / "a.json"
    record.write(path, sample())
    assert record.load(path) == sample()
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("fault", ["fsync", "replace", "NaN", "no JSON"])
def test_old_record_stays_when_writing_fails(tmp_path, monkeypatch, fault):
    path = tmp_path / "a.json"
    record.write(path, sample())
    new = sample() | {"seed": 1}
    if fault == "NaN":
        new["wall_seconds"] = float("nan")
    elif fault == "no JSON":
        new["seed"] = {1, 2}
    else:

        def fail(*_):
            raise OSError("disk full")

        monkeypatch.setattr(os, fault, fail)
    with pytest.raises((OSError, ValueError, TypeError)):
        record.write(path, new)
    assert record.load(path) == sample()
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(sample())[:-20], "cut short"),
        ("", "cut short"),
        (json.dumps(sample() | {"wall_seconds": float("nan")}), "NaN is no JSON"),
        (json.dumps(sample() | {"wall_seconds": -float("inf")}), "-Infinity is no JSON"),
        ("[1, 2]", "is no record"),
        (json.dumps(sample() | {"note": 1}), "is no record"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(record.RecordError, match=message):
        record.load(path)


# Going on.


def test_run_goes_on_where_it_was_killed(tmp_path):
    path = tmp_path / "a.json"
    first = record.Run(path, header())
    first.keep({"case": 1})
    assert not path.exists()
    del first  # killed
    second = record.Run(path, header())
    assert second.results == [{"case": 1}]
    second.keep({"case": 2})
    second.finish()
    assert record.load(path)["results"] == [{"case": 1}, {"case": 2}]
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert record.Run(path, header()).results == []  # a finished run begins anew


def test_seconds_add_up_over_a_kill(tmp_path, monkeypatch):
    clock = iter([100.0, 100.0, 107.0, 500.0, 500.0, 503.0])
    monkeypatch.setattr(record.time, "monotonic", lambda: next(clock))
    path = tmp_path / "a.json"
    record.Run(path, header()).keep({"case": 1})
    record.Run(path, header()).finish()
    assert record.load(path)["wall_seconds"] == 10.0


@pytest.mark.parametrize("keep", [20, 400])
def test_truncated_part_is_said_and_kept(tmp_path, keep):
    path = tmp_path / "a.json"
    run = record.Run(path, header())
    run.keep({"case": 1})
    cut = run.part.read_text()[:keep]
    run.part.write_text(cut)
    with pytest.raises(record.RecordError, match=r"(?s)cut short.*delete .*a\.json\.part"):
        record.Run(path, header())
    assert run.part.read_text() == cut


@pytest.mark.parametrize("field", ["configuration", "seed", "commit", "hardware", "versions"])
def test_another_runs_part_is_refused_with_the_difference(tmp_path, field):
    path = tmp_path / "a.json"
    run = record.Run(path, header())
    other = header(**{field: copy.copy(sample()[field])})
    other[field] = {"device": "cpu", "threads": 7} if field == "configuration" else 7
    record.Run(path, other)  # nothing is kept yet, so nothing is lost
    run = record.Run(path, header())
    run.keep({"case": 1})
    message = (
        rf"1 results of another run:\n  {field} was .*, is now {re.escape(str(other[field]))}\n"
    )
    with pytest.raises(record.RecordError, match=message):
        record.Run(path, other)
    assert record.Run(path, header()).results == [{"case": 1}]


def test_a_pause_keeps_the_seconds_so_far(tmp_path, monkeypatch):
    clock = iter([100.0, 100.0, 107.0, 500.0, 500.0, 503.0])
    monkeypatch.setattr(record.time, "monotonic", lambda: next(clock))
    path = tmp_path / "a.json"
    record.Run(path, header()).pause()
    record.Run(path, header()).finish()
    assert record.load(path)["wall_seconds"] == 10.0


@pytest.mark.parametrize("field", ["configuration", "seed", "commit", "hardware", "versions"])
def test_checkpoints_of_another_run_are_refused_with_the_difference(tmp_path, field):
    folder = tmp_path / "run"
    record.begin(folder, header(recipe=("a", 1)))
    record.begin(folder, header(recipe=("a", 1)))  # JSON has no tuples
    other = {"device": "cpu", "threads": 7} if field == "configuration" else 7
    message = rf"run holds another run:\n  {field} was .*, is now {re.escape(str(other))}\n"
    with pytest.raises(record.RecordError, match=message + "(?s:.*)delete .*run to begin anew"):
        record.begin(folder, header(recipe=("a", 1), **{field: other}))


def test_a_record_is_there_only_if_its_options_are_the_same(tmp_path):
    path = tmp_path / "a.json"
    assert not record.is_there(path, header())
    record.Run(path, header()).finish()
    assert record.is_there(path, header(commit=None))
    with pytest.raises(record.RecordError, match=r"a\.json is the record of another run, python"):
        record.is_there(path, header(configuration={"device": "cuda"}))


def test_a_command_says_every_option():
    said = record.command("tried", {"first_seed": 3, "networks": ["a", "b"]})
    assert said == "python experiments/tried.py --first-seed 3 --networks a b"
    assert record.command("tried", {"cases": ["all", "no crops"]}).endswith(" all 'no crops'")
    with pytest.raises(ValueError, match="--first-seed is None"):
        record.command("tried", {"first_seed": None})

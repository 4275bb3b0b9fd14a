"""Damaged files once more: what the fuzzer has found, and a few fresh ones of each kind.

`make fuzz` tries others for an hour; see tests/fuzz_loaders.py.
"""

import fuzzed_pictures
import fuzzed_runs
import fuzzed_weights
import fuzzing
import pytest

LOADERS = fuzzed_weights.LOADERS | fuzzed_pictures.LOADERS | fuzzed_runs.LOADERS
FRESH = 5  # of each loader
# By loader: the seeds of inputs that once met another error than a refusal.
FOUND = {
    "safetensors": (11, 28, 30, 135),
    "pickle": (53,),
    "folder": (1796101390,),  # an error of the fuzzer itself
    "cache": (57, 78, 90, 129, 133, 134, 257, 313, 352, 453),
    "checkpoint": (3, 94, 1796132696),
    "run": (73, 240),
    "record": (70, 112, 724, 1259),
    "repository": (7, 16, 20, 31, 83, 114),
}


@pytest.mark.parametrize("name", LOADERS)
def test_loader_takes_what_is_whole(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "input"
    folder.mkdir()
    fuzzing.require_taken(LOADERS[name], folder)


@pytest.mark.parametrize("name", LOADERS)
def test_loader_refuses_damage_in_words(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in (*FOUND.get(name, ()), *range(FRESH)):
        answer, fault = fuzzing.tried(name, LOADERS[name], seed, tmp_path / "input")
        assert answer != "fault", f"{name} {seed}: {fault}"

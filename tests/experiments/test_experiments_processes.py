"""The experiments behind appendix A2, on settings so small that only their working shows."""

import json
import math

import batch_size
import pytest
import torch
import two_processes
from bench import record
from notebooks import ROOT
from test_records import SPREAD, VALIDATOR

SMALL_BATCHES = [
    *("--batches", "512", "--rates", "0.1", "0.4", "--seeds", "2", "--epochs", "1"),
    *("--warmup", "1", "--longest", "1", "--target", "80"),
]
SMALL_PROCESSES = ["--bytes", "1024", "--networks", "--rounds", "2"]
STEPS = ["alone", "beside", "together", "all-reduce", "whole"]
SCRIPTS = {"batch_size": batch_size, "two_processes": two_processes}


def check_batch_size(held):
    options = held["configuration"]
    numbers = [options[name] for name in ("batches", "rates")]
    kinds = [("steps", 0), ("epochs", 0), ("epochs", options["warmup"])]
    expected = [(*kind, b, r) for kind in kinds for b in numbers[0] for r in numbers[1]]
    names = ("kind", "warmup", "batch", "rate")
    assert [tuple(run[name] for name in names) for run in held["results"]] == expected
    for run in held["results"]:
        columns = ["steps"] if run["kind"] == "steps" else ["errors", "settled", "losses"]
        assert all(len(run[name]) == options["seeds"] for name in columns)
        for value in run.get("errors", []) + run.get("settled", []):
            assert value is None or 0 <= value <= 100
        most = options["longest"] * math.ceil(1437 / run["batch"])
        for value in run.get("steps", []):
            assert value is None or 1 <= value <= most


def check_two_processes(held):
    options = held["configuration"]
    sums = [(run["what"], run["bytes"]) for run in held["results"] if run["what"] == "all-reduce"]
    assert sums == [("all-reduce", size) for size in options["bytes"]]
    steps = [run for run in held["results"] if run["what"] == "step"]
    pairs = [(network, batch) for network in options["networks"] for batch in options["batches"]]
    assert [(run["network"], run["batch"]) for run in steps] == pairs
    for run in held["results"]:
        names = STEPS if run["what"] == "step" else ["all-reduce"]
        assert list(run["milliseconds"]) == names
        for times in run["milliseconds"].values():
            assert sorted(times) == sorted(SPREAD)
            assert 0 < times["smallest"] <= times["median"] <= times["largest"]


CHECKS = {"batch_size": check_batch_size, "two_processes": check_two_processes}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_committed_record_is_whole(name):
    CHECKS[name](record.load(ROOT / "results" / f"{name}.json"))


@pytest.mark.parametrize(
    ("name", "words"), [("batch_size", SMALL_BATCHES), ("two_processes", SMALL_PROCESSES)]
)
def test_a_small_run_leaves_a_whole_record(name, words, tmp_path, capsys):
    before = torch.get_num_threads()
    assert SCRIPTS[name].main([*words, "--out", str(tmp_path / "a.json")]) == 0
    torch.set_num_threads(before)
    held = record.load(tmp_path / "a.json")
    VALIDATOR.validate(held | {"experiment": name})
    CHECKS[name](held)
    assert "The record is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("batch_size", ["--batches", "0"], "--batches: must be a whole number of at least 1"),
        ("batch_size", ["--rates", "nan"], "--rates: must be a number above 0, got 'nan'"),
        ("batch_size", ["--warmup", "9"], "--warmup: must be at most --epochs"),
        ("batch_size", ["--out", "a.txt"], "--out: must be a file ending in .json, got a.txt"),
        ("two_processes", ["--bytes", "1023"], "--bytes: must be a multiple of 4, got '1023'"),
        ("two_processes", ["--rounds", "1"], "--rounds: must be at least 2, for quartiles"),
        ("two_processes", ["--networks", "vgg16"], "--networks: invalid choice: 'vgg16'"),
        ("two_processes", ["--out", "a.txt"], "--out: must be a file ending in .json, got a.txt"),
    ],
)
def test_a_wrong_argument_is_named(name, words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        SCRIPTS[name].main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


# Batch size


@pytest.mark.parametrize(
    ("target", "rate", "steps"), [(100, 0.1, 1), (0.001, 0.1, None), (0.001, 1e9, None)]
)
def test_steps_are_counted_until_the_target(target, rate, steps):
    options = batch_size.parse(["--target", str(target), "--longest", "1"])
    assert batch_size.steps_to_target(options, 0, batch=256, rate=rate, warmup=0) == steps


def test_a_loss_that_is_not_finite_is_kept_as_null():
    options = batch_size.parse(["--epochs", "2"])
    assert batch_size.end_of_training(options, 0, batch=512, rate=1e9, warmup=0) == (None,) * 3


def test_asking_for_the_error_leaves_the_network_as_it_was():
    net, _, test = batch_size.network_and_data(seed=0, batch=512)
    net.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert 50 < batch_size.error_with_own_statistics(net, test) < 100  # it has learned nothing yet
    assert not net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


# Two processes


def test_a_step_is_measured_in_all_ways(tmp_path):
    """One process alone: only the numbers differ from two."""
    case = {"what": "step", "network": "resnet20", "batch": 1, "bytes": 4, "rounds": 2}
    out = tmp_path / "found.json"
    threads = torch.get_num_threads()
    two_processes.in_process(case | {"device": "cpu", "out": str(out)})
    torch.set_num_threads(threads)
    found = json.loads(out.read_text())["milliseconds"]
    assert list(found) == STEPS
    assert all(times["smallest"] > 0 for times in found.values())


def test_gradients_have_the_bytes_of_the_parameters():
    assert two_processes.gradient_bytes("resnet18") == 4 * 11_689_512
    assert two_processes.gradient_bytes("resnet20") == 4 * 269_722


def test_an_error_of_the_processes_is_shown():
    case = {"what": "step", "network": "vgg16", "batch": 1, "bytes": 4}
    with pytest.raises(RuntimeError, match="KeyError: 'vgg16'"):
        two_processes.in_two_processes(case, two_processes.parse(["--rounds", "2"]))


def test_spread_is_ordered_and_short():
    found = two_processes.spread([3.0, 1.0, 2.00004])
    assert found == {
        "median": 2.0, "lower_quartile": 1.5, "upper_quartile": 2.5, "smallest": 1, "largest": 3
    }  # fmt: skip

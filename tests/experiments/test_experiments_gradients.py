"""The experiments behind chapter 07, on settings so small that only their working shows."""

import math

import gradient_regimes
import layer_responses
import pytest
import torch
from bench import record
from notebooks import ROOT
from test_records import VALIDATOR
from torch import nn

SMALL = ["--depths", "8", "--seeds", "1", "--epochs", "1"]
HE = {"seed": 0, "depth": 8, "kind": "residual", "norm": "batch norm", "start": "he"}
SCRIPTS = {"gradient_regimes": gradient_regimes, "layer_responses": layer_responses}


def check_regimes(held):
    options = held["configuration"]
    for run in held["results"]:
        assert len(run["norms"]) == run["depth"]
        assert all(-1 <= run[name] <= 1 for name in ("cosine", "after_step", "neighbours"))
        for training in run["training"]:
            assert len(training["errors"]) == options["epochs"]
            assert all(0 <= error <= 100 for error in training["errors"])


def check_responses(held):
    for run in held["results"]:
        lengths = {len(run[name]) for name in ("before", "after", "scales")}
        assert lengths == {run["depth"] - 1}
        assert len(run["errors"]) == held["configuration"]["epochs"]
        # Behind a batch norm at its start, γ = 1 is all there is.
        assert all(math.isclose(value, 1, abs_tol=0.01) for value in run["before"])


CHECKS = {"gradient_regimes": check_regimes, "layer_responses": check_responses}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_committed_record_is_whole(name):
    held = record.load(ROOT / "results" / f"{name}.json")
    options = held["configuration"]
    CHECKS[name](held)
    per_depth = 9 if name == "gradient_regimes" else 2
    assert len(held["results"]) == per_depth * len(options["depths"]) * options["seeds"]
    keys = [str([run.get(k) for k in (*HE,)]) for run in held["results"]]
    assert len(set(keys)) == len(keys), "a network was measured twice"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_small_run_leaves_a_whole_record(name, tmp_path, monkeypatch, capsys):
    script, out = SCRIPTS[name], tmp_path / f"{name}.json"
    if name == "gradient_regimes":
        monkeypatch.setattr(script, "cases", lambda _: [HE, HE | {"norm": "none"}])
        monkeypatch.setattr(script, "RATES", {"SGD": (0.03,), "Adam": (0.001,)})
    before = torch.get_num_threads()
    assert script.main([*SMALL, "--out", str(out)]) == 0
    torch.set_num_threads(before)
    held = record.load(out)
    VALIDATOR.validate(held)
    CHECKS[name](held)
    assert len(held["results"]) == 2
    assert f"The record is {out}." in capsys.readouterr().out


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_stopped_run_goes_on(name, tmp_path, monkeypatch, capsys):
    script, out = SCRIPTS[name], tmp_path / f"{name}.json"
    work = "train_all" if name == "gradient_regimes" else "measure"
    if name == "gradient_regimes":
        monkeypatch.setattr(script, "cases", lambda _: [HE, HE | {"norm": "none"}])
        kept = [{"optimizer": "SGD", "rate": 0.1, "errors": [5.0], "cosines": [0.5]}]
    else:
        kept = {"errors": [5.0], "before": [1.0] * 7, "after": [1.0] * 7, "scales": [1.0] * 7}
    calls = []

    def second_is_stopped(*_, **__):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return kept

    monkeypatch.setattr(script, work, second_is_stopped)
    assert script.main([*SMALL, "--out", str(out)]) == 130
    assert "1 finished cases are kept" in capsys.readouterr().out
    assert not out.exists()
    assert script.main([*SMALL, "--out", str(out)]) == 0
    assert len(calls) == 3, "the finished network was measured again"
    assert len(record.load(out)["results"]) == 2


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--depths", "10"], "argument --depths: must be 6n + 2, from 8 up, got '10'"),
        (["--seeds", "0"], "argument --seeds: invalid choice: 0"),
        (["--out", "record.txt"], "argument --out: must be a file ending in .json"),
        (["--device", "cuda"], "argument --device: invalid choice: 'cuda'"),
    ],
)
def test_a_wrong_argument_is_named(name, words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        SCRIPTS[name].main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_cases_are_nine_for_each_depth_and_seed():
    options = gradient_regimes.parse(["--depths", "8", "14", "--seeds", "2"])
    cases = gradient_regimes.cases(options)
    assert len(cases) == len({str(case) for case in cases}) == 9 * 2 * 2
    silent = [case for case in cases if case["start"] == "zero gamma"]
    assert {(case["kind"], case["norm"]) for case in silent} == {("residual", "batch norm")}


def test_build_makes_the_start_it_is_asked_for():
    net = gradient_regimes.build(**HE)
    assert all(block.residual for stage in (net.layer1, net.layer2) for block in stage)
    bare = gradient_regimes.build(**HE | {"norm": "none", "kind": "plain"})
    assert not any(isinstance(module, nn.BatchNorm2d) for module in bare.modules())
    silent = gradient_regimes.build(**HE | {"start": "zero gamma"})
    assert not silent.layer2[0].bn2.weight.any()
    assert silent.layer2[0].bn1.weight.all()
    default = gradient_regimes.build(**HE | {"start": "default"})
    # He: √(2 / 9·64) = 0.059; PyTorch's uniform start: √(1 / 3·9·64) = 0.024.
    for model, std in ((net, 0.059), (default, 0.024)):
        assert math.isclose(model.layer3[0].conv2.weight.std().item(), std, rel_tol=0.05)


def test_cosine_of_known_vectors():
    one = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([0.0, 0.0]), "fc": torch.ones(2)}
    other = {"a": torch.tensor([1e-30, 1e-30]), "b": torch.tensor([1.0, 0.0]), "fc": -torch.ones(2)}
    other = {name: value.double() for name, value in other.items()}
    one = {name: value.double() for name, value in one.items()}
    assert math.isclose(gradient_regimes.mean_cosine(one, other), math.sqrt(0.5), rel_tol=1e-3)
    assert gradient_regimes.mean_cosine({"b": one["b"]}, {"b": other["b"]}) == 0


def test_a_step_is_a_thousandth_of_each_layer():
    net = gradient_regimes.build(**HE).double()
    gradients = {"conv1": torch.ones(144).double(), "fc": torch.zeros(640).double()}
    moved = gradient_regimes.moved(net, gradients)
    step = moved.conv1.weight - net.conv1.weight
    assert math.isclose((step.norm() / net.conv1.weight.norm()).item(), 1e-3, rel_tol=1e-9)
    assert (step < 0).all()
    assert torch.equal(moved.fc.weight, net.fc.weight)


def test_a_loss_that_is_not_finite_ends_a_training():
    result = gradient_regimes.train(HE | {"norm": "none"}, "SGD", 1e9, epochs=3)
    assert result["errors"] == [90.0] * 3
    assert result["cosines"] == []

"""The experiment behind chapter 09, on settings so small that only its working shows."""

import math

import pytest
import refinements
import torch
from bench import digits_training, record
from notebooks import ROOT
from test_records import VALIDATOR
from torch import nn

from resnet_lib import data

SMALL = ["--depths", "8", "--seeds", "2", "--epochs", "1"]
FEW = {"base": {}, "crop by a pixel": {"augment": ["crop"]}, "early": {"held_out": 60}}


def check(held):
    options = held["configuration"]
    for row in held["results"]:
        means = {float(rate): sum(errors) for rate, errors in row["choosing"].items()}
        assert means[row["rate"]] == min(means.values())
        assert list(means) == sorted(means)
        place = refinements.RATES.index(row["rate"])
        beside = refinements.RATES[max(0, place - 1) : place + 2]
        assert {row["rate"], *beside} <= set(means), "the best rate has an untried neighbour"
        assert len({len(errors) for errors in row["choosing"].values()}) == 1
        columns = [row[name] for name in ("seeds", "errors", "settled", "training", "epochs")]
        assert [len(column) for column in columns] == [options["seeds"]] * 5
        found = row["errors"] + row["settled"] + row["training"]
        assert all(0 <= error <= 100 for error in found)
        assert all(1 <= epochs <= options["epochs"] for epochs in row["epochs"])
        if "patience" not in row["settings"]:
            assert set(row["epochs"]) == {options["epochs"]}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(refinements, "ROWS", FEW)
    monkeypatch.setattr(refinements, "COMBINED", {"base again": {}})
    monkeypatch.setattr(refinements, "CHOOSING", (1000,))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_committed_record_is_whole():
    held = record.load(ROOT / "results" / "refinements.json")
    check(held)
    names = [row["name"] for row in held["results"]]
    rows = refinements.ROWS | refinements.COMBINED
    assert names == list(rows) * len(held["configuration"]["depths"])
    assert all(row["settings"] == rows[row["name"]] for row in held["results"])


def test_a_small_run_leaves_a_whole_record(few, tmp_path, capsys):
    out = tmp_path / "refinements.json"
    assert refinements.main([*SMALL, "--out", str(out)]) == 0
    held = record.load(out)
    VALIDATOR.validate(held)
    check(held)
    seeds = {row["name"]: row["seeds"] for row in held["results"]}
    assert seeds["base"] == seeds["early"] == [0, 1]
    assert not set(seeds["base again"]) & {*seeds["base"], *refinements.CHOOSING}
    assert f"The record is {out}." in capsys.readouterr().out


def test_a_stopped_run_goes_on(few, tmp_path, monkeypatch, capsys):
    out, calls = tmp_path / "refinements.json", []
    kept = {"choosing": {"0.1": 5.0}, "rate": 0.1, "errors": [5.0]}

    def second_is_stopped(*_):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return kept

    monkeypatch.setattr(refinements, "measure", second_is_stopped)
    assert refinements.main([*SMALL, "--out", str(out)]) == 130
    assert "1 finished cases are kept" in capsys.readouterr().out
    assert not out.exists()
    assert refinements.main([*SMALL, "--out", str(out)]) == 0
    assert len(calls) == 5, "the finished row was measured again"
    assert len(record.load(out)["results"]) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--depths", "10"], "argument --depths: must be 6n + 2, from 8 up, got '10'"),
        (["--seeds", "0"], "argument --seeds: invalid choice: 0"),
        (["--out", "record.txt"], "argument --out: must be a file ending in .json"),
        (["--device", "cuda"], "argument --device: invalid choice: 'cuda'"),
    ],
)
def test_a_wrong_argument_is_named(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        refinements.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_the_options_keep_their_defaults():
    assert refinements.parse([]).seeds == 20
    shared = {"depths": [8], "epochs": 1}
    assert digits_training.parse("any", "", "", [], **shared).seeds == 3


def test_the_rate_with_the_lowest_error_is_taken(monkeypatch):
    """Seeds that choose have no part in what is reported, and the other way round."""
    seen = []

    def one_run(case, rate, seed, epochs):
        seen.append((rate, seed))
        return 5 * abs(math.log(rate / 0.1)) + (seed < 1000), 0.0, 0.0, epochs

    monkeypatch.setattr(refinements, "one_run", one_run)
    found = refinements.measure({"name": "base", "settings": {}}, refinements.parse(SMALL))
    assert found["rate"] == 0.1
    assert found["errors"] == [1.0, 1.0]
    assert [len(errors) for errors in found["choosing"].values()] == [len(refinements.CHOOSING)] * 3
    assert {rate for rate, seed in seen if seed in (0, 1)} == {0.1}
    assert {seed for _, seed in seen} == {0, 1, *refinements.CHOOSING}


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (0.1, [0.03, 0.1, 0.3]),
        (1.0, [0.03, 0.1, 0.3, 1.0, 3.0]),
        (0.01, [0.003, 0.01, 0.03, 0.1, 0.3]),
        (10.0, [0.03, 0.1, 0.3, 1.0, 3.0, 10.0]),
    ],
)
def test_rates_are_tried_until_the_best_has_a_worse_one_on_both_sides(best, tried, monkeypatch):
    def one_run(case, rate, seed, epochs):
        return abs(math.log(rate / best)), 0.0, 0.0, epochs

    monkeypatch.setattr(refinements, "one_run", one_run)
    found = refinements.try_rates({"settings": {}}, 1)
    assert sorted(found) == tried
    assert min(found, key=lambda rate: sum(found[rate])) == best


def test_adam_begins_at_a_lower_rate(monkeypatch):
    monkeypatch.setattr(refinements, "one_run", lambda case, rate, *_: (rate, 0.0, 0.0, 1))
    assert max(refinements.try_rates({"settings": {"optimizer": "adam"}}, 1)) == 0.03
    assert max(refinements.try_rates({"settings": {}}, 1)) == 0.3


def test_statistics_are_settled_on_the_training_images(monkeypatch):
    """After one epoch the running statistics are far from settled, and the error shows it."""
    case = {"depth": 8, "settings": {}}
    error, settled, _, _ = refinements.one_run(case, 0.1, 0, 2)
    monkeypatch.setattr(torch.optim.swa_utils, "update_bn", lambda *_: None)
    same, unsettled, _, _ = refinements.one_run(case, 0.1, 0, 2)
    assert settled < error == same == unsettled


def test_a_row_is_the_base_with_one_change():
    """The same seed gives the same split, start and order, whatever the row changes."""
    plain, dropping = refinements.build(8, 3, 0.0), refinements.build(8, 3, 0.5)
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    pairs = zip(plain.parameters(), dropping.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    dropping.train()
    features = torch.ones(1, 64)
    assert not torch.equal(dropping.fc(features), dropping.fc(features))

    base, _, test = refinements.loaders(3, [], 0)
    cropped, _, same_test = refinements.loaders(3, ["crop"], 0)
    for (images, labels), (others, other_labels) in zip(base, cropped, strict=True):
        assert torch.equal(labels, other_labels)
        assert not torch.equal(images, others)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(test, same_test, strict=True))


def test_the_images_are_divided_without_overlap():
    batches, validation, test = refinements.loaders(0, [], 60)
    assert (batches.samples, validation.samples, test.samples) == (240, 60, 1497)
    parts = [part.images.flatten(1) for part in (batches, validation, test)]
    # 8 × 8 images of 17 grey levels: a few of the 1,797 are the same twice.
    stored = data.digits().train_images.flatten(1), data.digits().test_images.flatten(1)
    assert len(torch.cat(parts).unique(dim=0)) == len(torch.cat(stored).unique(dim=0))
    images, _ = next(iter(test))
    digits = data.digits(test_fraction=refinements.TEST_FRACTION, seed=0)
    assert torch.equal(images, digits.normalize(digits.test_images[: len(images)]))


def test_held_out_images_are_not_trained_on():
    whole, none, _ = refinements.loaders(0, [], 0)
    part, validation, _ = refinements.loaders(0, [], 60)
    assert none is None
    assert torch.equal(torch.cat([part.images, validation.images]), whole.images)


def test_each_augmentation_keeps_paper_white():
    """They act before normalising: what a crop brings in at the border is paper."""
    digits = data.digits(test_fraction=refinements.TEST_FRACTION, seed=0)
    paper = -digits.mean[0] / digits.std[0]
    for name in refinements.AUGMENTATIONS:
        batches, _, _ = refinements.loaders(0, [name], 0)
        assert isinstance(batches.transform, nn.Sequential)
        lowest = min(images.min().item() for images, _ in batches)
        assert math.isclose(lowest, paper, abs_tol=1e-5)

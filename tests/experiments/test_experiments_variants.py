"""Variants and the small search: what is learned from, chosen by and tested on; small runs."""

import argparse

import architecture_search
import optuna
import pytest
import torch
import variants
from bench import few_digits, part_of_cifar10, record
from bench.variant_networks import NETWORKS

from resnet_lib import data, nets

QUICK = ["--epochs", "1", "--seeds", "2", "--pictures", "50"]


def test_a_small_run_of_variants_leaves_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "RATES", (0.03, 0.1, 0.3))
    monkeypatch.setattr(variants, "FIRST", 1)
    out = tmp_path / "variants.json"
    words = [*QUICK, "--networks", "residual", "se", "--blocks", "1", "--choosing-seeds", "1"]
    assert variants.main([*words, "--out", str(out)]) == 0
    rows = record.load(out)["results"]
    assert [row["network"] for row in rows] == ["residual", "se"]
    for row in rows:
        assert set(row["choosing"]) == {"0.03", "0.1", "0.3"}
        assert len(row["errors"]) == len(row["training"]) == 2
        assert all(0 <= error <= 100 for error in row["errors"])
    assert rows[1]["parameters"] > rows[0]["parameters"]
    assert 1 < rows[1]["multiply_adds"] / rows[0]["multiply_adds"] < 1.01


def test_times_are_ratios_to_the_base(tmp_path):
    out = tmp_path / "times.json"
    words = ["--what", "time", "--turns", "2", "--networks", "wide", "residual", "--blocks", "1"]
    assert variants.main([*words, "--out", str(out)]) == 0
    (row,) = record.load(out)["results"]
    assert list(row["ratios"]) == ["residual", "wide"]
    assert row["ratios"]["residual"]["median"] == 1
    assert len(row["milliseconds"]["wide"]) == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_runs_and_is_as_deep_as_it_says(name):
    torch.manual_seed(0)
    model = NETWORKS[name](2, 1)
    blocks = [len(stage) for n, stage in model.named_children() if n.startswith("layer")]
    assert blocks == [2, 2, 2]
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)


def test_the_base_is_the_books_cifar_network():
    states = []
    for make in (NETWORKS["residual"], lambda n, c: nets.CifarResNet(6 * n + 2, in_channels=c)):
        torch.manual_seed(0)
        states.append(make(2, 1).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_no_digit_serves_twice():
    found = few_digits.digits()
    assert (len(found.train_images), len(found.test_images)) == (898, 899)
    learned, held_out = few_digits.parts(3, 300)
    assert (len(learned), len(held_out)) == (300, 598)
    assert not set(learned.tolist()) & set(held_out.tolist())
    assert not torch.equal(learned, few_digits.parts(4, 300)[0])


def test_training_follows_the_cosine_and_stops_where_the_loss_explodes(monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def noted(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    torch.manual_seed(0)
    model = NETWORKS["residual"](1, 1)
    errors = list(few_digits.training(model, 0.1, 2, 0, 100))
    assert len(errors) == 2
    assert rates == pytest.approx([0.1, 0.1 * (1 + 0.5**0.5) / 2, 0.05, 0.1 * (1 - 0.5**0.5) / 2])
    with torch.no_grad():
        model.fc.bias.fill_(torch.nan)
    assert list(few_digits.training(model, 0.1, 2, 0, 100)) == []
    assert few_digits.held_out_error(model, 0, 100) == few_digits.test_error(model) == 90


def test_with_cifar10_each_network_learns_photographs(tmp_path, monkeypatch):
    dice = torch.Generator().manual_seed(0)
    images = torch.randint(256, (600, 3, 32, 32), generator=dice, dtype=torch.uint8)
    labels = torch.arange(600) % 10
    images[:] = images // 4 + 19 * labels.byte().view(-1, 1, 1, 1)  # the brightness tells the class
    toy = data.ImageData(
        *(images[:500], labels[:500], images[500:], labels[500:]),
        classes=tuple("abcdefghij"), mean=(0.5,) * 3, std=(0.25,) * 3,
    )  # fmt: skip
    part_of_cifar10.photographs.cache_clear()
    monkeypatch.setattr(part_of_cifar10.data, "cifar10", lambda **_: toy)
    monkeypatch.setattr(variants, "RATES", (0.03, 0.1))
    monkeypatch.setattr(variants, "FIRST", 1)
    out = tmp_path / "photographs.json"
    words = ["--data", "cifar10", "--pictures", "400", "--epochs", "3", "--seeds", "1"]
    words += ["--networks", "resnet-d", "--blocks", "1", "--choosing-seeds", "1"]
    assert variants.main([*words, "--out", str(out)]) == 0
    (row,) = record.load(out)["results"]
    assert set(row["choosing"]) == {"0.03", "0.1"}
    assert row["errors"][0] < 80
    assert row["training"][0] < 80
    assert row["multiply_adds"] > 9_000_000
    learned, held_out = part_of_cifar10.parts(1, 400)
    assert sorted([*learned.tolist(), *held_out.tolist()]) == list(range(500))
    part_of_cifar10.photographs.cache_clear()


def test_the_rate_is_sought_until_its_neighbours_are_worse(monkeypatch):
    errors = dict(zip(variants.RATES, (9.0, 5.0, 2.0, 3.0, 4.0, 6.0, 8.0), strict=True))
    monkeypatch.setattr(variants, "trained", lambda case, rate, seed, options: (rate, 0.0))
    monkeypatch.setattr(
        variants.few_digits, "held_out_error", lambda rate, seed, pictures: errors[rate]
    )
    options = argparse.Namespace(choosing_seeds=3, pictures=300, data="digits")
    found = variants.try_rates({}, options)
    assert sorted(found) == [0.003, 0.01, 0.03, 0.1, 0.3]
    assert found[0.01] == [2.0] * 3


def test_a_small_search_leaves_a_record(tmp_path):
    out = tmp_path / "search.json"
    words = ["--searches", "1", "--trials", "2", "--epochs", "4", "--pictures", "50"]
    assert architecture_search.main([*words, "--seeds", "1", "--out", str(out)]) == 0
    base, random, halving = record.load(out)["results"]
    assert base["found"].items() >= architecture_search.BASELINE.items()
    assert random["epochs"] == 8
    assert 8 <= halving["epochs"] < 12
    assert all(len(trial["held_out"]) == 4 for trial in random["trials"])
    lengths = {len(trial["held_out"]) for trial in halving["trials"]}
    assert lengths <= {3, 4}
    for row in (random, halving):
        assert max(trial["multiply_adds"] for trial in row["trials"]) <= base["multiply_adds"]
        ends = [t["held_out"][-1] for t in row["trials"] if len(t["held_out"]) == 4]
        assert row["held_out"] == min(ends)
        assert len(row["errors"]) == 1


def test_halving_cuts_all_but_the_best_third():
    study = optuna.create_study(pruner=architecture_search.halving(None))
    cut = []
    for error in (50, 40, 60, 30, 55, 35, 20):
        trial = study.ask()
        answers = []
        for epoch in (1, 2, 3):
            trial.report(error, epoch)
            answers.append(trial.should_prune())
        assert answers[:2] == [False, False]
        cut.append(answers[2])
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert cut[2]
    assert cut[4]
    assert not cut[0]
    assert not cut[6]

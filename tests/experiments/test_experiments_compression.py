"""The experiments on compression: what is cut, what is taught, and their words."""

import distillation
import pruning
import pytest
import torch
from bench import record

from resnet_lib import data, nets

QUICK = ["--epochs", "1", "--more-epochs", "1", "--seeds", "2", "--shares", "0.5"]


def test_a_small_run_of_pruning_leaves_a_record(tmp_path):
    out = tmp_path / "pruning.json"
    assert pruning.main([*QUICK, "--out", str(out)]) == 0
    rows = record.load(out)["results"]
    assert [(row["share"], row["way"]) for row in rows] == [
        (0.0, "l1"),
        (0.0, "scratch"),
        *((0.5, way) for way in pruning.WAYS),
    ]
    for row in rows:
        assert len(row["errors"]) == 2
        cut = row["way"] in pruning.compression.CRITERIA
        assert len(row["errors_before"]) == len(row["errors_statistics"]) == (2 if cut else 0)


def test_the_whole_network_is_trained_once_and_never_changed(monkeypatch):
    first = pruning.trained(3, 1)
    monkeypatch.setattr(pruning, "fit", None)
    first.fc.weight.data.zero_()
    assert pruning.trained(3, 1).fc.weight.abs().sum() > 0


def test_scratch_gets_the_updates_of_both(monkeypatch):
    asked = []

    def fit(model, epochs, rate, seed):
        asked.append((model.layer1[0].conv1.out_channels, epochs, rate))
        return model

    monkeypatch.setattr(pruning, "fit", fit)
    pruning._trained.cache_clear()
    options = pruning.parse(["--seeds", "1", "--rate", "0.03"])
    for way in ("l1", "scratch", "short"):
        pruning.measure({"share": 0.5, "way": way}, options)
    pruning._trained.cache_clear()
    assert asked == [(16, 40, 0.1), (8, 20, 0.03), (8, 60, 0.1), (8, 20, 0.03)]


def test_statistics_anew_change_no_weight_and_are_those_of_the_digits():
    torch.manual_seed(0)
    model = pruning.new()
    fresh = pruning.with_statistics_anew(model)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True)
    )
    digits = data.digits()
    with torch.no_grad():
        seen = model.conv1(digits.normalize(digits.test_images))
    torch.testing.assert_close(fresh.bn1.running_mean, seen.mean((0, 2, 3)))
    assert not torch.equal(model.bn1.running_mean, fresh.bn1.running_mean)


def test_shares_of_one_are_refused(capsys):
    with pytest.raises(SystemExit):
        pruning.parse(["--shares", "0.5", "1"])
    assert "--shares wants numbers below 1" in capsys.readouterr().err


def test_a_small_run_of_distillation_leaves_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "STEPS", 1)
    monkeypatch.setitem(distillation.EPOCHS, "same", 1)
    out = tmp_path / "distillation.json"
    words = ["--pictures", "10", "--temperatures", "4", "--seeds", "1", "--out", str(out)]
    assert distillation.main(words) == 0
    rows = record.load(out)["results"]
    assert [(row["task"], row["teacher"]) for row in rows] == [
        ("few", "none"),
        ("few", "resnet8"),
        ("same", "none"),
        ("same", "resnet20"),
    ]
    assert [len(row["teacher_errors"]) for row in rows] == [0, 1, 0, 1]


def test_on_cifar10_each_teacher_teaches_the_same_student(monkeypatch):
    dice = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (256, 3, 32, 32), dtype=torch.uint8, generator=dice)
    labels = torch.arange(256) % 10
    names = tuple("abcdefghij")
    toy = data.ImageData(images, labels, images[:20], labels[:20], names, (0.5,) * 3, (0.5,) * 3)
    monkeypatch.setattr(distillation.data, "cifar10", lambda: toy)
    begun, taught = [], []

    def fit(model, batches, case, seed, loss=None):
        begun.append(model.conv1.weight.detach().clone())
        taught.append(next(iter(batches)))

    monkeypatch.setattr(distillation, "fit", fit)
    options = distillation.parse(["--tasks", "cifar10", "--seeds", "1"])
    for case in distillation.cases("cifar10", options):
        distillation.measure(case, options)
    assert all(torch.equal(weights, begun[0]) for weights in begun)
    (images, labels), *others = taught
    for pictures, scores in others:
        assert torch.equal(pictures, images)
        assert scores.shape == (128, 10)
        assert scores.dtype == torch.float32
    assert labels.dtype == torch.int64


def test_same_and_few_judge_on_what_was_not_learned():
    digits = data.digits()
    for task, number, judged in (("few", 30, 360), ("same", 360, 1437), ("ensemble", 360, 1437)):
        batches, test = distillation.pictures({"task": task, "pictures": number}, seed=0)
        assert len(batches.images) == number
        assert len(test.images) == judged
    assert torch.equal(test.images, digits.train_images)


def test_the_teacher_of_same_has_learned_by_labels_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(distillation, "fit", lambda *arguments: asked.append(arguments))
    distillation.own_teacher.cache_clear()
    model = distillation.own_teacher(0, 20)
    distillation.own_teacher.cache_clear()
    assert isinstance(model, nets.CifarResNet)
    assert not model.training
    assert len(asked[0]) == 4, "no loss is handed on"


def test_the_ensemble_has_five_members_of_other_seeds_than_the_students(monkeypatch):
    asked = []
    monkeypatch.setattr(distillation, "fit", lambda *arguments: asked.append(arguments[3]))
    distillation.own_teacher.cache_clear()
    found = [distillation.taught_by("ensemble", "5 resnet8", seed) for seed in (0, 1)]
    distillation.own_teacher.cache_clear()
    assert asked == list(range(1000, 1010))
    x = torch.randn(2, 1, 8, 8)
    mean = sum(member(x) for member in found[0].members) / 5
    torch.testing.assert_close(found[0](x), mean)
    assert not any(part.training for part in found[0].modules())

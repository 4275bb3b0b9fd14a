"""The few-shot experiment: what is drawn, what is trained, and its words."""

import few_shot
import pytest
import torch
from bench import record
from notebooks import ROOT

from resnet_lib import data, weights

SMALL = ["--tasks", "digits", "--pictures", "1", "--steps", "1", "--seeds", "2"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("few_shot", []), ("few_shot_longer", ["--ways", "scratch", "all", "--steps", "300"])],
)
def test_the_record_has_a_row_for_each_case(name, words):
    held = record.load(ROOT / "results" / f"{name}.json")
    asked = few_shot.parse(words)
    assert held["configuration"]["steps"] == asked.steps
    found = [(row["task"], row["pictures"], row["way"]) for row in held["results"]]
    assert found == [(t, n, w) for t in asked.tasks for n in asked.pictures for w in asked.ways]
    for row in held["results"]:
        assert len(row["errors"]) == asked.seeds
        assert all(0 <= error <= 100 for error in row["errors"])


def test_a_small_run_leaves_a_record(tmp_path):
    out = tmp_path / "few_shot.json"
    assert few_shot.main([*SMALL, "--out", str(out)]) == 0
    rows = record.load(out)["results"]
    assert [row["way"] for row in rows] == list(few_shot.RATES)
    assert all(0 <= error <= 100 for row in rows for error in row["errors"])
    assert all(len(row["errors"]) == 2 for row in rows)


def test_a_seed_draws_as_many_of_each_class_and_no_others():
    found = few_shot.task("digits")
    batches = few_shot.drawn(found, "digits", pictures=2, seed=0, steps=40)
    drawn = batches.images.flatten(1).unique(dim=0)
    assert len(drawn) == 20
    assert batches.labels.unique().tolist() == list(range(10))
    again = few_shot.drawn(found, "digits", pictures=2, seed=0, steps=40)
    assert torch.equal(batches.images, again.images)
    other = few_shot.drawn(found, "digits", pictures=2, seed=1, steps=40)
    assert not torch.equal(batches.images, other.images)


def test_pictures_are_shifted_anew_each_time():
    found = few_shot.task("digits")
    seen = torch.cat([x for x, _ in few_shot.drawn(found, "digits", 1, seed=0, steps=10)])
    assert len(seen.flatten(1).unique(dim=0)) > 100


def test_each_way_begins_as_it_says():
    shipped = weights.resnet20("cifar10").state_dict()
    begun = {
        way: few_shot.prepared({"task": "digits", "way": way}, 10, seed=0, epochs=1)
        for way in few_shot.RATES
    }
    for way, network in begun.items():
        same = torch.equal(network.conv1.weight, shipped["conv1.weight"])
        assert same == (way != "scratch"), way
        assert not torch.equal(network.fc.weight, shipped["fc.weight"])
        assert network.conv1.weight.requires_grad == (way != "head")
        assert network.bn1.training == (way != "head")
        assert network.fc.training
    assert torch.equal(begun["scratch"].fc.weight, begun["all"].fc.weight)


def test_the_pair_and_the_others_share_no_picture(monkeypatch):
    images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 3, 4, 4).clone()
    labels = torch.arange(40) % 10
    names = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    toy = data.ImageData(images, labels, images, labels, names, (0.5,) * 3, (0.5,) * 3)
    monkeypatch.setattr(few_shot.data, "cifar10", lambda: toy)
    few_shot.split.cache_clear()
    others, pair = few_shot.split()
    few_shot.split.cache_clear()
    assert pair.classes == few_shot.PAIR
    assert others.classes == tuple(name for name in names if name not in few_shot.PAIR)
    shown = {image.flatten()[0].item() for image in pair.train_images}
    assert shown == {place for place in range(40) if names[place % 10] in few_shot.PAIR}
    assert others.train_labels.unique().tolist() == list(range(8))
    assert pair.mean == others.mean, "normalised as the source's pictures"


def test_what_is_not_allowed_is_said(capsys):
    with pytest.raises(SystemExit):
        few_shot.parse(["--tasks", "birds"])
    assert "invalid choice: 'birds'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        few_shot.parse(["--ways", "head", "all", "--rates", "1"])
    assert "as many numbers as there are --ways" in capsys.readouterr().err


def test_each_way_is_trained_at_its_own_rate():
    assert few_shot.parse(["--ways", "all", "head"]).rates == [0.03, 1.0]
    assert few_shot.parse(["--ways", "head", "--rates", "0.3"]).rates == [0.3]

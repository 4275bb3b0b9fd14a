"""own_pictures: its folders are what it says, and its record is whole."""

import own_pictures
import pytest
import torch
from bench import record
from notebooks import ROOT

from resnet_lib import data

PATH = ROOT / "results" / "own_pictures.json"


def check(held):
    cases = [
        (*case, seed)
        for seed in range(held["configuration"]["seeds"])
        for case in own_pictures.CASES
    ]
    names = ("folder", "network", "recipe", "seed")
    assert [tuple(row[name] for name in names) for row in held["results"]] == cases
    for row in held["results"]:
        assert 0 <= row["error"] <= 100
        assert row["train_loss"] is None or 0 <= row["train_loss"] <= row["highest"]


@pytest.mark.skipif(not PATH.exists(), reason="experiments/own_pictures.py makes the record")
def test_the_committed_record_is_whole():
    check(record.load(PATH))


def test_a_small_run_leaves_a_whole_record(tmp_path, monkeypatch):
    monkeypatch.setattr(own_pictures, "CASES", [("digits-600", "resnet8", "default")])
    threads, out = torch.get_num_threads(), tmp_path / "own_pictures.json"
    try:
        assert own_pictures.main(["--out", str(out), "--epochs", "5", "--seeds", "1"]) == 0
    finally:
        torch.set_num_threads(threads)
    held = record.load(out)
    check(held)
    assert held["results"][0]["error"] < 70, "the network has learned nothing"


def fake_cifar():
    pixels = torch.arange(32, dtype=torch.uint8).expand(2000, 3, 32, 32)
    labels = torch.arange(2000) % 10
    names = tuple(f"class {number}" for number in range(10))
    return data.ImageData(pixels, labels, pixels, labels, names, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("folder", "size", "classes", "train", "test"),
    [
        ("photos-150", 32, 3, 150, 300),
        ("digits-600", 16, 10, 600, 360),
        ("photos-2000", 32, 10, 2000, 500),
    ],
)
def test_folders_are_what_their_names_say(
    tmp_path, monkeypatch, folder, size, classes, train, test
):
    monkeypatch.setattr(data, "cifar10", fake_cifar)
    assert own_pictures.fill(tmp_path, folder) == size
    found = data.image_folder(tmp_path, size, test_fraction=0.375)
    # Each class of the digits is split by itself, and rounded by itself.
    assert len(found.train_labels) == pytest.approx(train, abs=5)
    assert len(found.train_labels) + len(found.test_labels) == train + test
    assert found.train_images.shape[1:] == (3, size, size)
    assert len(found.classes) == classes


@pytest.mark.parametrize("name", own_pictures.RECIPES)
def test_every_recipe_can_be_trained_with(name):
    recipe = own_pictures.RECIPES[name]
    settings = own_pictures.config(recipe, 10, seed=1)
    assert settings.learning_rate == recipe["rate"]
    assert settings.warmup_epochs == 10 * recipe["warmup"]
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    for step in own_pictures.augmentation(recipe["augment"], 16):
        assert step(images).shape == images.shape

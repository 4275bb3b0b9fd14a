"""The experiment on the number of pictures: its record, its data, its words."""

import few_pictures
import pytest
import torch
from bench import record
from notebooks import ROOT

SMALL = ["--pictures", "16", "20", "--steps", "2", "--seeds", "2"]


def test_the_record_has_a_row_for_each_number_and_way():
    held = record.load(ROOT / "results" / "few_pictures.json")
    asked = few_pictures.parse([])
    found = [(row["pictures"], row["augmented"]) for row in held["results"]]
    assert found == [(n, way) for n in asked.pictures for way in (False, True)]
    for row in held["results"]:
        assert len(row["errors"]) == len(row["training"]) == asked.seeds
        assert all(0 <= error <= 100 for error in row["errors"] + row["training"])


def test_a_small_run_leaves_a_record(tmp_path):
    out = tmp_path / "few_pictures.json"
    assert few_pictures.main([*SMALL, "--out", str(out)]) == 0
    rows = record.load(out)["results"]
    assert [row["pictures"] for row in rows] == [16, 16, 20, 20]
    assert all(len(row["errors"]) == 2 for row in rows)


def test_every_batch_to_train_on_is_full(monkeypatch):
    sizes, fit = [], few_pictures.train.fit

    def noted(model, batches, **options):
        sizes.extend(len(images) for images, _ in batches)
        return fit(model, batches, **options)

    monkeypatch.setattr(few_pictures.train, "fit", noted)
    few_pictures.one_run(50, augmented=False, seed=0, steps=1)
    assert sizes == [few_pictures.BATCH] * 3


def test_pictures_follow_their_seed_and_classes_are_equally_frequent():
    images, labels = few_pictures.drawn(12, 0)
    assert images.shape == (12, 3, 16, 16)
    assert labels.bincount().tolist() == [3, 3, 3, 3]
    assert torch.equal(images, few_pictures.drawn(12, 0)[0])
    assert not torch.equal(images, few_pictures.drawn(12, few_pictures.TEST_SEED)[0])


def test_what_is_not_allowed_is_said(capsys):
    with pytest.raises(SystemExit):
        few_pictures.parse(["--pictures", "4"])
    assert "at least 16" in capsys.readouterr().err

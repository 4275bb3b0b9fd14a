"""Lesions and paths: small runs, and what is deleted, swapped and left out."""

import lesions
import pytest
import torch
from bench import lesion_subjects, record
from toy_cifar import toy_cifar

from resnet_lib import nets

QUICK = ["--epochs", "1", "--seeds", "1", "--draws", "1", "--swaps", "1", "--images", "20"]
QUICK += ["--known", "20", "--path-images", "3"]


def test_a_small_run_leaves_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(lesion_subjects.data, "cifar10", toy_cifar)
    out = tmp_path / "lesions.json"
    words = [*QUICK, "--networks", "resnet20", "plain20", "ensemble", "--out", str(out)]
    assert lesions.main(words) == 0
    rows = record.load(out)["results"]
    asked = [(row["data"], row["network"], row["kind"]) for row in rows]
    assert len(asked) == len(set(asked)) == 4 + 4 + 5 + 4 + 2
    for row in rows:
        if row["kind"] == "whole":
            assert 0 <= row["error_fresh"] <= 100
        elif row["kind"] == "one":
            assert len(row["errors"]) == len(row["errors_fresh"]) == len(row["blocks"]) == 9
            assert len(row.get("sizes", [])) == (0 if row["network"] == "plain20" else 9)
        elif row["kind"] == "many":
            assert row["numbers"] == list(range(1, 9 if row["network"] == "ensemble" else 10))
        elif row["kind"] == "paths":
            for found in (row, row["start"]):
                assert len(found["shares"]) == len(found["norms"]) == len(found["single"]) == 10
                assert sum(found["shares"]) == pytest.approx(1, abs=0.01)


def test_swaps_keep_every_block_and_move_none_that_changes_the_shape():
    torch.manual_seed(0)
    model = nets.CifarResNet(20).eval()
    order = {"layer1": [2, 0, 1], "layer2": [0, 2, 1], "layer3": [0, 1, 2]}
    other = lesions.reordered(model, order)
    x = torch.randn(1, 16, 8, 8)
    expected = model.layer1[1](model.layer1[0](model.layer1[2](x)))
    assert torch.equal(other.layer1(x), expected)
    assert [m.conv1.stride for m in model.layer1] == [(1, 1)] * 3, "the model itself is whole"
    assert lesions.pairs_of("layer1", [0, 1, 2]) == [(0, 1), (0, 2), (1, 2)]
    assert lesions.pairs_of("layer2", [0, 1, 2]) == [(1, 2)]


def test_an_ensemble_without_members_is_the_mean_of_the_others():
    torch.manual_seed(0)
    members = [nets.CifarResNet(8).eval() for _ in range(3)]
    ensemble, x = lesion_subjects.Ensemble(members), torch.randn(2, 3, 8, 8)
    expected = (members[0](x).softmax(dim=1) + members[2](x).softmax(dim=1)) / 2
    torch.testing.assert_close(ensemble.without([1])(x), expected)


def test_what_is_known_is_not_what_is_judged():
    found = lesion_subjects.pictures_of("digits", 0, 0)
    assert (len(found.images), len(found.known)) == (1437, 360)

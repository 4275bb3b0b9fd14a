"""Lesions and paths: small runs, and what is deleted, swapped and left out."""

import itertools
import math
import random

import lesions
import pytest
import torch
from bench import lesion_draws, lesion_subjects, record
from toy_cifar import toy_cifar

from resnet_lib import nets
from resnet_lib.paths import gradient_along, gradient_by_length, pass_blocks

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
                assert found["total_error"] > 0
        elif row["kind"] == "swapped":
            assert (row["numbers"], len(row["errors"])) == ([1], 1)


def test_a_swap_keeps_every_block():
    torch.manual_seed(0)
    model = nets.CifarResNet(20).eval()
    other = lesion_draws.reordered(model, [("layer1", 0, 2), ("layer2", 1, 2)])
    x = torch.randn(1, 16, 8, 8)
    expected = model.layer1[0](model.layer1[1](model.layer1[2](x)))
    assert torch.equal(other.layer1(x), expected)
    expected = model.layer2[1](model.layer2[2](model.layer2[0](expected)))
    assert torch.equal(other.layer2(other.layer1(x)), expected)
    assert torch.equal(other.layer3[1].conv1.weight, model.layer3[1].conv1.weight)
    assert lesion_draws.pairs_of("layer1", [0, 1, 2]) == [(0, 1), (0, 2), (1, 2)]
    assert lesion_draws.pairs_of("layer2", [0, 1, 2]) == [(1, 2)]


@pytest.mark.parametrize(("depth", "most"), [(20, 3), (56, 12)])
def test_swaps_never_undo_each_other(depth, most):
    """So many swaps displace twice as many blocks, and none that changes the shape."""
    model, dice = nets.CifarResNet(depth), random.Random(0)
    assert lesion_draws.most_swaps(model) == most
    for number in range(1, most + 1):
        pairs = lesion_draws.swaps(model, number, dice)
        touched = {(stage, place) for stage, *both in pairs for place in both}
        assert len(touched) == 2 * number
        assert not touched & {("layer2", 0), ("layer3", 0)}


def test_draws_differ_and_are_all_that_there_are():
    model, dice = nets.CifarResNet(20), random.Random(0)
    for number, expected in ((1, 5), (2, 7), (3, 3)):
        found = lesion_draws.different(lambda n=number: lesion_draws.swaps(model, n, dice), 9)
        assert len(found) == expected
    found = lesion_draws.different(lambda: lesion_draws.subset([3, 1, 2], 2, dice), 2)
    assert len(found) == 2
    assert all(one in ([3, 1], [3, 2], [1, 2]) for one in found)
    assert found[0] != found[1]


def test_each_image_takes_a_path_of_its_own():
    torch.manual_seed(0)
    model = nets.CifarResNet(14).double().eval()
    images, labels = torch.randn(3, 3, 8, 8).double(), torch.tensor([0, 1, 2])
    passes = pass_blocks(model, images, labels)
    turns = lesion_draws.turns_of(3, 6, 2, random.Random(0))
    assert turns.sum(dim=1).tolist() == [2, 2, 2]
    assert len(set(map(tuple, turns.tolist()))) > 1
    found = lesion_draws.own_paths(passes, turns)
    for image, path in enumerate(turns.int().tolist()):
        torch.testing.assert_close(found[image], gradient_along(passes, path)[image])


@pytest.mark.parametrize(("blocks", "draws"), [(1, 1), (3, 100)])
def test_sizes_of_drawn_paths_stand_for_all_of_a_length(blocks, draws):
    """With one block there is one path of each length: so nothing is left to chance."""
    torch.manual_seed(0)
    model, (images, labels) = nets.CifarResNet(8), (torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))
    if blocks == 1:
        model.layer2, model.layer3 = torch.nn.Sequential(), torch.nn.Sequential()
        model.fc = torch.nn.Linear(16, 10)
    pictures = lesion_subjects.Pictures(images, labels, images, labels, images)
    options = lesions.parse(["--path-images", "2", "--draws", str(draws)])
    found = lesions.paths(model.eval(), pictures, options, 0)
    passes = pass_blocks(model.double(), images.double(), labels)
    size = gradient_by_length(passes).sum(dim=0).flatten(1).norm(dim=1)
    norms = torch.zeros(blocks + 1, 2)
    for path in itertools.product((0, 1), repeat=blocks):
        norms[sum(path)] += gradient_along(passes, path).flatten(1).norm(dim=1) / size
    expected = [norms[k].mean().item() / math.comb(blocks, k) for k in range(blocks + 1)]
    assert found["single"] == pytest.approx(expected, rel=0.001 if blocks == 1 else 0.15)
    if blocks == 1:
        one, other = norms.sum(dim=0).tolist()
        assert found["total_error"] == pytest.approx(abs(one - other) / 2, rel=0.001)


def test_an_ensemble_without_members_is_the_mean_of_the_others():
    torch.manual_seed(0)
    members = [nets.CifarResNet(8).eval() for _ in range(3)]
    ensemble, x = lesion_subjects.Ensemble(members), torch.randn(2, 3, 8, 8)
    expected = (members[0](x).softmax(dim=1) + members[2](x).softmax(dim=1)) / 2
    torch.testing.assert_close(ensemble.without([1])(x), expected)


def test_what_is_known_is_not_what_is_judged():
    found = lesion_subjects.pictures_of("digits", 0, 0)
    assert (len(found.images), len(found.known)) == (1437, 360)


def test_new_statistics_come_from_pictures_cropped_as_in_training(monkeypatch):
    """Each is a known picture, shifted by up to four pixels: zeros at the edge, else the same."""
    monkeypatch.setattr(lesion_subjects.data, "cifar10", toy_cifar)
    state = torch.get_rng_state()
    known = lesion_subjects.pictures_of.__wrapped__("cifar10", 20, 30)
    assert torch.equal(state, torch.get_rng_state())
    toy = toy_cifar()
    wide = torch.nn.functional.pad(toy.train_images[:30], [4] * 4)
    windows = wide.unfold(2, 32, 1).unfold(3, 32, 1)  # (30, 3, 9, 9, 32, 32)
    back = (known.cropped * 0.25 + 0.5).mul(255).round().byte()
    hits = (windows == back[:, :, None, None]).flatten(4).all(dim=4).all(dim=1)
    assert hits.flatten(1).sum(dim=1).tolist() == [1] * 30
    assert len(set(hits.flatten(1).int().argmax(dim=1).tolist())) > 9

    bare = nets.CifarResNet(8)
    fresh = lesion_subjects.fresh(bare, known)
    torch.testing.assert_close(
        fresh.bn1.running_mean, bare.conv1(known.cropped).mean(dim=(0, 2, 3)).detach()
    )
    assert not torch.allclose(
        fresh.bn1.running_mean, bare.conv1(known.known).mean(dim=(0, 2, 3)).detach()
    )

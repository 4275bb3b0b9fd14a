"""The loss surface around trained networks: small runs' records, and what they stand on."""

import copy

import landscape as experiment
import pytest
import torch
from bench import landscape_networks, record
from toy_cifar import toy_cifar

from resnet_lib import nets, weights

QUICK = ["--images", "32", "--points", "3", "--plane-points", "3", "--directions", "2"]
QUICK += ["--tolerance", "0.5"]


def test_a_small_run_on_the_digits_leaves_a_record(tmp_path):
    out = tmp_path / "landscape.json"
    words = ["--networks", "plain20", "resnet20", "resnet20-matched"]
    words += ["--epochs", "1", "--seeds", "1", "--batch", "16"]
    assert experiment.main([*QUICK, *words, "--out", str(out)]) == 0
    plain, residual, matched = record.load(out)["results"]
    at_first = landscape_networks.flat(landscape_networks.new("plain20", 1)).norm().item()
    for row in (plain, residual, matched):
        assert row["slices"][0][1] == pytest.approx(row["training_loss"], rel=1e-3)
        assert row["slices"][0] == pytest.approx(row["plane"][1], rel=1e-3)
        assert [len(row[name]) for name in ("slices", "slices_running", "plane")] == [2, 2, 3]
        assert row["eigenvalue"] > 0
        assert row["rescaled"]["training_loss"] == pytest.approx(row["training_loss"], rel=0.01)
        assert row["rescaled"]["length"] == pytest.approx(at_first, rel=0.01)
    assert matched["updates"] < residual["updates"] == plain["updates"] == 12
    for row in (plain, residual):
        assert len(row["trajectory"]["points"]) == 2
        assert row["trajectory"]["shares"][0] == pytest.approx(1)
        (step,), ((first, _), (last, _)) = (row["trajectory"][k] for k in ("steps", "points"))
        assert step == pytest.approx(abs(first - last), rel=1e-3)
    assert matched["trajectory"] is None


def test_a_small_run_on_cifar_leaves_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment.data, "cifar10", toy_cifar)
    experiment._images.cache_clear()
    out = tmp_path / "landscape_cifar10.json"
    words = ["--data", "cifar10", "--networks", "plain20", "--plane-points", "0"]
    assert experiment.main([*QUICK, *words, "--out", str(out)]) == 0
    experiment._images.cache_clear()
    (row,) = record.load(out)["results"]
    assert row["plane"] is None
    assert row["test_error"] is None
    assert len(row["slices"]) == 2


def test_networks_of_degradation_are_looked_at_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment.data, "cifar10", toy_cifar)
    experiment._images.cache_clear()
    model = nets.CifarResNet(20, residual=False)
    lying = tmp_path / "runs" / "degradation-short-plain20-3"
    lying.mkdir(parents=True)
    weights.save_weights(lying / "model.safetensors", model, net="plain20")
    words = ["--data", "cifar10", "--runs", str(lying.parent), "--seed", "3"]
    options = experiment.parse([*QUICK, *words])
    found, _, _ = experiment.trained("plain20", 3, options)
    assert all(
        torch.equal(a, b) for a, b in zip(found.parameters(), model.parameters(), strict=True)
    )
    out = tmp_path / "landscape_cifar10.json"
    words += ["--networks", "plain20", "--plane-points", "0", "--out", str(out)]
    assert experiment.main([*QUICK, *words]) == 0
    experiment._images.cache_clear()
    (row,) = record.load(out)["results"]
    assert row["network"] == "plain20"
    with pytest.raises(SystemExit):
        experiment.parse(["--runs", "runs"])


def test_of_the_numbers_tried_the_nearest_loss_is_taken(monkeypatch):
    asked = []

    def learned(network, seed, updates, rate):
        asked.append(updates)
        return updates, []

    monkeypatch.setattr(landscape_networks, "learned", learned)
    found = landscape_networks.matched("any", 0, 720, 0.1, lambda n: 100 / n, 100 / 30)
    assert len(asked) == landscape_networks.TRIES
    assert found == (min(asked, key=lambda n: abs(n - 30)),) * 2
    assert abs(found[0] - 30) <= 5


def test_a_way_by_its_principal_components():
    """Three points on a line: one component has it all, and distances are kept."""
    line = torch.tensor([3.0, 4.0, 0.0])
    found = landscape_networks.trajectory([0 * line, line, 3 * line])
    assert found["shares"][:2] == pytest.approx([1, 0], abs=1e-6)
    first, second, third = (point[0] for point in found["points"])
    assert abs(second - first) == pytest.approx(5, rel=1e-3)
    assert abs(third - first) == pytest.approx(15, rel=1e-3)
    assert found["steps"] == pytest.approx([5, 10])


def test_every_seed_is_a_case(tmp_path):
    out = tmp_path / "landscape.json"
    words = ["--networks", "plain20", "--epochs", "1", "--seeds", "2", "1", "--plane-points", "0"]
    assert experiment.main([*QUICK, *words, "--out", str(out)]) == 0
    assert [row["seed"] for row in record.load(out)["results"]] == [2, 1]


def test_the_units_of_the_start_make_one_of_two_scales():
    """The same function with other filter lengths comes back to the same weights."""
    start = landscape_networks.new("plain20", 0)
    model, other = (landscape_networks.learned("plain20", 0, 2, 0.1)[0] for _ in range(2))
    other = copy.deepcopy(other)
    factors = torch.linspace(0.5, 4, 32)
    with torch.no_grad():
        other.layer2[0].conv2.weight *= factors[:, None, None, None]
    one, same = (landscape_networks.with_lengths_of(m, start) for m in (model, other))
    assert not torch.allclose(model.layer2[0].conv2.weight, other.layer2[0].conv2.weight)
    torch.testing.assert_close(one.layer2[0].conv2.weight, same.layer2[0].conv2.weight)
    lengths = [m.conv1.weight.flatten(1).norm(dim=1) for m in (one, start)]
    torch.testing.assert_close(*lengths)
    assert torch.equal(one.fc.weight, model.fc.weight)


def test_plain_and_residual_start_alike_and_see_the_same_batches():
    ways = [landscape_networks.learned(name, 0, 1, 0.1)[1] for name in ("plain20", "resnet20")]
    assert torch.equal(ways[0][0], ways[1][0])

"""Pruning and 8 bits together: a small run's record."""

import pareto
from bench import record
from toy_cifar import toy_cifar


def test_a_small_run_leaves_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(pareto.data, "cifar10", toy_cifar)
    out = tmp_path / "pareto.json"
    words = ["--shares", "0.5", "--epochs", "1", "--seeds", "1", "--turns", "2"]
    words += ["--precision", "fp32", "--calibration", "64"]
    assert pareto.main([*words, "--out", str(out)]) == 0
    whole, half, times = record.load(out)["results"]
    assert half["parameters"] < 0.6 * whole["parameters"]
    for row in (whole, half):
        assert 0.2 < row["bytes"]["int8"] / row["bytes"]["fp32"] < 0.5
        assert all(0 <= error <= 100 for errors in row["errors"].values() for error in errors)
    assert set(times["seconds"]) == {"0 fp32", "0 int8", "0.5 fp32", "0.5 int8"}
    assert all(len(turns) == 2 for turns in times["seconds"].values())

"""The experiment on 8 bits: every method gives nearly the same scores; a small run's record."""

import int8
import pytest
import torch
from bench import record
from notebooks import ROOT
from toy_cifar import toy_cifar

from resnet_lib import nets


@pytest.fixture
def small(monkeypatch):
    """A small network with statistics, and small images."""

    def make():
        torch.manual_seed(0)
        model = nets.CifarResNet(8)
        model(torch.randn(16, 3, 16, 16))
        return model

    dice = torch.Generator().manual_seed(0)
    images = torch.randn(16, 3, 16, 16, generator=dice)
    monkeypatch.setattr(int8, "large", make)
    monkeypatch.setattr(int8, "noise", lambda number: images[:number])
    return make, images


def test_every_method_gives_nearly_the_same_scores(small, monkeypatch):
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor, "freezing", inductor.freezing)  # the script sets it for good
    make, images = small
    options = int8.parse([])
    found = {name: made(images) for name, made in int8.each_method(make, [images], options)}
    torch.compiler.reset()
    assert tuple(found) == int8.METHODS
    size = found["eager"].abs().mean()
    for name, scores in found.items():
        apart = (scores - found["eager"]).abs().mean() / size
        limit = 0.1 if "int8" in name else 0.02 if name == "bfloat16" else 1e-4
        assert apart < limit, name
        if "int8" in name:
            assert apart > 1e-4, f"{name} rounds nothing"


def test_a_small_run_leaves_a_record(tmp_path, monkeypatch, small):
    monkeypatch.setattr(int8.data, "cifar10", toy_cifar)
    out = tmp_path / "int8.json"
    methods = ["eager", "folded", "onnx-int8"]
    words = ["--methods", *methods, "--turns", "2", "--batches", "1", "--calibration", "64"]
    assert int8.main([*words, "--threads", "1", "--out", str(out)]) == 0
    latency, size, accuracy = record.load(out)["results"]
    assert {name: len(turns) for name, turns in latency["seconds"].items()} == dict.fromkeys(
        methods, 2
    )
    assert size["bytes"]["onnx-int8"] < 0.4 * size["bytes"]["eager"]
    assert accuracy["changed"]["eager"] == accuracy["changed"]["folded"] == 0
    assert set(accuracy["errors"]) == set(methods)


def test_the_record_has_every_method():
    held = record.load(ROOT / "results" / "int8.json")
    asked = int8.parse([])
    assert held["configuration"]["methods"] == asked.methods
    found = {(row["what"], row["batch"]) for row in held["results"]}
    assert found == {("latency", 1), ("latency", 8), ("size", 0), ("accuracy", 0)}
    for row in held["results"]:
        if row["what"] == "latency":
            assert set(row["seconds"]) == set(int8.METHODS)
            assert {len(turns) for turns in row["seconds"].values()} == {asked.turns}

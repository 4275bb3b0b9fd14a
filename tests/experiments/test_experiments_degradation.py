"""The experiment behind chapter 13, on so few images that only its working shows."""

import argparse
import json

import degradation
import degradation_digits
import degradation_probes
import pytest
import torch
from bench import record
from notebooks import ROOT
from safetensors.torch import load_file
from test_records import VALIDATOR

from resnet_lib import data, nets, probes, train
from resnet_lib.blocks import BasicBlock

SMALL = ["--networks", "plain20", "--device", "cpu", "--threads", "1"]


def check(held):
    """What a schema cannot say of the record."""
    options = degradation.parse(held["command"].split()[2:])
    assert [options.networks, options.seeds] == [
        held["configuration"][name] for name in ("networks", "seeds")
    ]
    *epochs, end = held["results"]
    assert [one["epoch"] for one in epochs] == list(range(1, len(epochs) + 1))
    names = ("train_error", "validation_error" if options.held_out else "test_error")
    assert all(0 <= one[name] <= 100 for one in epochs for name in names)
    assert end["what"] in ("end", "not finite")
    if end["what"] == "end":
        depth = degradation.depth_of(options.networks[0])
        assert len(end["gradient_norms"]) == depth
        assert len(end["responses"]) == depth - 1
        steps = epochs[0]["steps"]
        config = degradation.settings(options.networks[0], 0, steps, options)
        assert len(epochs) == config.epochs
        assert [one["steps"] for one in epochs] == [steps * one["epoch"] for one in epochs]


def test_the_committed_records_are_whole():
    paths = sorted((ROOT / "results" / "degradation").glob("*.json"))
    assert paths
    for path in paths:
        held = record.load(path)
        check(held)
        options = held["configuration"]
        (network,), (seed,) = options["networks"], options["seeds"]
        variant = degradation.variant(degradation.parse(held["command"].split()[2:]))
        assert path.stem == f"degradation-{options['schedule']}-{network}-{seed}{variant}"


@pytest.fixture
def few(monkeypatch):
    """CIFAR-10 with 40 images, and a training of two epochs."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.arange(40) % 10
    found = data.ImageData(
        images, labels, images[:20], labels[:20], tuple("abcdefghij"), (0.5,) * 3, (0.25,) * 3
    )
    monkeypatch.setattr(degradation.data, "cifar10", lambda **_: found)
    monkeypatch.setattr(degradation, "SHORT_EPOCHS", 2)
    monkeypatch.setattr(degradation, "BATCH", 16)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def folders(tmp_path):
    return ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "results")]


def test_each_network_leaves_a_record_and_its_weights(few, tmp_path, capsys):
    words = [*SMALL, "--networks", "plain20", "resnet20", *folders(tmp_path)]
    assert degradation.main(words) == 0
    names = [f"degradation-short-{network}-0" for network in ("plain20", "resnet20")]
    paths = sorted((tmp_path / "results").iterdir())
    assert [path.name for path in paths] == [f"{name}.json" for name in names]
    for path, name in zip(paths, names, strict=True):
        held = record.load(path)
        VALIDATOR.validate(held)
        check(held)
        weights = load_file(tmp_path / "runs" / name / "model.safetensors")
        net = nets.CifarResNet(20, residual="resnet" in name)
        net.load_state_dict(weights)
    assert "training error" in capsys.readouterr().out
    assert degradation.main(words) == 0
    assert capsys.readouterr().out.count("is there already") == 2


def test_a_stopped_run_goes_on_to_the_same_record(few, tmp_path, monkeypatch, capsys):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert degradation.main([*SMALL, *folders(whole)]) == 0
    step, calls = train.training_step, []

    def stopped(*words):
        calls.append(1)
        if len(calls) == 5:  # in the second epoch
            raise KeyboardInterrupt("the run is kept")
        return step(*words)

    monkeypatch.setattr("resnet_lib.train.epochs.training_step", stopped)
    assert degradation.main([*SMALL, *folders(halved)]) == 130
    assert "the run is kept" in capsys.readouterr().out
    assert degradation.main([*SMALL, *folders(halved)]) == 0
    one, other = (
        json.loads(next((folder / "results").glob("*.json")).read_text(encoding="utf-8"))["results"]
        for folder in (whole, halved)
    )
    for results in (one, other):
        for epoch in results[:-1]:
            del epoch["seconds"]
    assert one == other


def test_a_loss_that_is_not_finite_ends_the_record(few, tmp_path, monkeypatch):
    monkeypatch.setattr(
        degradation, "settings", lambda *_: train.TrainConfig(epochs=3, learning_rate=1e12)
    )
    assert degradation.main([*SMALL, *folders(tmp_path)]) == 0
    held = record.load(next((tmp_path / "results").glob("*.json")))
    VALIDATOR.validate(held)
    assert held["results"] == [{"what": "not finite"}]


def test_the_recipe_is_the_papers():
    options = degradation.parse(["--schedule", "paper"])
    config = degradation.settings("resnet56", 3, 391, options)
    assert config.epochs * 391 == pytest.approx(64_000, rel=0.005)
    rates = {
        step: train.learning_rate(config, step, config.epochs * 391)
        for step in (0, 31_900, 32_200, 47_900, 48_200)
    }
    assert list(rates.values()) == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    assert (config.momentum, config.weight_decay, config.seed) == (0.9, 1e-4, 3)
    assert (config.precision, config.channels_last) == ("bf16", True), "as the docstring says"
    assert config.warmup_epochs == 0
    assert degradation.settings("resnet110", 0, 391, options).warmup_epochs == 1


def test_the_papers_schedule_can_be_of_another_length():
    options = degradation.parse(["--schedule", "paper", "--epochs", "60", "--precision", "fp32"])
    config = degradation.settings("plain56", 0, 391, options)
    assert config.epochs == 60
    rates = [train.learning_rate(config, epoch * 391, 60 * 391) for epoch in (29, 30, 44, 45)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert degradation.variant(options) == "-fp32-60-epochs"
    header = degradation.describe("plain56", 0, options)
    assert "--precision fp32 --epochs 60" in header["command"]


def test_batches_and_augmentation_are_the_papers():
    images = torch.zeros(256, 3, 32, 32, dtype=torch.uint8)
    labels = torch.arange(256) % 10
    mean, std = (0.5,) * 3, (0.25,) * 3
    held = data.ImageData(images, labels, images, labels, tuple("abcdefghij"), mean, std)
    batches, _ = degradation.loaders(held, 0, degradation.parse(["--device", "cpu"]))
    assert len(batches) == 256 // 128
    crop, flip, normalize = batches.transform
    assert isinstance(crop, data.RandomCrop)
    assert crop.padding == 4
    assert isinstance(flip, data.RandomFlip)
    assert normalize(images[:1]).unique().item() == -0.5 / 0.25


def test_the_nine_networks_are_the_papers():
    assert len(degradation.NETWORKS) == 9
    assert "plain110" not in degradation.NETWORKS
    for name in ("plain20", "resnet20"):
        net = degradation.build(name, 0)
        assert sum(p.numel() for p in net.parameters()) == 269_722  # 0.27 M in Table 6


def test_twins_start_alike_and_differ_in_the_addition():
    plain, residual = (degradation.build(name, 5) for name in ("plain20", "resnet20"))
    pairs = zip(plain.parameters(), residual.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    for net, adds in ((plain, False), (residual, True)):
        blocks = [module for module in net.modules() if isinstance(module, BasicBlock)]
        assert [block.residual for block in blocks] == [adds] * 9


def test_checkpoints_of_another_commit_are_refused(few, tmp_path, monkeypatch, capsys):
    assert degradation.main([*SMALL, *folders(tmp_path)]) == 0
    next((tmp_path / "results").glob("*.json")).unlink()
    monkeypatch.setattr(record, "commit", lambda: {"hash": "f" * 40, "dirty": False})
    assert degradation.main([*SMALL, *folders(tmp_path)]) == 2
    assert "plain20-0 holds another run:\n  commit was" in capsys.readouterr().err


def test_a_run_with_images_held_out_has_a_record_of_its_own(few, tmp_path, monkeypatch):
    loaders = degradation.loaders

    def few_held_out(images, seed, options):
        fewer = argparse.Namespace(**vars(options) | {"held_out": 8})
        return loaders(images, seed, fewer)

    monkeypatch.setattr(degradation, "loaders", few_held_out)
    assert degradation.main([*SMALL, "--held-out", "5000", *folders(tmp_path)]) == 0
    (path,) = (tmp_path / "results").iterdir()
    assert path.stem == "degradation-short-plain20-0-held-out"
    held = record.load(path)
    check(held)
    assert "test" not in json.dumps(held["results"])


def test_a_run_with_another_rate_and_precision_says_so_everywhere(few, tmp_path, monkeypatch):
    configs, fit = [], train.fit

    def seen(*words, **options):
        configs.append(words[3])
        return fit(*words, **options)

    monkeypatch.setattr(degradation.train, "fit", seen)
    words = [*SMALL, "--rate", "0.03", "--precision", "fp32", *folders(tmp_path)]
    assert degradation.main(words) == 0
    ((config,), (path,)) = configs, (tmp_path / "results").iterdir()
    assert (config.learning_rate, config.precision) == (0.03, "fp32")
    assert path.stem == "degradation-short-plain20-0-rate-0.03-fp32"
    held = record.load(path)
    assert "--rate 0.03 --precision fp32" in held["command"]
    check(held)
    assert degradation.describe("plain20", 0, degradation.parse(SMALL))["configuration"] == {
        "schedule": "short", "networks": ["plain20"], "seeds": [0],
        "held_out": 0, "device": "cpu", "threads": 1,
    }  # fmt: skip


def test_held_out_images_are_judged_in_place_of_the_test(few):
    images = degradation.data.cifar10()
    options = degradation.parse(["--device", "cpu"])
    options.held_out = 8
    batches, judged = degradation.loaders(images, 0, options)
    assert (batches.samples, judged.samples) == (32, 8)
    assert torch.equal(judged.images, images.train_images[32:])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--networks", "plain110"], "argument --networks: invalid choice: 'plain110'"),
        (["--seeds", "-1"], "argument --seeds: must be a whole number of at least 0, got '-1'"),
        (["--held-out", "1"], "argument --held-out: invalid choice: 1"),
        (["--precision", "fp16"], "argument --precision: invalid choice: 'fp16'"),
        (["--rate", "0"], "argument --rate: must be a number above 0, got '0'"),
        (["--epochs", "60"], "argument --epochs: is for --schedule paper"),
        (["--schedule", "long"], "argument --schedule: invalid choice: 'long'"),
    ],
)
def test_a_wrong_argument_is_named(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        degradation.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_without_cifar10_it_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RESNET_LIB_DATA", str(tmp_path))
    assert degradation.main([*SMALL, *folders(tmp_path)]) == 2
    assert "CIFAR-10 is not complete" in capsys.readouterr().err


def test_networks_are_probed_at_the_start_and_at_the_end(few, tmp_path, monkeypatch, capsys):
    small = {"ONE": slice(0, 16), "OTHER": slice(16, 32)}
    for name, part in small.items():
        monkeypatch.setattr(degradation_probes, name, part)
    out = tmp_path / "degradation_probes.json"
    words = ["--networks", "plain20", "--seeds", "0", "--runs", str(tmp_path / "runs")]
    words += ["--out", str(out)]
    assert degradation_probes.main(words) == 2
    assert "Train it first, with degradation.py" in capsys.readouterr().err
    assert degradation.main([*SMALL, *folders(tmp_path)]) == 0
    assert degradation_probes.main(words) == 0
    held = record.load(out)
    VALIDATOR.validate(held)
    assert check_probes(held) == [("plain20", 0, "start"), ("plain20", 0, "end")]

    images = degradation.data.cifar10()
    inputs = data.Normalize(images.mean, images.std)(images.train_images[:16])
    net = degradation.build("plain20", 0)
    for row in held["results"]:
        norms = probes.gradient_norms(net.train(), inputs, images.train_labels[:16])
        assert row["norms"] == pytest.approx(list(norms.values()), rel=1e-2)
        path = tmp_path / "runs" / "degradation-short-plain20-0" / "model.safetensors"
        net.load_state_dict(load_file(path))
    clean = train.evaluate(
        net, data.Batches(data.Normalize(images.mean, images.std)(images.train_images),
                          images.train_labels, 40)
    )  # fmt: skip
    assert held["results"][1]["clean_error"] == pytest.approx(100 * (1 - clean.accuracy))
    assert held["results"][0]["clean_error"] is None
    assert all(row["bf16"] < row["fp32"] > 0.99 for row in held["results"])
    assert held["results"][0]["norms"] != held["results"][1]["norms"]


def check_probes(held):
    for row in held["results"]:
        assert len(row["norms"]) == degradation.depth_of(row["network"])
        assert all(norm > 0 for norm in row["norms"])
        assert -1 <= row["cosine"] <= 1
        assert -1 <= row["after_step"] <= 1
        assert -1 <= row["bf16"] <= 1
        assert len(row["lengths"]) == len(row["norms"])
    return [tuple(row[name] for name in ("network", "seed", "when")) for row in held["results"]]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").glob("degradation_probes*.json")), ids=lambda p: p.stem
)
def test_the_committed_record_of_the_probes_is_whole(path):
    held = record.load(path)
    options = held["configuration"]
    assert check_probes(held) == [
        (network, seed, when)
        for network in options["networks"]
        for seed in options["seeds"]
        for when in ("start", "end")
    ]


# The small question, on the digits.


def check_digits(held):
    options = held["configuration"]
    names = ("depth", "kind", "rate")
    expected = [
        (depth, kind, rate)
        for depth in options["depths"]
        for kind in options.get("kinds", degradation_digits.KINDS)
        for rate in options.get("rates", degradation_digits.RATES)
    ]
    assert [tuple(row[name] for name in names) for row in held["results"]] == expected
    for row in held["results"]:
        for errors in (row["training"], row["test"]):
            assert len(errors) == options["seeds"]
            assert all(error is None or 0 <= error <= 100 for error in errors)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").glob("degradation_digits*.json")), ids=lambda p: p.stem
)
def test_a_committed_record_of_the_digits_is_whole(path):
    check_digits(record.load(path))


def test_a_small_run_on_the_digits_leaves_a_whole_record(tmp_path):
    threads, out = torch.get_num_threads(), tmp_path / "degradation_digits.json"
    words = ["--depths", "8", "--seeds", "2", "--epochs", "2", "--rates", "0.1", "--out", str(out)]
    try:
        assert degradation_digits.main(words) == 0
    finally:
        torch.set_num_threads(threads)
    held = record.load(out)
    VALIDATOR.validate(held)
    check_digits(held)
    assert max(held["results"][1]["training"]) < 60, "the residual network has learned nothing"


@pytest.mark.parametrize("kind", degradation_digits.KINDS)
def test_a_run_is_of_its_kind_and_depth_and_judged_with_new_statistics(kind, monkeypatch):
    made, make = [], nets.CifarResNet

    def seen(*words, **options):
        made.append(make(*words, **options))
        return made[-1]

    monkeypatch.setattr(nets, "CifarResNet", seen)
    _, tested = degradation_digits.one_run(14, kind, 0.03, seed=1, epochs=2)
    (net,) = made
    blocks = [module for module in net.modules() if isinstance(module, BasicBlock)]
    assert [block.residual for block in blocks] == [kind == "residual"] * 6
    digits = data.digits()
    normalize = digits.normalize
    torch.optim.swa_utils.update_bn(
        data.Batches(digits.train_images, digits.train_labels, 1437, transform=normalize), net
    )
    found = train.evaluate(
        net, data.Batches(digits.test_images, digits.test_labels, 90, transform=normalize)
    )
    # The statistics are the mean over batches in the script, over all images at once here.
    assert tested == pytest.approx(100 * (1 - found.accuracy), abs=6)


def test_a_rate_that_is_far_too_high_leaves_no_number():
    assert degradation_digits.one_run(8, "plain", 1e12, seed=0, epochs=1) == (None, None)

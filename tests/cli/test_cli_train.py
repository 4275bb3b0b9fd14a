"""The command train: what it leaves behind, how it goes on, and how it fails."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import sys
import warnings

import pytest
import torch
from safetensors import safe_open
from torchvision.datasets import CIFAR10
from toy_cli import SMALL, carried_out, done, pictures, read, rows, same_bits, weights

from resnet_cli import datasets, epoch_report
from resnet_cli.command_words import python
from resnet_cli.main import main
from resnet_cli.run_folder import DataFacts
from resnet_cli.settings import TrainSettings
from resnet_lib import data, nets, train
from resnet_lib.train import Checkpoints, TrainConfig
from resnet_lib.weights import load_weights

QUICK = (*SMALL, "--epochs", "2")
DIGITS = TrainSettings(data="digits", net="resnet8")
FILES = ["checkpoints", "history.json", "model.safetensors", "run.json"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two epochs, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    return folder, done(*QUICK, "--out", folder)


@pytest.fixture
def stop_at(monkeypatch):
    """Make the run fail, or be stopped, when an epoch is reported."""

    def arrange(epoch, what):
        report = epoch_report.Report.__call__

        def reported(self, row):
            report(self, row)
            if row["epoch"] == epoch:
                what()

        monkeypatch.setattr(epoch_report.Report, "__call__", reported)

    return arrange


def digits_batches(config):
    """The same data as the command line's, put together here."""
    found = data.digits()
    augmented = torch.nn.Sequential(data.RandomCrop(1), found.normalize)
    return (
        data.Batches(
            found.train_images,
            found.train_labels,
            256,
            shuffle=True,
            transform=augmented,
            seed=config.seed,
        ),
        data.Batches(found.test_images, found.test_labels, 256, transform=found.normalize),
    )


# What a run leaves behind


def test_a_run_is_what_the_library_makes_of_the_same_settings(run):
    config = TrainConfig(epochs=2)
    torch.manual_seed(config.seed)
    net = nets.CifarResNet(8, in_channels=1)
    batches, test = digits_batches(config)
    history = train.fit(net, batches, test, config, progress=False)
    for name, value in net.state_dict().items():
        assert torch.equal(weights(run[0])[name], value), name
    for row, expected in zip(rows(run[0]), history.epochs, strict=True):
        assert row["train_loss"] == expected["train_loss"]
        assert row["test_loss"] == expected["validation_loss"]
        assert row["test_accuracy"] == expected["validation_accuracy"]


def test_the_folder_holds_the_run_and_nothing_half_written(run):
    folder, _ = run
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert not list(folder.rglob("*.new"))
    kept = read(folder / "run.json")
    assert kept["command"] == f"{python()} -m resnet_lib {' '.join(QUICK)} --out {folder}"
    assert kept["config"] == {**vars(TrainConfig(epochs=2)), "milestones": [0.5, 0.75]}
    assert kept["settings"]["batch_size"] == 256
    assert kept["settings"]["threads"] == torch.get_num_threads()
    assert kept["data"]["mean"] == list(data.digits().mean)
    assert kept["versions"]["torch"] == torch.__version__
    assert kept["processes"] == 1


def test_the_weights_load_strictly_and_say_what_they_are(run):
    folder, _ = run
    net = nets.CifarResNet(8, in_channels=1)
    assert load_weights(net, folder / "model.safetensors") == []
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert list(file.metadata()) == ["resnet_lib"]
        assert '"net": "resnet8"' in file.metadata()["resnet_lib"]


def test_a_line_for_each_epoch_and_the_test_result(run):
    folder, text = run
    history = read(folder / "history.json")
    lines = [line for line in text.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 2
    for line, row in zip(lines, history["epochs"], strict=True):
        error = f"{100 * (1 - row['train_accuracy']):.2f} %"
        assert line.startswith(f"epoch {row['epoch']}/2  train loss {row['train_loss']:.4f}, error")
        assert error in line
        assert f"test loss {row['test_loss']:.4f}" in line
        rate = 1437 / row["seconds"]
        assert line.endswith(f"{row['seconds']:.1f} s, {rate:,.0f} images/s")
    assert history["test"]["samples"] == 360
    assert f"test: loss {history['test']['loss']:.4f}, error" in text
    assert history["test"]["accuracy"] == history["epochs"][-1]["test_accuracy"]


def test_the_same_seed_gives_the_same_run_and_another_does_not(run, tmp_path):
    done(*QUICK, "--out", tmp_path / "same")
    done(*QUICK, "--out", tmp_path / "other", "--seed", "1")
    assert same_bits(run[0], tmp_path / "same")
    assert rows(run[0]) == rows(tmp_path / "same")
    assert not same_bits(run[0], tmp_path / "other")


def test_every_field_arrives(tmp_path):
    """Each option with a value that is not its default, in run.json as TrainConfig has it."""
    given = {
        "epochs": 1, "optimizer": "adamw", "learning_rate": 0.002, "momentum": 0.8,
        "weight_decay": 0.01, "decay_norm_and_bias": False, "schedule": "step",
        "warmup_epochs": 0.5, "milestones": [0.25, 0.5], "gamma": 0.5, "label_smoothing": 0.1,
        "clip_norm": 1.5, "micro_batches": 2, "precision": "bf16", "channels_last": True,
        "deterministic": True, "ema_decay": 0.9, "patience": 3, "keep_best": True, "seed": 5,
    }  # fmt: skip
    left = {"nesterov", "compile", "sync_batch_norm", "find_unused_parameters"}
    assert set(given) | left == set(vars(TrainConfig()))
    words = [*SMALL, "--out", tmp_path / "run", "--validation", "0.2"]
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *(value if isinstance(value, list) else [value])]
    done(*words)
    kept = read(tmp_path / "run" / "run.json")["config"]
    assert {name: kept[name] for name in given} == given
    assert all(kept[name] is False for name in left)


def test_sgd_takes_nesterov(tmp_path):
    done(*SMALL, "--epochs", "1", "--nesterov", "--out", tmp_path / "run")
    assert read(tmp_path / "run" / "run.json")["config"]["nesterov"] is True


def test_a_share_is_held_out_and_the_test_comes_last(tmp_path):
    text = done(*QUICK, "--validation", "0.25", "--patience", "1", "--out", tmp_path / "run")
    history = read(tmp_path / "run" / "history.json")
    assert "digits: 1,077 training, 360 validation, 360 test images" in text
    assert "test loss" not in text
    assert text.count("validation loss") == len(history["epochs"])
    assert all("test_loss" not in row for row in history["epochs"])
    assert history["test"]["samples"] == 360
    assert history["best_epoch"] in (1, 2)
    assert f"The weights are those of epoch {history['best_epoch']}" in text


def test_held_out_images_are_of_every_class_and_not_trained_on():
    images = datasets.load(DIGITS, train.World("cpu"))
    parts = datasets.split(images, 0.25)
    again = datasets.split(images, 0.25)
    assert torch.equal(parts.judged[1], again.judged[1])
    counts = parts.judged[1].bincount() / images.train_labels.bincount()
    assert ((counts > 0.23) & (counts < 0.27)).all()
    together = torch.cat([parts.train[0], parts.judged[0]]).flatten(1)
    rows_of = {tuple(row) for row in together.tolist()}
    assert rows_of == {tuple(row) for row in images.train_images.flatten(1).tolist()}
    assert len(together) == len(images.train_images)


def test_dropout_stands_before_the_head_and_leaves_names(tmp_path, run):
    done(*QUICK, "--dropout", "0.5", "--out", tmp_path / "run")
    assert list(weights(tmp_path / "run")) == list(weights(run[0]))
    assert not same_bits(tmp_path / "run", run[0])


@pytest.mark.parametrize("words", [("--no-augment",), ("--color-jitter", "0.2", "0.2", "0", "0")])
def test_augmentation_changes_the_run(words, tmp_path, run):
    done(*QUICK, *words, "--out", tmp_path / "run")
    assert not same_bits(tmp_path / "run", run[0])


@pytest.mark.parametrize(
    ("name", "asked", "kinds"),
    [
        ("digits", {}, ["RandomCrop(padding=1)"]),
        ("digits", {"flip": True}, ["RandomCrop(padding=1)", "RandomFlip(p=0.5)"]),
        ("cifar10", {}, ["RandomCrop(padding=4)", "RandomFlip(p=0.5)"]),
        ("cifar10", {"crop": False}, ["RandomFlip(p=0.5)"]),
        ("pets", {}, ["RandomCrop(padding=4)"]),
        ("pets", {"flip": True}, ["RandomCrop(padding=4)", "RandomFlip(p=0.5)"]),
        ("pets", {"augment": False}, []),
        ("pets", {"augment": False, "flip": True}, ["RandomFlip(p=0.5)"]),
    ],
)
def test_augmentation_fits_the_data(name, asked, kinds):
    size = 8 if name == "digits" else 32
    settings = TrainSettings(data=name, color_jitter=(0.1, 0.1, 0.1, 0.1), **asked)
    facts = DataFacts(("a", "b"), (1, size, size), 1, 1, (0.5,), (0.2,), "")
    augmented, plain = datasets.transforms(settings, facts)
    found = [str(module) for module in augmented]
    assert len(found) == len(kinds) + 2
    assert all(one.startswith(kind) for one, kind in zip(found, kinds, strict=False))
    assert found[-2].startswith("ColorJitter")
    assert found[-1] == str(plain) == "Normalize(mean=(0.5,), std=(0.2,))"


def test_weights_are_where_a_training_starts(run, tmp_path):
    start = ("--weights", run[0] / "model.safetensors", "--epochs", "1", "--learning-rate", "1e-9")
    done(*SMALL, *start, "--out", tmp_path / "near")
    near, old = weights(tmp_path / "near"), weights(run[0])
    assert torch.allclose(near["layer1.0.conv1.weight"], old["layer1.0.conv1.weight"], atol=1e-6)
    done(*SMALL, *start, "--leave-out", "fc", "--out", tmp_path / "headless")
    headless = weights(tmp_path / "headless")
    assert torch.allclose(
        headless["layer1.0.conv1.weight"], old["layer1.0.conv1.weight"], atol=1e-6
    )
    torch.manual_seed(0)
    fresh = nets.CifarResNet(8, in_channels=1).fc.weight.detach()
    assert torch.allclose(headless["fc.weight"], fresh, atol=1e-6)


def test_tensorboard_gets_the_epochs(tmp_path):
    pytest.importorskip("tensorboard")
    done(*SMALL, "--epochs", "1", "--tensorboard", "--out", tmp_path / "run")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"test/loss" in events.read_bytes()
    assert b"learning_rate" in events.read_bytes()


def test_a_folder_of_pictures_is_trained_on(tmp_path):
    place = pictures(tmp_path / "pets")
    words = ("train", "--net", "resnet8", "--data", place, "--size", "8", "--batch-size", "5")
    text = done(*words, "--epochs", "2", "--out", tmp_path / "run")
    assert f"{place}: 10 training, 2 test images of 3 × 8 × 8" in text
    kept = read(tmp_path / "run" / "run.json")
    assert kept["data"]["classes"] == ["bright", "dark"]
    assert kept["settings"]["data"] == str(place)


def test_pictures_are_as_large_as_those_of_the_weights_to_start_from(tmp_path):
    words = ("train", "--net", "resnet8", "--data", pictures(tmp_path / "pets"), "--epochs", "1")
    done(*words, "--size", "16", "--out", tmp_path / "first")
    start = ("--weights", tmp_path / "first" / "model.safetensors")
    done(*words, *start, "--out", tmp_path / "second")
    assert read(tmp_path / "second" / "run.json")["data"]["image"] == [3, 16, 16]
    assert read(tmp_path / "second" / "run.json")["settings"]["size"] == 16
    done(*words, *start, "--size", "8", "--out", tmp_path / "third")
    assert read(tmp_path / "third" / "run.json")["data"]["image"] == [3, 8, 8]


def test_unreadable_pictures_are_named_and_left_out_when_asked(tmp_path):
    place = pictures(tmp_path / "pets")
    (place / "dark" / "9.png").write_bytes(b"no picture")
    words = ("train", "--net", "resnet8", "--data", place, "--size", "8", "--epochs", "1")
    words = (*words, "--out", tmp_path / "run")
    ended = carried_out(*words)
    assert ended.code == 1
    assert "On the command line: --skip-unreadable" in ended.err
    assert "dark/9.png: not an image" in ended.err
    assert not (tmp_path / "run").exists()
    ended = carried_out(*words, "--skip-unreadable")
    assert ended.code == 0
    assert re.match(r"warning: 1 of the files in .*pets are left out:\n  dark/9.png", ended.err)


# Going on


def test_a_stopped_run_goes_on_to_the_same_bits(run, tmp_path, stop_at):
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    folder = tmp_path / "a run"
    ended = carried_out(*QUICK, "--out", folder)
    assert ended.code == 130
    assert ended.err == (
        "python -m resnet_lib train: stopped after update 7; the run is kept in "
        f"{folder}/checkpoints\nGo on with: {python()} -m resnet_lib train --resume '{folder}'\n"
    )
    assert not (folder / "model.safetensors").exists()
    text = done("train", "--resume", folder)
    assert "going on after update 7\nepoch 2/2 " in text
    assert same_bits(run[0], folder)
    assert rows(run[0]) == rows(folder)


def test_a_second_ctrl_c_does_not_wait_and_loses_no_more_than_an_epoch(run, tmp_path, stop_at):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    stop_at(1, twice)
    # Tests that a shell started in the background ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ended = carried_out(*QUICK, "--out", tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.code == 130
    assert ended.err.startswith("python -m resnet_lib train: stopped at once\nGo on with: ")
    done("train", "--resume", tmp_path / "run")
    assert same_bits(run[0], tmp_path / "run")


def test_sigterm_ends_with_a_status_of_its_own(tmp_path, stop_at):
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    ended = carried_out(*QUICK, "--out", tmp_path / "run")
    assert ended.code == 143
    assert f"Go on with: {python()} -m resnet_lib train --resume" in ended.err


def test_stopped_before_it_began_there_is_nothing_to_go_on_with(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load", stop)
    ended = carried_out(*QUICK, "--out", tmp_path / "run")
    assert (ended.code, ended.err) == (130, "python -m resnet_lib train: stopped at once\n")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_evaluated_again_and_stays(run, tmp_path):
    before = {path: path.read_bytes() for path in run[0].rglob("*") if path.is_file()}
    text = done("train", "--resume", run[0])
    assert "going on after update 12\ntest: loss" in text
    assert {path: path.read_bytes() for path in run[0].rglob("*") if path.is_file()} == before


def test_a_run_goes_on_without_the_weights_it_started_from(run, tmp_path, stop_at):
    start = tmp_path / "start.safetensors"
    start.write_bytes((run[0] / "model.safetensors").read_bytes())
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert carried_out(*QUICK, "--weights", start, "--out", tmp_path / "run").code == 130
    start.unlink()
    done("train", "--resume", tmp_path / "run")
    assert len(rows(tmp_path / "run")) == 2


def test_what_was_given_anew_stands_in_the_next_command(tmp_path, stop_at):
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert carried_out(*QUICK, "--out", tmp_path / "run").code == 130
    stop_at(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    ended = carried_out("train", "--resume", tmp_path / "run", "--threads", "1", "--save-every", 2)
    assert ended.code == 130
    assert f"--resume {tmp_path / 'run'} --threads 1 --save-every 2" in ended.err


def test_the_history_is_whole_at_every_epoch(tmp_path, stop_at):
    folder = tmp_path / "run"
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert carried_out(*SMALL, "--epochs", "3", "--out", folder).code == 130
    assert [row["epoch"] for row in rows(folder)] == [1]
    stop_at(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert carried_out("train", "--resume", folder).code == 130
    assert [row["epoch"] for row in rows(folder)] == [1, 2]
    # Without checkpoints the first epoch comes a second time, and is stopped again.
    shutil.rmtree(folder / "checkpoints")
    ended = carried_out("train", "--resume", folder)
    assert ended.code == 130
    assert "going on from the beginning" in ended.out
    assert [row["epoch"] for row in rows(folder)] == [1]


def test_threads_are_set_and_kept(tmp_path):
    before = torch.get_num_threads()
    try:
        done(*SMALL, "--epochs", "1", "--threads", before + 1, "--out", tmp_path / "run")
        assert torch.get_num_threads() == before + 1
        torch.set_num_threads(before)
        done("train", "--resume", tmp_path / "run")
        assert torch.get_num_threads() == before + 1
        done("evaluate", "--run", tmp_path / "run", "--threads", before)
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


def test_the_command_names_torchrun_where_that_started_it(run, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    for size, nodes in (("4", ""), ("8", "--nnodes=2 ")):
        monkeypatch.setenv("WORLD_SIZE", size)
        ended = carried_out(*QUICK, "--out", run[0])
        start = f"torchrun {nodes}--nproc-per-node=4 -m resnet_lib train --resume {run[0]}"
        assert start in ended.err


# Refusals and failures


def test_a_folder_with_a_run_is_refused_with_the_command_that_goes_on(run):
    ended = carried_out(*QUICK, "--out", run[0])
    assert ended.code == 2
    assert f"{run[0]} already holds a run" in ended.err
    assert f"{python()} -m resnet_lib train --resume {run[0]}" in ended.err


@pytest.mark.parametrize("name", ["checkpoints", "model.safetensors", "history.json"])
def test_a_folder_with_parts_of_a_run_is_refused(name, tmp_path):
    (tmp_path / name).mkdir()
    ended = carried_out(*QUICK, "--out", tmp_path)
    assert ended.code == 2
    assert f"holds {name} of a run without its run.json" in ended.err


def test_other_files_in_the_folder_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done(*SMALL, "--epochs", "1", "--out", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "notes.txt"])


LATE = {
    "size": (("--size", "9"), "argument --size: must be one of 8, 16, 32, got 9"),
    "hue": (("--color-jitter", "0", "0", "0", "0.6"), "--color-jitter: hue must be a number of at"),
    "no jitter": (("--color-jitter", "0", "0", "0", "0"), "got 0 for all four"),
    "too few left": (
        ("--validation", "0.999"),
        "--validation: must leave images of each of the 10",
    ),
    "too few held out": (("--validation", "0.001"), "sides, got 0.001 of 1,437 images"),
}


@pytest.mark.parametrize("name", LATE)
def test_what_the_data_rule_out_is_refused_too(name, tmp_path):
    words, message = LATE[name]
    ended = carried_out(*QUICK, *words, "--out", tmp_path / "run")
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words", [("--batch-size", "1436"), ("--batch-size", "1437", "--micro-batches", "1436")]
)
def test_a_last_part_of_one_image_is_refused(words, tmp_path):
    ended = carried_out(
        "train", "--net", "resnet18", "--data", "digits", *words, "--out", tmp_path / "run"
    )
    assert ended.code == 2
    assert "argument --batch-size: 1437 images in batches of" in ended.err
    assert not (tmp_path / "run").exists()


def test_a_last_part_of_one_image_is_fine_where_it_has_positions(tmp_path):
    done(
        "train",
        "--net",
        "resnet8",
        "--data",
        "digits",
        "--batch-size",
        "1436",
        "--epochs",
        "1",
        "--out",
        tmp_path / "run",
    )


def write(path, text):
    path.write_bytes(text)
    return path


def other_weights(path, net):
    torch.save(net.state_dict(), path)
    return path


UNFIT = {
    "damaged": (
        lambda path: write(path / "w.safetensors", b"damaged"),
        "is truncated or no file of weights",
    ),
    "no weights": (
        lambda path: write(path / "w.pt", b"damaged"),
        "truncated or no file of weights",
    ),
    "another network": (
        lambda path: other_weights(path / "w.pt", nets.CifarResNet(14, in_channels=1)),
        "source does not fit the model",
    ),
    "another head": (
        lambda path: other_weights(path / "w.pt", nets.CifarResNet(8, 7, 1)),
        "--leave-out fc loads the rest",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_weights_that_do_not_fit_fail(name, tmp_path):
    make, message = UNFIT[name]
    ended = carried_out(*QUICK, "--weights", make(tmp_path), "--out", tmp_path / "run")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(f"python -m resnet_lib train: error: --weights {tmp_path}/w.")
    assert message in line
    assert not (tmp_path / "run").exists()


def test_cifar10_that_is_damaged_fails(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*dict(CIFAR10.train_list), *dict(CIFAR10.test_list), CIFAR10.meta["filename"]]:
        (folder / name).write_bytes(b"damaged")
    words = ("train", "--net", "resnet8", "--data", "cifar10", "--data-root", tmp_path)
    ended = carried_out(*words, "--out", tmp_path / "run")
    assert ended.code == 1
    assert "is truncated or altered: its MD5 sum is" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_loss_that_is_not_finite_fails(tmp_path):
    ended = carried_out(*QUICK, "--learning-rate", "1e30", "--out", tmp_path / "run")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert "became infinite or NaN in epoch 1" in line
    assert f"The last good state is {tmp_path / 'run'}" in line


def test_a_full_disk_fails_and_says_how_to_go_on(run, tmp_path):
    """No file may grow beyond 100 kB, which the system says as it says that a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        ended = carried_out(*QUICK, "--out", tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert ended.code == 1
    assert ended.err.splitlines() == [
        f"python -m resnet_lib train: error: {os.strerror(errno.EFBIG)}",
        f"Go on with: {python()} -m resnet_lib train --resume {tmp_path / 'run'}",
    ]
    assert not list((tmp_path / "run").rglob("*.new"))
    done("train", "--resume", tmp_path / "run")
    assert same_bits(run[0], tmp_path / "run")


def test_output_that_nobody_reads_fails(tmp_path, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert main([*QUICK, "--out", str(tmp_path / "run")]) == 1
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            gone.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


@pytest.mark.parametrize("damage", [1, 2])
def test_damaged_checkpoints(run, tmp_path, stop_at, damage):
    """With one left that is whole the run goes on from there, and says so."""
    folder = tmp_path / "run"
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert carried_out(*QUICK, "--out", folder).code == 130
    for path in Checkpoints(folder / "checkpoints").paths()[:damage]:
        path.with_suffix(".safetensors").write_bytes(b"damaged")
    ended = carried_out("train", "--resume", folder)
    if damage == 1:
        assert ended.code == 0
        assert re.match(r"warning: .* cannot be used: .* Going on from ", ended.err)
        assert same_bits(run[0], folder)
    else:
        assert ended.code == 1
        assert f"To begin anew, remove the folder {folder / 'checkpoints'}" in ended.err
        assert len(ended.err.splitlines()) == 1


BROKEN = {
    "no JSON": (lambda kept: "{", "run.json is damaged: "),
    "no object": (lambda kept: [], "run.json is not of this version of resnet_lib, or no run"),
    "newer": (lambda kept: kept | {"format": 2}, "run.json is not of this version"),
    "no data": (lambda kept: kept | {"data": {}}, "run.json is damaged: data lacks classes, image"),
    "other fields": (lambda kept: kept | {"config": {"lr": 1}}, "TrainConfig has no lr"),
    "bad field": (
        lambda kept: kept | {"config": {"epochs": 0}},
        "run.json cannot be used: argument --epochs: must be finite and at least 1, got 0",
    ),
    "bad setting": (
        lambda kept: kept | {"settings": kept["settings"] | {"batch_size": "many"}},
        "run.json cannot be used: ",
    ),
    "bad network": (
        lambda kept: kept | {"settings": kept["settings"] | {"net": "vgg16"}},
        "run.json cannot be used: name must be resnet18",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_damaged_run_file_fails(run, tmp_path, name):
    change, message = BROKEN[name]
    found = change(read(run[0] / "run.json"))
    (tmp_path / "run.json").write_text(found if isinstance(found, str) else json.dumps(found))
    ended = carried_out("train", "--resume", tmp_path)
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert message in line


def test_a_run_does_not_go_on_with_other_data(tmp_path, stop_at):
    place = pictures(tmp_path / "pets")
    words = ("train", "--net", "resnet8", "--data", place, "--size", "8", "--epochs", "2")
    stop_at(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert carried_out(*words, "--batch-size", "5", "--out", tmp_path / "run").code == 130
    (place / "dark" / "0.png").unlink()
    ended = carried_out("train", "--resume", tmp_path / "run")
    assert ended.code == 1
    assert "the data have changed since the run began" in ended.err
    assert "had 10 training and 2 test images, has 9 and 2" in ended.err


def test_what_nobody_expects_keeps_its_traceback(tmp_path, monkeypatch):
    def fault(*_):
        raise RuntimeError("a fault in the library")

    monkeypatch.setattr(datasets, "split", fault)
    with pytest.raises(RuntimeError, match="a fault in the library"):
        carried_out(*QUICK, "--out", tmp_path / "run")


def test_out_of_memory_says_what_helps(tmp_path, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nand more")

    monkeypatch.setattr("resnet_cli.train_command.fit", full)
    ended = carried_out(*QUICK, "--out", tmp_path / "run")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert (
        "out of memory (CUDA out of memory. Tried to allocate 2 GiB.): try --micro-batches" in line
    )


def test_warnings_come_in_one_line(tmp_path, monkeypatch):
    load = datasets.load

    def warned(*words):
        warnings.warn("the weather is bad", stacklevel=1)
        return load(*words)

    monkeypatch.setattr(datasets, "load", warned)
    ended = carried_out(*SMALL, "--epochs", "1", "--out", tmp_path / "run")
    assert (ended.code, ended.err) == (0, "warning: the weather is bad\n")

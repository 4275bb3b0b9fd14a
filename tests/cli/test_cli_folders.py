"""A reader's own folder: its parts, its classes, its move, more epochs, settings in a file."""

import os

import pytest
import torch
from toy_cli import SMALL, carried_out, done, pictures, read, rows, same_bits, weights

from resnet_cli.settings import FOLDER_CONFIG

TOY = ("train", "--net", "resnet8", "--size", "8", "--batch-size", "4", "--epochs", "2")


@pytest.fixture
def three_parts(tmp_path):
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        pictures(tmp_path / "pets" / part, count=count)
    return tmp_path / "pets"


def test_a_validation_part_is_evaluated_after_each_epoch(three_parts, tmp_path):
    folder = tmp_path / "run"
    text = done(*TOY, "--data", three_parts, "--keep-best", "--out", folder)
    assert "12 training, 6 validation, 4 test images of 3 × 8 × 8" in text
    assert "classes: bright 11, dark 11" in text
    assert text.count("validation loss") == 2
    assert "test: loss" in text
    assert "of 4 images" in text
    kept = read(folder / "run.json")["data"]
    assert (kept["train_images"], kept["validation_images"], kept["test_images"]) == (12, 6, 4)
    ended = carried_out(*TOY, "--data", three_parts, "--validation", "0.2", "--out", tmp_path / "x")
    assert ended.code == 2
    assert "argument --validation: the folder has a validation part" in ended.err
    text = done("evaluate", "--run", folder, "--part", "validation")
    assert "images    6 of 22, the validation part" in text


def test_weights_are_not_chosen_by_the_test_part(tmp_path):
    place = pictures(tmp_path / "pets")
    ended = carried_out(*TOY, "--data", place, "--keep-best", "--out", tmp_path / "run")
    assert ended.code == 2
    assert "argument --keep-best: needs --validation above 0" in ended.err
    assert not (tmp_path / "run").exists()


def test_a_folder_has_defaults_of_its_own_and_options_win(tmp_path):
    place = pictures(tmp_path / "pets")
    words = ("train", "--net", "resnet8", "--data", place, "--size", "8")
    done(*words, "--out", tmp_path / "usual")
    kept = read(tmp_path / "usual" / "run.json")
    assert {name: kept["config"][name] for name in FOLDER_CONFIG} == FOLDER_CONFIG
    assert kept["config"]["warmup_epochs"] == 0.1 * FOLDER_CONFIG["epochs"]
    assert kept["settings"]["batch_size"] == 32
    told = ("--epochs", "1", "--learning-rate", "0.3", "--warmup-epochs", "0.5")
    done(*words, *told, "--out", tmp_path / "told")
    kept = read(tmp_path / "told" / "run.json")["config"]
    assert (kept["epochs"], kept["learning_rate"], kept["warmup_epochs"]) == (1, 0.3, 0.5)
    done(*words, "--epochs", "1", "--optimizer", "adamw", "--out", tmp_path / "adamw")
    assert read(tmp_path / "adamw" / "run.json")["config"]["learning_rate"] == 1e-3


def test_a_folder_that_moved_is_named_anew(tmp_path, monkeypatch):
    place = pictures(tmp_path / "pets")
    done(*TOY, "--data", place, "--schedule", "constant", "--out", tmp_path / "whole")
    short = (*TOY[:-1], "1")
    done(*short, "--data", place, "--schedule", "constant", "--out", tmp_path / "run")
    moved = place.rename(tmp_path / "animals")
    ended = carried_out("train", "--resume", tmp_path / "run", "--epochs", "2")
    assert ended.code == 1
    assert f"there is no folder {place}: if it was moved, add --data FOLDER" in ended.err
    done("train", "--resume", tmp_path / "run", "--epochs", "2", "--data", moved)
    assert same_bits(tmp_path / "whole", tmp_path / "run")
    kept = read(tmp_path / "run" / "run.json")
    assert kept["settings"]["data"] == str(moved)
    assert kept["config"]["epochs"] == 2
    (moved / "dark" / "0.png").unlink()
    ended = carried_out("train", "--resume", tmp_path / "run")
    assert ended.code == 1
    assert "the data have changed since the run began" in ended.err
    ended = carried_out("evaluate", "--run", tmp_path / "run", "--data", moved)
    assert "has changed since the training" in ended.err


def test_more_epochs_after_the_end(tmp_path):
    constant = (*SMALL, "--schedule", "constant", "--epochs")
    done(*constant, "2", "--out", tmp_path / "whole")
    done(*constant, "1", "--out", tmp_path / "run")
    text = done("train", "--resume", tmp_path / "run", "--epochs", "2")
    assert "going on after update 6\nepoch 2/2 " in text
    assert same_bits(tmp_path / "whole", tmp_path / "run")
    assert rows(tmp_path / "whole") == rows(tmp_path / "run")
    done("train", "--resume", tmp_path / "run")


def test_a_schedule_that_has_ended_cannot_go_on_and_the_way_is_shown(tmp_path):
    done(*SMALL, "--epochs", "1", "--out", tmp_path / "run")
    before = weights(tmp_path / "run")
    ended = carried_out("train", "--resume", tmp_path / "run", "--epochs", "2")
    assert ended.code == 2
    assert "only a run with --schedule constant can take more" in ended.err
    words = ended.err.splitlines()[-1].split()
    start = words[words.index("train") :]
    assert str(tmp_path / "run" / "model.safetensors") in start
    done(*start, "--epochs", "1", "--batch-size", "256")
    after = weights(tmp_path / "run")
    assert all(torch.equal(before[name], after[name]) for name in before), (
        "the old run is as it was"
    )


def test_decoded_pictures_can_lie_in_a_file(tmp_path):
    place = pictures(tmp_path / "pets")
    done(*TOY, "--data", place, "--out", tmp_path / "memory")
    done(*TOY, "--data", place, "--cache", tmp_path / "cache", "--out", tmp_path / "disk")
    assert same_bits(tmp_path / "memory", tmp_path / "disk")
    assert any("cache" in name for name in os.listdir(tmp_path))


def test_a_last_batch_that_is_not_full_can_be_left_out(tmp_path):
    place = pictures(tmp_path / "pets", count=8)
    words = ("train", "--net", "resnet18", "--data", place, "--size", "32", "--epochs", "1")
    words = (*words, "--batch-size", "11")
    ended = carried_out(*words, "--no-drop-last", "--out", tmp_path / "run")
    assert ended.code == 2
    assert "leave it out with --drop-last" in ended.err
    text = done(*words, "--out", tmp_path / "run")
    assert "1 steps of 11 images per epoch" in text


def test_weights_with_another_head_start_a_training(tmp_path):
    done(*SMALL, "--epochs", "1", "--out", tmp_path / "digits")
    place = pictures(tmp_path / "pets")
    start = ("--weights", tmp_path / "digits" / "model.safetensors")
    ended = carried_out(*TOY, "--data", place, *start, "--out", tmp_path / "run")
    assert ended.code == 1
    assert "--leave-out" in ended.err
    assert not (tmp_path / "run").exists()


# Settings in a file


def test_a_file_has_settings_and_the_command_line_wins(tmp_path):
    file = tmp_path / "digits.toml"
    file.write_text(
        'net = "resnet8"\ndata = "digits"\nepochs = 3\nbatch_size = 256\nlearning-rate = 0.05\n'
        'flip = true\nnesterov = false\nschedule = "step"\nmilestones = [0.25, 0.5]\n'
        "color-jitter = [0.1, 0.1, 0, 0]\n"
    )
    done("train", "--config", file, "--epochs", "1", "--out", tmp_path / "run")
    kept = read(tmp_path / "run" / "run.json")
    settings, config = kept["settings"], kept["config"]
    assert (settings["net"], settings["batch_size"], settings["flip"]) == ("resnet8", 256, True)
    assert settings["color_jitter"] == [0.1, 0.1, 0, 0]
    assert (config["epochs"], config["learning_rate"]) == (1, 0.05)
    assert (config["nesterov"], config["milestones"]) == (False, [0.25, 0.5])


WRONG = {
    "unknown": ("lr = 1\n", 2, "unrecognized arguments: --lr=1"),
    "no number": ('epochs = "many"\n', 2, "argument --epochs: must be a whole number, got 'many'"),
    "out of range": ("epochs = 0\n", 2, "argument --epochs: must be finite and at least 1, got 0"),
    "no TOML": ("epochs: 3\n", 1, "is no TOML: "),
    "a table": ("[train]\nepochs = 3\n", 1, "train must be text, a number, true, false or a list"),
    "another file": ('config = "x.toml"\n', 1, "must not name another file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_cannot_be_used(name, tmp_path):
    text, code, message = WRONG[name]
    file = tmp_path / "settings.toml"
    file.write_text(text)
    ended = carried_out(*SMALL, "--config", file, "--out", tmp_path / "run")
    assert ended.code == code
    assert message in ended.err.splitlines()[-1]
    if name != "out of range":
        assert str(file) in ended.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_where_its_cache_is_gone(tmp_path):
    place = pictures(tmp_path / "pets")
    words = (*TOY, "--data", place, "--schedule", "constant")
    (tmp_path / "cache").mkdir()
    done(*words, "--cache", tmp_path / "cache", "--out", tmp_path / "run")
    for file in (tmp_path / "cache").iterdir():
        file.unlink()
    done("train", "--resume", tmp_path / "run", "--epochs", "3")

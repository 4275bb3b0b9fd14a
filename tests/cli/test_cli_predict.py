"""The command predict: pictures in, classes and probabilities out."""

import csv
import io
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_cli import carried_out, done, pictures

from resnet_lib import nets, prediction, weights


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures") / "pets")


@pytest.fixture(scope="module")
def run(tmp_path_factory, pets):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    words = ("train", "--net", "resnet8", "--data", pets, "--size", "8", "--batch-size", "5")
    done(*words, "--epochs", "3", "--learning-rate", "0.02", "--out", folder)
    return folder


def expected_of(run, *places, **options):
    """What the library itself says."""
    net, card = weights.load_network(run / "model.safetensors")
    return prediction.predict(net, list(places), card, **options)


def test_a_picture_has_its_class_and_probability(run, pets):
    place = pets / "dark" / "0.png"
    (one,) = expected_of(run, place)
    lines = done("predict", "--run", run, place).splitlines()
    assert lines[0].split() == ["picture", "class", "probability", "then"]
    assert lines[1].split() == [
        *(str(place), one.classes[0], f"{100 * one.probabilities[0]:.2f}", "%"),
        *(one.classes[1], f"{100 * one.probabilities[1]:.2f}", "%"),
    ]
    assert len(lines) == 2


def test_json_and_csv_have_the_same_numbers(run, pets):
    expected = expected_of(run, pets, top=2)
    assert len(expected) == 12
    found = json.loads(done("predict", "--run", run, "--json", pets))
    table = list(csv.DictReader(io.StringIO(done("predict", "--run", run, "--csv", pets))))
    assert [one["picture"] for one in found] == [one.source for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert tuple(row["class"] for row in one["top"]) == other.classes
        assert [row["probability"] for row in one["top"]] == pytest.approx(other.probabilities)
    pairs = [
        (one.source, *pair)
        for one in expected
        for pair in zip(one.classes, one.probabilities, strict=True)
    ]
    assert len(table) == len(pairs)
    for row, (source, name, share) in zip(table, pairs, strict=True):
        assert (row["picture"], row["class"]) == (source, name)
        assert float(row["probability"]) == pytest.approx(share, rel=1e-5)
    assert [row["rank"] for row in table[:2]] == ["1", "2"]


def test_a_file_of_weights_is_enough(run, pets):
    by_run = done("predict", "--run", run, pets)
    assert done("predict", "--weights", run / "model.safetensors", pets) == by_run


def test_weights_that_come_along(pets):
    words = ("predict", "--net", "resnet20", "--weights", "cifar10", "--top", "5", "--json")
    (one,) = json.loads(done(*words, pets / "dark" / "0.png"))
    card = weights.model_card("resnet20", "cifar10")
    net, _ = weights.load_network(card.path)
    (expected,) = prediction.predict(net, pets / "dark" / "0.png", card, top=5)
    assert tuple(row["class"] for row in one["top"]) == expected.classes
    assert set(expected.classes) <= set(card.classes)


@pytest.mark.parametrize(
    ("name", "options"), [("resnet18", {"stem": "small"}), ("resnet8", {"shortcut": "A-both"})]
)
def test_what_the_name_does_not_say_of_a_network_is_read_from_its_card(
    name, options, pets, tmp_path
):
    path, place = tmp_path / "w.safetensors", pets / "dark" / "0.png"
    torch.manual_seed(0)
    net = nets.by_name(name, 2, 3, **options)
    about = {"net": name, "image": (3, 16, 16), "mean": (0.5,) * 3, "std": (0.2,) * 3}
    weights.save_weights(path, net, classes=("dark", "light"), **about)
    (one,) = json.loads(done("predict", "--weights", path, place, "--json"))
    (expected,) = prediction.predict(net.eval(), place, weights.read_card(path))
    assert tuple(row["class"] for row in one["top"]) == expected.classes
    shares = [row["probability"] for row in one["top"]]
    assert shares == pytest.approx(expected.probabilities, rel=1e-5)


def test_weights_without_a_card_need_to_be_told(run, pets, tmp_path):
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(run / "model.safetensors"), bare)
    place = pets / "dark" / "0.png"
    ended = carried_out("predict", "--weights", bare, place)
    assert ended.code == 1
    assert "does not say of which network it is: add --net" in ended.err
    ended = carried_out("predict", "--net", "resnet8", "--weights", bare, place)
    assert ended.code == 1
    assert "does not say what its images were like: add --size, --mean, --std" in ended.err
    card = weights.read_card(run / "model.safetensors")
    told = ["--size", "8"]
    for name, numbers in (("--mean", card.mean), ("--std", card.std)):
        told += [name, *map(str, numbers)]
    words = ("predict", place, "--net", "resnet8", "--weights", bare, *told, "--json")
    (one,) = json.loads(done(*words))
    (expected,) = expected_of(run, place)
    numbers = [str(card.classes.index(name)) for name in expected.classes]
    assert [row["class"] for row in one["top"]] == numbers
    shares = [row["probability"] for row in one["top"]]
    assert shares == pytest.approx(expected.probabilities, rel=1e-5)


def test_a_picture_that_cannot_be_read_does_not_hide_the_others(run, pets, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    ended = carried_out("predict", "--run", run, bad, pets / "dark" / "0.png")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[1].startswith(str(bad))
    assert "cannot be read: " in lines[1]
    assert lines[2].startswith(str(pets))
    assert ended.err == "python -m resnet_lib predict: error: 1 of 2 pictures cannot be read\n"
    found = json.loads(carried_out("predict", "--run", run, "--json", bad).out)
    assert list(found[0]) == ["picture", "fault"]


def test_a_folder_without_pictures_fails(run, tmp_path):
    ended = carried_out("predict", "--run", run, tmp_path)
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert "must hold at least one picture" in ended.err


def test_an_unfinished_run_predicts_with_its_newest_checkpoint(run, pets, tmp_path):
    (tmp_path / "run.json").write_bytes((run / "run.json").read_bytes())
    (tmp_path / "checkpoints").symlink_to(run / "checkpoints")
    found = json.loads(done("predict", "--run", tmp_path, "--json", pets))
    expected = json.loads(done("predict", "--run", run, "--json", pets))
    assert [one["picture"] for one in found] == [one["picture"] for one in expected]
    for one, other in zip(found, expected, strict=True):
        shares = ([row["probability"] for row in rows["top"]] for rows in (one, other))
        assert torch.allclose(*(torch.tensor(part) for part in shares), atol=1e-6)

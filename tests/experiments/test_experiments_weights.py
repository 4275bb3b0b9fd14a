"""The script that trains what the library ships, for a moment, on the digits."""

import hashlib
import json
import re

import model_cards
import pytest
import torch
import trained_weights
from bench import record
from notebooks import ROOT
from test_records import VALIDATOR

from resnet_lib import data, nets, train
from resnet_lib.weights import load_weights

DIGITS = ["--networks", "resnet8", "--recipes", "digits", "--device", "cpu", "--threads", "1"]


@pytest.fixture(autouse=True)
def threads():
    """The script sets their number."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def folders(tmp_path):
    return ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "results")]


def check(path):
    """What a schema cannot say of the record."""
    held = record.load(path)
    options = trained_weights.parse(held["command"].split()[2:])
    (network,), (recipe,) = options.networks, options.recipes
    search = f"-search-{options.epochs}" if options.validation else ""
    assert path.stem == f"trained_weights-{network}-{recipe}{search}"
    epochs = [one for one in held["results"] if one["what"] == "epoch"]
    assert [one["epoch"] for one in epochs] == list(range(1, options.epochs + 1))
    judge = "validation" if options.validation else "test"
    assert all(0 <= one[f"{judge}_error"] <= 100 for one in epochs)
    ends = held["results"][options.epochs :]
    if options.validation:
        assert not ends
    else:
        (end,) = ends
        assert end["what"] == "end"
        shares = list(end["by_class"].values())
        assert 0 <= min(shares) <= end["test_error"] <= max(shares) <= 100
    return held


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results" / "trained_weights").glob("*.json")), ids=lambda p: p.stem
)
def test_a_committed_record_is_whole(path):
    check(path)


def test_the_record_has_what_was_trained(tmp_path, capsys):
    words = [*DIGITS, "--epochs", "2", *folders(tmp_path)]
    assert trained_weights.main(words) == 0
    name = "trained_weights-resnet8-digits"
    held = check(tmp_path / "results" / f"{name}.json")
    VALIDATOR.validate(held)
    weights = tmp_path / "runs" / name / "model.safetensors"
    end = held["results"][-1]
    assert end["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    net = nets.CifarResNet(8, in_channels=1)
    load_weights(net, weights)
    digits = data.digits()
    images = digits.normalize(digits.test_images)
    found = train.evaluate(net, data.Batches(images, digits.test_labels, 90))
    assert end["test_error"] == pytest.approx(100 * (1 - found.accuracy), abs=1e-3)
    with torch.no_grad():
        right = net.eval()(images).argmax(dim=1) == digits.test_labels
    assert end["correct_of_first"] == right.sum()
    by_class = {
        str(name): 100 * (1 - right[digits.test_labels == name].float().mean().item())
        for name in range(10)
    }
    assert end["by_class"] == pytest.approx(by_class, abs=1e-3)
    seconds = [one["seconds"] for one in held["results"][:-1]]
    assert held["wall_seconds"] == pytest.approx(sum(seconds), abs=0.05)
    assert trained_weights.main(words) == 0
    assert "is there already" in capsys.readouterr().out
    assert trained_weights.main([*words, "--epochs", "3"]) == 2
    assert "is the record of another run" in capsys.readouterr().err


def test_a_card_has_the_numbers_of_its_record(tmp_path, monkeypatch):
    words = [*DIGITS, "--epochs", "2", *folders(tmp_path)]
    assert trained_weights.main(words) == 0
    name = "trained_weights-resnet8-digits"
    file = tmp_path / "resnet8-digits.safetensors"
    file.write_bytes((tmp_path / "runs" / name / "model.safetensors").read_bytes())
    held = record.load(tmp_path / "results" / f"{name}.json")
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setattr(model_cards, "RECORDS", tmp_path / "results")
    card = model_cards.card(file)
    end = held["results"][-1]
    parameters = sum(p.numel() for p in nets.CifarResNet(8, in_channels=1).parameters())
    for words in (
        f"| Error | {end['test_error']:.2f} % of all 360 test images",
        f"highest {max(end['by_class'].values()):.1f} % (",
        f"| Record | `results/{name}.json` |",
        f"{parameters:,} parameters",
        "2 epochs, 24 updates, seed 0",
        "--weight-decay 0.005",
    ):
        assert words in card
    assert held["command"] in re.sub(r"\s*\\\n\s*", " ", card)


def test_the_record_of_a_search_says_nothing_of_the_test_images(tmp_path):
    words = [*DIGITS, "--epochs", "1", "--validation", "0.1", *folders(tmp_path)]
    assert trained_weights.main(words) == 0
    path = tmp_path / "results" / "trained_weights-resnet8-digits-search-1.json"
    held = check(path)
    VALIDATOR.validate(held)
    assert "test" not in json.dumps(held["results"])
    run = tmp_path / "runs" / path.stem / "run.json"
    assert json.loads(run.read_text(encoding="utf-8"))["settings"]["validation"] == 0.1


def test_a_stopped_run_goes_on(tmp_path, monkeypatch, capsys):
    words = [*DIGITS, "--epochs", "2", *folders(tmp_path)]
    step, calls = train.training_step, []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 15:  # in the second epoch
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("resnet_lib.train.epochs.training_step", stopped)
        assert trained_weights.main(words) == 130
    assert not list((tmp_path / "results").glob("*"))
    assert trained_weights.main([*words, "--epochs", "3"]) == 2
    found = capsys.readouterr().err
    assert "holds another run" in found
    assert "'epochs': 3" in found
    assert trained_weights.main(words) == 0
    assert "going on after update 12" in capsys.readouterr().out
    check(tmp_path / "results" / "trained_weights-resnet8-digits.json")


def test_a_recipe_that_runs_away_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    wild = ("digits", trained_weights.ONE_CYCLE | {"learning_rate": 1e12})
    monkeypatch.setitem(trained_weights.RECIPES, "base", wild)
    words = [*DIGITS, "--recipes", "base", "digits", "--epochs", "1", *folders(tmp_path)]
    assert trained_weights.main(words) == 1
    assert "NaN" in capsys.readouterr().err
    assert [p.stem for p in (tmp_path / "results").iterdir()] == ["trained_weights-resnet8-digits"]


def test_recipes_are_options_of_the_command_line(tmp_path):
    """A recipe with a name or a value that the command line refuses would show up too late."""
    from resnet_cli import options, training_request

    parser, _ = options.make_parser()
    for recipe in trained_weights.RECIPES:
        asked = trained_weights.parse([*DIGITS, "--recipes", recipe, "--epochs", "3"])
        words = ["train", *trained_weights.training_words("resnet20", recipe, tmp_path, asked)]
        given = vars(parser.parse_args(words))
        del given["command"]
        wanted = trained_weights.RECIPES[recipe][1]
        made = training_request.training(given, words)
        found = vars(made.settings) | vars(made.config)
        assert {name: found[name] for name in wanted} == wanted
        assert made.config.epochs == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--recipes", "magic"], "invalid choice: 'magic'"),
        (["--epochs", "0"], "must be a whole number of at least 1, got '0'"),
        (["--validation", "0.5"], "argument --validation"),
    ],
)
def test_an_option_that_is_not_allowed(words, text, capsys):
    with pytest.raises(SystemExit) as stop:
        trained_weights.main([*DIGITS, "--epochs", "1", *words])
    assert stop.value.code == 2
    assert text in capsys.readouterr().err


def test_an_unknown_network_is_refused(tmp_path, capsys):
    words = [*DIGITS, "--networks", "resnet9", "--epochs", "1", *folders(tmp_path)]
    assert trained_weights.main(words) == 2
    assert "resnet9" in capsys.readouterr().err

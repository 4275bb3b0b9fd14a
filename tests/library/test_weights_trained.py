"""The weights that come with the library are those of the records, and as good as they say."""

import json
import re

import model_cards
import pytest
import torch
from bench import record
from notebooks import ROOT
from PIL import Image
from safetensors import safe_open

from resnet_lib import data, nets, train, weights

FOLDER = ROOT / "resnet_lib" / "weights"
SHIPPED = {
    ("plain20", "cifar10"): weights.plain20,
    ("resnet20", "cifar10"): weights.resnet20,
    ("resnet56", "cifar10"): weights.resnet56,
    ("resnet8", "digits"): weights.resnet8,
}
every_one = pytest.mark.parametrize(("net", "name"), SHIPPED)


def end_of(net, name):
    """The last row of the record in which these very weights were judged."""
    return record.load(model_cards.record_of(FOLDER / f"{net}-{name}.safetensors"))["results"][-1]


def test_they_are_all_there_and_small():
    files = sorted(FOLDER.glob("*.safetensors"))
    assert [file.stem for file in files] == sorted("-".join(key) for key in SHIPPED)
    assert sum(file.stat().st_size for file in files) < 6_000_000
    for file in files:
        with safe_open(file, "pt") as opened:
            about = json.loads(opened.metadata()["resnet_lib"])
        assert set(about) == {"net", "classes", "mean", "std"}, "no path, no date"


@every_one
def test_the_card_is_what_the_record_makes_of_it(net, name):
    card = weights.model_card(net, name)
    held = record.load(model_cards.record_of(card.path))
    assert held["configuration"]["networks"] == [net]
    assert card.text == model_cards.card(card.path), "python experiments/model_cards.py writes it"
    error, epochs = held["results"][-1]["test_error"], held["configuration"]["epochs"]
    for words in (f"{error:.2f} % of all", f"{epochs} epochs", held["command"].split(" --")[-1]):
        assert words in card.text
    assert card.net == net


@every_one
def test_the_recipe_on_the_card_is_a_command(net, name):
    from resnet_cli import options

    text = weights.model_card(net, name).text.replace("\\\n", " ")
    line = re.search(r"^python -m resnet_lib (train .*)$", text, re.MULTILINE)[1]
    parser, _ = options.make_parser()
    given = parser.parse_args(line.split())
    assert (given.net, given.data) == (net, name)


def test_weights_without_a_record_have_no_card(tmp_path):
    file = tmp_path / "resnet20-cifar10.safetensors"
    file.write_bytes(b"others")
    with pytest.raises(LookupError, match=r"has made .*resnet20-cifar10"):
        model_cards.card(file)


@every_one
def test_they_are_as_good_as_the_record_says(net, name):
    end = end_of(net, name)
    images, labels = judged_images(net, name)
    network = SHIPPED[net, name](weights=name)
    found = train.evaluate(network, data.Batches(images[:1000], labels[:1000], 100))
    right = round(found.accuracy * found.samples)
    # Another processor rounds differently, and an image on the border may fall to the other side.
    assert abs(right - end["correct_of_first"]) <= 2


def judged_images(net, name):
    if name == "digits":
        digits = data.digits()
        return digits.normalize(digits.test_images), digits.test_labels
    card = weights.model_card(net, name)
    try:
        images = data.cifar10(download=False)
    except FileNotFoundError as error:
        pytest.skip(f"THE WEIGHTS OF {net} ARE NOT JUDGED. {error}")
    return data.Normalize(card.mean, card.std)(images.test_images), images.test_labels


@every_one
def test_it_is_the_network_of_its_name(net, name):
    """Twins have the same names and shapes, so only what they compute tells them apart."""
    card = weights.model_card(net, name)
    for given, channels in ((None, 3), (name, len(card.mean))):
        torch.manual_seed(0)
        made = SHIPPED[net, name](weights=given)
        torch.manual_seed(0)
        twin = nets.by_name(net, num_classes=10, in_channels=channels)
        if given:
            twin.load_state_dict(weights.read_weights(card.path))
        images = torch.randn(4, channels, 16, 16)
        assert torch.equal(made.eval()(images), twin.eval()(images))


def test_the_card_normalises_as_the_digits_do():
    card, digits = weights.model_card("resnet8", "digits"), data.digits()
    assert card.mean == pytest.approx(digits.mean, abs=5e-4)
    assert card.std == pytest.approx(digits.std, abs=5e-4)


def test_it_comes_in_train_mode():
    assert weights.resnet8(weights="digits").training


def test_the_code_on_the_page_runs(capsys, tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "pictures" / "red.png")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "book" / "trained-weights.md").read_text(encoding="utf-8")
    page = page.partition("{include}")[0]
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        if "data.cifar10" in block:
            try:
                data.cifar10(download=False)
            except FileNotFoundError:
                continue
        exec(compile(block, "trained-weights.md", "exec"), {})
        assert capsys.readouterr().out


def test_weights_that_there_are_not():
    with pytest.raises(ValueError, match="weights of resnet20 must be cifar10, got 'imagenet'"):
        weights.resnet20(weights="imagenet")
    with pytest.raises(ValueError, match=r"net must be one of .*resnet20, .* got 'resnet110'"):
        weights.model_card("resnet110", "cifar10")
    for net in ("../weights/resnet20", "./resnet20", str(FOLDER / "resnet20"), ""):
        with pytest.raises(ValueError, match="net must be one of"):
            weights.model_card(net, "cifar10")
    with pytest.raises(TypeError, match="weights must be a string, got dict"):
        weights.resnet20(weights={})
    with pytest.raises(TypeError, match="net must be a string, got int"):
        weights.model_card(20, "cifar10")


def test_the_command_line_takes_them(capsys):
    from resnet_cli.main import main

    card = weights.model_card("resnet8", "digits")
    words = ["evaluate", "--net", "resnet8", "--weights", str(card.path), "--data", "digits"]
    assert main(words) == 0
    found = re.search(r"error +([\d.]+) %", capsys.readouterr().out)[1]
    assert float(found) == pytest.approx(end_of("resnet8", "digits")["test_error"], abs=0.6)

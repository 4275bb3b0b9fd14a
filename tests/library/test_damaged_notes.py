"""What stands beside weights, pictures and networks in JSON, changed by hand or by damage."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from resnet_lib import data, export, serving, weights
from resnet_lib.train import CheckpointError, Checkpoints

CARDS = {
    "a number": "3",
    "no JSON": "{",
    "too deep": "[" * 100_000,
    "classes that are none": '{"classes": 5}',
    "a class that is no string": '{"classes": [1, 2]}',
    "a shape of truths": '{"image": [true, true, true]}',
    "a mean of strings": '{"mean": ["0.5"]}',
    "a net that is a list": '{"net": ["resnet8"]}',
    "options that are a list": '{"net": "resnet8", "options": [1]}',
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_card_that_is_none_is_refused(card, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"resnet_lib": card})
    with pytest.raises(ValueError, match=r"net\.safetensors is damaged: "):
        weights.read_card(path)


@pytest.mark.parametrize("options", [{"strid": 2}, {"shortcut": "D"}, {"residual": True}])
def test_card_of_a_network_that_there_is_not_is_refused(options, tmp_path):
    path, net = tmp_path / "net.safetensors", weights.resnet8("digits")
    card = json.dumps({"net": "resnet8", "options": options})
    save_file(net.state_dict(), path, {"resnet_lib": card})
    with pytest.raises(ValueError, match=r"^the card in .* names no network: "):
        weights.load_network(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored["notes"].update(mean=[0.0, 0.0, 0.0]),
        lambda stored: stored["notes"].pop("unreadable"),
        lambda stored: stored.update(shape=[1, 3, 8, 8]),
        lambda stored: stored.pop("sha256"),
        lambda stored: stored.pop("made_from"),
    ],
)
def test_cache_with_other_notes_is_made_anew(change, tmp_path):
    for number in range(6):
        place = tmp_path / "root" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9 + number), (40 * number, 10, 99)).save(place / f"{number}.png")
    cache, about = tmp_path / "kept.pictures", tmp_path / "kept.pictures.json"
    with pytest.warns(UserWarning, match="single colour"):
        first = data.image_folder(tmp_path / "root", 8, cache=cache)
    whole = about.read_text()
    stored = json.loads(whole)
    change(stored)
    about.write_text(json.dumps(stored))
    with pytest.warns(UserWarning, match="single colour"):
        again = data.image_folder(tmp_path / "root", 8, cache=cache)
    assert again.mean == first.mean
    assert torch.equal(again.train_images, first.train_images)
    assert json.loads(about.read_text())["notes"] == json.loads(whole)["notes"]


def test_version_with_damaged_settings_is_named(tmp_path):
    (tmp_path / "network").write_bytes(b"x")
    card = weights.model_card("resnet8", "digits")
    made = serving.publish(tmp_path / "models", "pets", tmp_path / "network", card)
    path = made.folder / "model-settings.json"
    whole = json.loads(path.read_text())
    for name in ("sha256", "classes"):
        about = json.loads(json.dumps(whole))
        del about["parameters"]["extra"][name]
        path.write_text(json.dumps(about))
        fault = serving.fault_of(made.folder)
        assert fault.startswith("version 1 cannot be read: ")
        assert fault.endswith(f"model-settings.json is damaged: it lacks '{name}'")
        with pytest.raises(ValueError, match=f"is damaged: it lacks '{name}'$"):
            serving.versions(tmp_path / "models", "pets")


def test_damaged_network_is_refused_in_silence(tmp_path, capfd):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x0a\x12\x04\xff\xfe\xfd\xfc")
    with pytest.raises(ValueError, match=r"net\.onnx is no network that ONNX Runtime reads"):
        export.OnnxNetwork(path, threads=1)
    said = capfd.readouterr()
    assert not said.out
    assert "Falling back" not in said.err


def test_signed_checkpoint_of_another_form_is_refused(tmp_path):
    path = Checkpoints(tmp_path).save(1, {"x": torch.zeros(1)})
    content = json.loads(path.read_text())
    content["state"] = {"pairs": [3]}
    del content["sha256"]
    from resnet_lib.train.checkpoint import _bytes, _digest

    path.write_text(json.dumps({"sha256": _digest(_bytes(content)), **content}))
    with pytest.raises(CheckpointError, match="cannot be used"):
        Checkpoints(tmp_path).load()

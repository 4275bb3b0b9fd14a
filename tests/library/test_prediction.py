"""Prediction: what a network says of a picture, by whatever way the picture comes."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from resnet_lib import data, weights
from resnet_lib.prediction import Prediction, predict

CARD = weights.model_card("resnet8", "digits")


@pytest.fixture(scope="module")
def network():
    return weights.resnet8(weights="digits")


@pytest.fixture(scope="module")
def digits():
    """Twenty test images as bytes, and their labels."""
    found = data.digits()
    return found.test_images[:20], found.test_labels[:20]


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()).save(path)
    return path


def by_hand(network, images):
    """Probabilities without the library's helper: (N, 10)."""
    network = copy.deepcopy(network).eval()
    mean, std = torch.tensor(CARD.mean[0]), torch.tensor(CARD.std[0])
    with torch.no_grad():
        return network((images / 255 - mean) / std).softmax(1)


def card(**changes):
    known = {name: getattr(CARD, name) for name in ("classes", "image", "mean", "std")}
    return SimpleNamespace(**known | changes)


def test_digits_are_told(network, digits):
    images, labels = digits
    found = predict(network, images, CARD)
    right = sum(int(one.classes[0]) == label for one, label in zip(found, labels, strict=True))
    assert right >= 19
    assert [one.source for one in found] == [str(number) for number in range(20)]
    assert all(one.fault == "" for one in found)


@pytest.mark.parametrize("top", [1, 3, 10, 99])
def test_classes_and_probabilities_are_those_computed_by_hand(network, digits, top):
    images, _ = digits
    for one, row in zip(
        predict(network, images, CARD, top=top), by_hand(network, images), strict=True
    ):
        order = row.argsort(descending=True)[:top]
        assert one.classes == tuple(str(int(number)) for number in order)
        assert one.probabilities == pytest.approx(row[order].tolist(), abs=1e-5)
        assert len(one.classes) == min(top, 10)


def test_every_way_in_gives_the_same(network, digits, tmp_path):
    """As a file, in a folder, as a PIL image, as a tensor; one by one and many at once."""
    images, _ = digits
    names = [f"{number:02}.png" for number in range(20)]
    files = [
        save(image, tmp_path / "all" / name) for image, name in zip(images, names, strict=True)
    ]
    opened = [Image.open(file) for file in files]
    expected = [one.probabilities for one in predict(network, images, CARD)]
    for pictures in (files, list(map(str, files)), tmp_path / "all", opened, list(images)):
        for batch_size in (64, 3):
            found = predict(network, pictures, CARD, batch_size=batch_size)
            for one, probabilities in zip(found, expected, strict=True):
                assert one.probabilities == pytest.approx(probabilities, abs=1e-5)
    for one in (files[4], str(files[4]), opened[4], images[4]):
        (found,) = predict(network, one, CARD)
        assert found.probabilities == pytest.approx(expected[4], abs=1e-5)
    assert [one.source for one in predict(network, files, CARD)] == list(map(str, files))


def test_folder_is_read_to_the_bottom_and_in_order(network, digits, tmp_path):
    images, _ = digits
    for name in ("b.png", "a/z.PNG", "a/b/c.bmp", ".hidden.png", ".folder/x.png"):
        save(images[0], tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    found = predict(network, tmp_path, CARD)
    expected = [str(tmp_path / name) for name in ("a/b/c.bmp", "a/z.PNG", "b.png")]
    assert [one.source for one in found] == expected
    assert [one.source for one in predict(network, [tmp_path / "a", images[0]], CARD)] == [
        *expected[:2],
        "1",
    ]


def test_what_cannot_be_read_is_named_and_the_rest_predicted(network, digits, tmp_path):
    images, _ = digits
    good = [save(image, tmp_path / f"{n}.png") for n, image in enumerate(images[:3])]
    bad = [tmp_path / "0b.png", tmp_path / "1b.jpg"]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(good[1].read_bytes()[:40])
    expected = predict(network, good, CARD)
    for batch_size in (1, 2, 64):
        found = predict(network, tmp_path, CARD, batch_size=batch_size)
        there = [one for one in found if not one.fault]
        assert [(one.source, one.classes) for one in there] == [
            (one.source, one.classes) for one in expected
        ]
        for one, other in zip(there, expected, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        faults = [one for one in found if one.fault]
        assert [one.source for one in faults] == list(map(str, bad))
        assert all(one.classes == one.probabilities == () for one in faults)
    (gone,) = predict(network, [tmp_path / "gone.png"], CARD)
    assert gone.source == str(tmp_path / "gone.png")
    assert gone.fault


def test_pictures_of_another_size_are_brought_to_the_cards(network, digits):
    images, labels = digits
    large = images.repeat_interleave(16, dim=2).repeat_interleave(16, dim=3)
    found = predict(network, large, CARD, top=1)
    assert sum(one.classes == (str(int(n)),) for one, n in zip(found, labels, strict=True)) >= 19


def test_colours_reach_their_channels():
    """A network that says which channel is brightest; the card's normalisation is undone by it."""

    class Brightest(nn.Module):
        def forward(self, x):
            return 9 * (x * torch.tensor([0.5, 0.25, 0.125])[:, None, None]).mean(dim=(2, 3))

    of = card(
        classes=("red", "green", "blue"), image=(3, 4, 4), mean=(0, 0, 0), std=(0.5, 0.25, 0.125)
    )
    for number, name in enumerate(of.classes):
        pixels = np.zeros((9, 6, 3), dtype=np.uint8)
        pixels[..., number] = 255
        (found,) = predict(Brightest(), Image.fromarray(pixels), of)
        assert found.classes[0] == name
        assert found.probabilities[0] == pytest.approx(np.exp(9) / (np.exp(9) + 2), abs=1e-4)


def test_modes_weights_and_random_numbers_stay(network, digits):
    network = copy.deepcopy(network).train()
    network.layer2.eval()
    network.fc = nn.Sequential(nn.Dropout(0.5), network.fc)
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    one, other = (predict(network, digits[0], CARD) for _ in range(2))
    assert one == other, "dropout was on"
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    with pytest.raises(ValueError, match="card"):
        predict(network, digits[0], card(classes=("a",)))
    assert [module.training for module in network.modules()] == modes


def test_elsewhere_a_copy_computes(network, digits):
    """The device "meta" computes nothing, so that the copy's place shows."""
    with pytest.raises((ValueError, NotImplementedError, RuntimeError)):
        predict(network, digits[0], CARD, device="meta")
    assert not any(parameter.is_meta for parameter in network.parameters())


def test_double_precision_computes_in_it(network, digits):
    found = predict(copy.deepcopy(network).double(), digits[0], CARD)
    for one, other in zip(found, predict(network, digits[0], CARD), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_classes_without_names_are_numbers(network, digits):
    (one,) = predict(network, digits[0][0], card(classes=()), top=1)
    assert one.classes == predict(network, digits[0][0], CARD, top=1)[0].classes


BYTES = torch.zeros(1, 8, 8, dtype=torch.uint8)
REFUSED = {
    "nothing there": (
        {"pictures": "no/such/file.png"},
        FileNotFoundError,
        "pictures names no file",
    ),
    "a number": ({"pictures": 3}, TypeError, "pictures must be a path, .* got int"),
    "numbers": ({"pictures": [3]}, TypeError, "pictures must hold pictures, got int"),
    "none": ({"pictures": []}, ValueError, "at least one picture, got none"),
    "fractions": (
        {"pictures": BYTES.float()},
        ValueError,
        r"must be bytes \(1, H, W\), .*float32$",
    ),
    "colour": ({"pictures": BYTES.expand(3, 8, 8)}, ValueError, r"bytes \(1, H, W\).* \(3, 8, 8\)"),
    "two dimensions": ({"pictures": BYTES[0]}, ValueError, r"must be bytes"),
    "top": ({"top": 0}, ValueError, "top must be a whole number"),
    "batch size": ({"batch_size": 1.5}, TypeError, "batch_size must be a whole number"),
    "no size": ({"card": card(image=())}, ValueError, r"card.image must be .* got \(\)"),
    "no square": ({"card": card(image=(1, 8, 9))}, ValueError, "square, got"),
    "no mean": ({"card": card(mean=(), std=())}, ValueError, "must be 1 numbers, .* got 0 and 0"),
    "classes": ({"card": card(classes=("a", "b"))}, ValueError, "the model's 10 classes, got 2"),
    "no scores": ({"model": nn.Identity()}, TypeError, r"scores \(N, K\), got \(1, 1, 8, 8\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, network):
    changes, error, match = REFUSED[name]
    arguments = {"model": network, "pictures": BYTES, "card": CARD} | changes
    with pytest.raises(error, match=match):
        predict(**arguments)


def test_scores_that_are_not_finite_are_refused(network):
    broken = copy.deepcopy(network)
    broken.fc.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="scores that are not finite"):
        predict(broken, BYTES, CARD)


def test_empty_folder_is_refused(network, tmp_path):
    with pytest.raises(ValueError, match="at least one picture, got none"):
        predict(network, tmp_path, CARD)


def test_a_prediction_shows_what_it_is(network, digits):
    (one,) = predict(network, digits[0][0], CARD, top=1)
    assert isinstance(one, Prediction)
    assert "source='0'" in repr(one)

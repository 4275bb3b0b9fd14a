"""The digits: complete, split and normalised reproducibly, whatever runs beside them."""

import random
import re
import socket
import zlib
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from resnet_lib.data import SIZES, digits


def stored(images):
    """Back to what scikit-learn stores: ink from 0 to 16."""
    return images[:, 0].double().numpy() / 255 * 16


def doubled(images):
    """Bilinear enlargement to twice the side: pixel centres lie at (i + 0.5) / 2 - 0.5."""
    side = images.shape[-1]
    at = (np.arange(2 * side) + 0.5) / 2 - 0.5
    grow = np.array([np.interp(at, np.arange(side), row) for row in np.eye(side)])
    return grow.T @ images @ grow


@pytest.mark.parametrize(("fraction", "tests"), [(0.2, 360), (0.5, 899), (0.01, 18), (0.99, 1780)])
def test_split_is_complete_and_disjoint(fraction, tests):
    data = digits(test_fraction=fraction)
    assert len(data.test_labels) == tests
    images = np.concatenate([stored(data.train_images), stored(data.test_images)])
    labels = np.concatenate([data.train_labels, data.test_labels])
    np.testing.assert_allclose(images, images.round(), atol=0.5 * 16 / 255)
    source = load_digits()
    found, expected = (
        sorted(zip(map(bytes, pictures.astype(np.uint8)), targets.tolist(), strict=True))
        for pictures, targets in ((images.round(), labels), (source.images, source.target))
    )
    assert found == expected


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("fraction", [0.2, 0.33])
def test_split_keeps_the_share_of_each_class(seed, fraction):
    data = digits(test_fraction=fraction, seed=seed)
    every = np.bincount(load_digits().target)
    assert (abs(data.test_labels.bincount().numpy() - fraction * every) <= 1).all()


@pytest.mark.parametrize("size", SIZES)
def test_images_are_bytes_with_mean_and_deviation_of_the_training_part(size):
    data = digits(size)
    assert data.train_images.shape == (1437, 1, size, size)
    assert data.test_images.shape == (360, 1, size, size)
    assert data.train_images.dtype == data.test_images.dtype == torch.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert data.classes == tuple("0123456789")
    assert (data.test_images.min(), data.test_images.max()) == (0, 255)
    pixels = data.train_images.double().numpy() / 255
    assert data.mean == (pytest.approx(pixels.mean()),)
    assert data.std == (pytest.approx(pixels.std()),)
    normal = data.normalize(data.train_images)
    assert normal.mean().item() == pytest.approx(0, abs=1e-5)
    assert normal.std().item() == pytest.approx(1, abs=1e-3)


def test_enlargement_is_bilinear_and_leaves_the_split_alone():
    small, large = digits(8), digits(16)
    assert torch.equal(small.train_labels, large.train_labels)
    assert torch.equal(small.test_labels, large.test_labels)
    expected = doubled(stored(small.test_images))
    # Each of the two was rounded to a whole byte.
    np.testing.assert_allclose(stored(large.test_images), expected, atol=1.001 * 16 / 255)


def test_split_is_the_same_on_every_machine():
    labels = digits().test_labels
    assert labels[:12].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]
    assert zlib.crc32(labels.numpy().astype("<i8").tobytes()) == 3021064937


def test_split_depends_on_the_seed_alone():
    def everything(data):
        return data.train_images, data.test_images, data.train_labels, data.test_labels

    first = everything(digits(16, seed=3))
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    assert all(map(torch.equal, first, everything(digits(16, seed=3))))
    assert not torch.equal(first[2], digits(16, seed=4).train_labels)


def test_global_random_numbers_are_left_alone():
    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    before = state()
    digits(16, seed=1)
    assert state() == before


def test_no_network_is_needed(monkeypatch):
    def refuse(*_):
        raise AssertionError("digits() opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    digits()


def test_digits_cannot_be_swapped_and_can_be_compared():
    data = digits()
    with pytest.raises(FrozenInstanceError):
        data.mean = (0.0,)
    assert data == data
    assert data != digits()


@pytest.mark.parametrize("size", [9, 0, -8, 28, 64, 8.0, 16.0, True, "8", None, (8, 8), [16]])
def test_size_that_is_not_offered_is_refused(size):
    message = f"size must be one of 8, 16, 32, got {size!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        digits(size)


wrong_fractions = [0, 1, 0.0, 1.0, -0.2, 1.5, 20, 0.001, 0.999, float("nan"), float("inf")]


@pytest.mark.parametrize("fraction", [*wrong_fractions, True, "0.2", None, [0.2]])
def test_fraction_that_leaves_a_part_empty_is_refused(fraction):
    with pytest.raises((TypeError, ValueError)) as caught:
        digits(test_fraction=fraction)
    message = str(caught.value)
    assert message.startswith("test_fraction must")
    assert message.endswith(f"got {fraction!r}")


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None, True])
def test_seed_that_cannot_fix_the_split_is_refused(seed):
    with pytest.raises((TypeError, ValueError)) as caught:
        digits(seed=seed)
    message = str(caught.value)
    assert message.startswith("seed must")
    assert message.endswith(f"got {seed!r}")

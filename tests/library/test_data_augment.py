"""Shifts, mirror images and normalisation: each image by itself, against slow and known answers."""

import random
import re

import numpy as np
import pytest
import refusals
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.v2 import functional as VF

from resnet_lib.data import ColorJitter, Normalize, RandomCrop, RandomFlip, RandomResizedCrop

DTYPES = [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64]
EVERY = {
    "crop": lambda: RandomCrop(2),
    "flip": RandomFlip,
    "color": lambda: ColorJitter(0.4, 0.4, 0.4, 0.1),
    "resized": lambda: RandomResizedCrop(6),
}
every_random = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
shapes = st.tuples(*[st.integers(1, most) for most in (6, 4, 9, 9)])


def pictures(*shape, dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(1, 256, shape, generator=generator, dtype=dtype)
    return torch.rand(shape, generator=generator).clamp(0.01).to(dtype)


def windows(image, padding):
    """Every crop of one image, padded with zeros, by its shift."""
    _, h, w = image.shape
    padded = F.pad(image, [padding] * 4)
    shifts = range(2 * padding + 1)
    return {(dy, dx): padded[:, dy : dy + h, dx : dx + w] for dy in shifts for dx in shifts}


# What all random ones have in common


@every_random
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_stays_and_the_batch_is_not_changed(make, dtype):
    images = pictures(5, 3, 8, 8, dtype=dtype)
    before = images.clone()
    torch.manual_seed(0)  # of five images one in 32 batches has none that is mirrored
    changed = make()(images)
    assert changed.dtype == dtype
    assert changed.shape[:2] == (5, 3)
    assert torch.equal(images, before)
    assert not torch.equal(changed, F.interpolate(images.float(), changed.shape[2:]).to(dtype))


@every_random
def test_random_numbers_are_torchs_own(make):
    """So that whoever puts back the generator's state gets the same augmentation again."""

    def others():
        return random.getstate(), str(np.random.get_state())

    augment, images, before = make(), pictures(9, 3, 8, 8), others()
    torch.manual_seed(4)
    first, state, second = augment(images), torch.get_rng_state(), augment(images)
    assert not torch.equal(first, second)
    torch.manual_seed(4)
    assert torch.equal(augment(images), first)
    torch.set_rng_state(state)
    assert torch.equal(augment(images), second)
    assert others() == before


@every_random
def test_eval_mode_draws_nothing(make):
    augment, images = make().eval(), pictures(4, 3, 6, 6)
    state = torch.get_rng_state()
    assert torch.equal(augment(images), images)
    assert torch.equal(torch.get_rng_state(), state)


@every_random
def test_images_of_a_batch_differ(make):
    images = pictures(1, 3, 12, 12).expand(40, -1, -1, -1)
    torch.manual_seed(0)
    changed = make()(images).flatten(1)
    assert len(changed.unique(dim=0)) > (1 if make is RandomFlip else 10)


@every_random
def test_memory_format_does_not_matter(make):
    images = pictures(4, 3, 8, 7)
    torch.manual_seed(1)
    expected = make()(images)
    torch.manual_seed(1)
    assert torch.equal(make()(images.to(memory_format=torch.channels_last)), expected)


@every_random
def test_nothing_lands_in_a_state_dict(make):
    assert not make().state_dict()
    assert not Normalize([0.5], [0.5]).state_dict()


@pytest.mark.parametrize("make", [*EVERY.values(), lambda: Normalize([0.5] * 3, [0.5] * 3)])
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (
            pictures(3, 8, 8),
            ValueError,
            "images must have four dimensions (N, C, H, W), none 0, got (3,",
        ),
        (pictures(0, 3, 8, 8), ValueError, "images must have four dimensions (N, C, H, W), none 0"),
        (pictures(2, 3, 8, 0), ValueError, "images must have four dimensions (N, C, H, W), none 0"),
        (pictures(2, 3, 8, 8).int(), ValueError, "images must be uint8 or floating point, got"),
        (np.zeros((2, 3, 8, 8)), TypeError, "images must be a tensor (N, C, H, W), got ndarray"),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_wrong_batches_are_refused(make, images, error, message, train):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        make().train(train)(images)


# Shifts


@given(shape=shapes, padding=st.integers(1, 5), dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=60)
def test_each_image_is_shifted_as_a_whole(shape, padding, dtype):
    images = pictures(*shape, dtype=dtype)
    shifted = RandomCrop(padding)(images)
    assert shifted.shape == images.shape
    for image, found in zip(images, shifted, strict=True):
        assert any(torch.equal(found, window) for window in windows(image, padding).values())


def test_every_shift_is_equally_likely():
    image = pictures(3, 5, 6)
    torch.manual_seed(0)
    shifted = RandomCrop(2)(image.expand(10_000, -1, -1, -1))
    counts = torch.stack(
        [(shifted == window).flatten(1).all(1) for window in windows(image, 2).values()]
    ).sum(1)
    assert counts.sum() == 10_000
    assert (counts - 400).abs().max() < 100  # five standard deviations of 20


def test_shift_in_front_of_normalize_pads_with_black():
    images = torch.full((30, 1, 4, 4), 200, dtype=torch.uint8)
    torch.manual_seed(0)
    values = nn.Sequential(RandomCrop(2), Normalize([0.5], [0.25]))(images).unique()
    np.testing.assert_allclose(values, [-2, (200 / 255 - 0.5) * 4], rtol=1e-6)


@pytest.mark.parametrize("padding", [0, -1, 1.5, "4", None, True, (4, 4)])
def test_wrong_padding(padding):
    message = f"padding must be a whole number of at least 1, got {padding!r}"
    with pytest.raises(refusals.for_whole(padding), match=f"^{re.escape(message)}$"):
        RandomCrop(padding)


# Mirror images


@given(shape=shapes, dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=40)
def test_each_image_is_mirrored_or_not(shape, dtype):
    images = pictures(*shape, dtype=dtype)
    for image, found in zip(images, RandomFlip()(images), strict=True):
        assert torch.equal(found, image) or torch.equal(found, image.flip(-1))
    assert torch.equal(RandomFlip(1)(images), images.flip(-1))


@pytest.mark.parametrize("p", [0.5, 0.1])
def test_share_of_mirror_images(p):
    image = torch.arange(4.0).view(1, 1, 1, 4)
    torch.manual_seed(0)
    mirrored = (RandomFlip(p)(image.expand(10_000, 1, 1, 4))[:, 0, 0, 0] == 3).float().mean()
    assert abs(mirrored - p) < 0.025  # five standard deviations at one half


@pytest.mark.parametrize("p", [0, 0.0, -0.1, 1.01, float("nan"), float("inf"), "0.5", None, True])
def test_wrong_probability(p):
    message = f"p must be a number above 0 and at most 1, got {p!r}"
    with pytest.raises(refusals.for_number(p), match=f"^{re.escape(message)}$"):
        RandomFlip(p)


# Normalisation


@given(shape=shapes, dtype=st.sampled_from(DTYPES), train=st.booleans())
@settings(deadline=None, max_examples=60)
def test_normalisation_agrees_with_torchvision(shape, dtype, train):
    images = pictures(*shape, dtype=dtype)
    mean = [0.1 * (1 + channel) for channel in range(shape[1])]
    std = [0.2 + 0.1 * channel for channel in range(shape[1])]
    pixels = images.double() / 255 if dtype == torch.uint8 else images.double()
    expected = VF.normalize(pixels, mean, std)
    found = Normalize(mean, std).train(train)(images)
    assert found.dtype == (torch.float32 if dtype == torch.uint8 else dtype)
    eps = max(torch.finfo(found.dtype).eps, torch.finfo(torch.float32).eps)
    np.testing.assert_allclose(found.double(), expected, rtol=4 * eps, atol=8 * eps)


def test_normalised_training_images_have_mean_0_and_deviation_1():
    images = pictures(50, 3, 16, 16)
    pixels = images.double() / 255
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3), correction=0).tolist()
    found = Normalize(mean, std)(images).double()
    np.testing.assert_allclose(found.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.std((0, 2, 3), correction=0), 1, atol=1e-6)


def test_normalisation_prints_its_numbers():
    assert repr(Normalize((0.5,), (0.25,))) == "Normalize(mean=(0.5,), std=(0.25,))"
    assert repr(RandomCrop()) == "RandomCrop(padding=4)"
    assert repr(RandomFlip()) == "RandomFlip(p=0.5)"


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5], [0.0], "std[0] must be a number above 0, got 0.0"),
        ([0.5, 0.5], [0.2, -1], "std[1] must be a number above 0, got -1"),
        ([float("nan")], [0.2], "mean[0] must be a number"),
        ([float("inf")], [0.2], "mean[0] must be a number"),
        ([0.5], [float("inf")], "std[0] must be a number"),
        (0.5, [0.2], "mean must be one number per channel, got 0.5"),
        ([0.5], 0.2, "std must be one number per channel, got 0.2"),
        ([], [], "mean must be one number per channel, got []"),
        ([0.5], [0.2, 0.2], "mean and std must be equally many, got 1 and 2 numbers"),
    ],
)
def test_wrong_statistics(mean, std, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Normalize(mean, std)


def test_statistics_that_are_no_numbers():
    with pytest.raises(TypeError, match=r"^mean\[0\] must be a number above -inf, got 'a'$"):
        Normalize(["a"], [0.2])


@pytest.mark.parametrize(("ours", "theirs"), [(3, 1), (1, 3), (3, 4)])
def test_other_number_of_channels_is_refused(ours, theirs):
    message = f"images must have {ours} channels as mean and std, got (2, {theirs}, 4, 4)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Normalize([0.5] * ours, [0.2] * ours)(pictures(2, theirs, 4, 4))

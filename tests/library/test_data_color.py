"""Colour jitter: torchvision's factors one by one, and a slow loop for all together."""

import math
import re

import numpy as np
import pytest
import refusals
import torch
from torchvision.transforms.v2 import functional as VF

from resnet_lib.data import ColorJitter

NAMES = ("brightness", "contrast", "saturation", "hue")
TORCHVISION = {
    "brightness": VF.adjust_brightness,
    "contrast": VF.adjust_contrast,
    "saturation": VF.adjust_saturation,
}
GRAY = np.array([0.2989, 0.587, 0.114])


def pictures(n=6, channels=3, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, channels, 7, 5, generator=generator, dtype=torch.float64)
    return (images * 255).round().to(dtype) if dtype == torch.uint8 else images.to(dtype)


def jitter(monkeypatch, dice, **amounts):
    """A jitter that throws given dice: 0 is the smallest factor, 1 the largest."""
    dice = torch.as_tensor(dice, dtype=torch.float32)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: dice.expand(shape).clone())
    return ColorJitter(**amounts)


def turned(color, turns):
    """Rodrigues' formula for the axis (1, 1, 1)."""
    axis, angle = np.ones(3) / math.sqrt(3), 2 * math.pi * turns
    along = axis * (axis @ color)
    return along + math.cos(angle) * (color - along) + math.sin(angle) * np.cross(axis, color)


def slowly(image, brightness, contrast, saturation, hue):
    """One image (3, H, W), pixel by pixel."""
    pixels = image.numpy().reshape(3, -1).T * brightness
    pixels = contrast * pixels + (1 - contrast) * np.mean([GRAY @ pixel for pixel in pixels])
    pixels = [saturation * pixel + (1 - saturation) * (GRAY @ pixel) for pixel in pixels]
    return np.array([turned(pixel, hue) for pixel in pixels]).T.reshape(image.shape)


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.uint8])
@pytest.mark.parametrize(("die", "factor"), [(0.0, 0.4), (0.5, 1.0), (0.75, 1.3), (1.0, 1.6)])
def test_single_factors_are_torchvisions(monkeypatch, name, dtype, die, factor):
    images = pictures(dtype=dtype)
    found = jitter(monkeypatch, die, **{name: 0.6})(images)
    expected = TORCHVISION[name](images, factor)
    if dtype == torch.uint8:  # torchvision cuts off what we round, twice with a grey in between
        assert (found.int() - expected.int()).abs().max() <= 1 + (name != "brightness")
        exact = TORCHVISION[name](images.double() / 255, factor) * 255
        assert (found.double() - exact).abs().max() <= 0.5 + 1e-4
    else:
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_one_channel_is_torchvisions_too(monkeypatch, name):
    images = pictures(channels=1)
    found = jitter(monkeypatch, 0.9, **{name: 0.5, "saturation": 0.9, "hue": 0.5})(images)
    np.testing.assert_allclose(found, TORCHVISION[name](images, 1.4), atol=1e-6)


def test_factors_never_fall_below_zero(monkeypatch):
    images = pictures()
    assert not jitter(monkeypatch, 0.0, brightness=3.0)(images).any()
    np.testing.assert_allclose(
        jitter(monkeypatch, 0.25, brightness=3.0)(images), images, atol=1e-6
    )  # a quarter of the way from 0 to 4


def test_all_together_agree_with_a_slow_loop():
    images = pictures(8) * 0.3 + 0.35  # nothing has to be clamped
    torch.manual_seed(0)
    found = ColorJitter(0.2, 0.3, 0.4, 0.1)(images)
    torch.manual_seed(0)
    dice = torch.rand(4, 8, 1, 1).double().flatten(1).numpy() * 2 - 1
    amounts = np.array([[0.2], [0.3], [0.4], [0.1]])
    factors = np.array([[1], [1], [1], [0]]) + amounts * dice
    expected = [slowly(image, *factors[:, i]) for i, image in enumerate(images)]
    assert len(np.unique(factors)) == factors.size
    assert np.min(expected) > 0.05
    assert np.max(expected) < 0.95
    np.testing.assert_allclose(found, np.array(expected), atol=1e-5)


@pytest.mark.parametrize(("die", "order"), [(1.0, [2, 0, 1]), (0.0, [1, 2, 0]), (0.5, [0, 1, 2])])
def test_a_third_of_a_turn_swaps_the_channels_as_torchvision(monkeypatch, die, order):
    images = pictures()
    found = jitter(monkeypatch, die, hue=1 / 3)(images)
    np.testing.assert_allclose(found, images[:, order], atol=1e-6)
    np.testing.assert_allclose(found, VF.adjust_hue(images, (2 * die - 1) / 3), atol=1e-5)


def test_hue_leaves_grey_and_the_mean_of_the_channels_alone(monkeypatch):
    images = pictures() * 0.2 + 0.4
    found = jitter(monkeypatch, 0.8, hue=0.3)(images)
    assert (found - images).abs().max() > 0.05
    np.testing.assert_allclose(found.mean(1), images.mean(1), atol=1e-6)
    grey = images[:, :1].expand(-1, 3, -1, -1)
    np.testing.assert_allclose(ColorJitter(hue=0.5)(grey), grey, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32])
def test_colours_are_clamped_and_rounded(dtype):
    images = pictures(40, dtype=dtype)
    torch.manual_seed(0)
    found = ColorJitter(2.0, 2.0, 2.0, 0.5)(images)
    top = 255 if dtype == torch.uint8 else 1
    assert found.min() == 0
    assert found.max() == top
    torch.manual_seed(0)
    high = images.double() / top
    expected = ColorJitter(2.0, 2.0, 2.0, 0.5)(high) * top
    eps = 0.5 if dtype == torch.uint8 else torch.finfo(dtype).eps
    assert (found.double() - expected).abs().max() <= eps + 1e-4


def test_autocast_does_not_coarsen_the_colours():
    images = pictures(dtype=torch.float32)
    torch.manual_seed(0)
    expected = ColorJitter(0.4, 0.4, 0.4, 0.1)(images)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ColorJitter(0.4, 0.4, 0.4, 0.1)(images), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("amount", [-0.1, float("nan"), float("inf"), "0.4", None, True, (0.5, 1)])
def test_wrong_amounts(name, amount):
    with pytest.raises(
        refusals.for_number(amount), match=f"^{name} must be a number of at least 0.*, got "
    ) as error:
        ColorJitter(**{name: amount})
    assert str(error.value).endswith(f"got {amount!r}")


def test_hue_beyond_half_a_turn_and_no_change_at_all():
    with pytest.raises(ValueError, match=r"^hue must be .* at most 0\.5, got 0\.6$"):
        ColorJitter(hue=0.6)
    with pytest.raises(ValueError, match=r"^brightness, contrast, .* must be above 0, got 0 for"):
        ColorJitter()


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("train", [True, False])
def test_wrong_channels(channels, train):
    message = f"images must have 1 or 3 channels, got (6, {channels}, 7, 5)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ColorJitter(0.5).train(train)(pictures(channels=channels))

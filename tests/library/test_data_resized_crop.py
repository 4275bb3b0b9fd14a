"""Random boxes: where they lie, how they are drawn, and what is sampled from them."""

import math
import re

import numpy as np
import pytest
import refusals
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import RandomResizedCrop as TorchvisionCrop
from torchvision.transforms import v2

from resnet_lib.data import RandomResizedCrop


def ramps(n, height, width):
    """Images whose two channels are each pixel's place: x + 0.5 and y + 0.5."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).double().add(0.5).expand(n, 2, height, width)


def boxes(crop, n, height, width):
    """Left, top, width and height of each box, read off the ramps in the middle of the box."""
    found = crop(ramps(n, height, width))
    x, y = found[:, 0, 0], found[:, 1, :, 0]
    middle = crop.size // 2
    across = (x[:, middle] - x[:, middle - 1]) * crop.size
    down = (y[:, middle] - y[:, middle - 1]) * crop.size
    return (
        x[:, middle] - across * (middle + 0.5) / crop.size,
        (y[:, middle] - down * (middle + 0.5) / crop.size),
        across,
        down,
    )


def sample(image, x, y):
    """Bilinear value of (H, W) at a place in pixels, where pixel 0 has its middle at 0.5."""
    height, width = image.shape
    x, y = min(max(x - 0.5, 0), width - 1), min(max(y - 0.5, 0), height - 1)
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    dx, dy = x - left, y - top
    upper = (1 - dx) * image[top, left] + dx * image[top, left + 1]
    lower = (1 - dx) * image[top + 1, left] + dx * image[top + 1, left + 1]
    return (1 - dy) * upper + dy * lower


@given(
    shape=st.tuples(st.integers(10, 40), st.integers(10, 40)),
    low=st.floats(0.1, 1),
    flat=st.floats(0.3, 1),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=60)
def test_boxes_lie_in_the_image_with_allowed_area_and_ratio(shape, low, flat, seed):
    height, width = shape
    torch.manual_seed(seed)
    crop = RandomResizedCrop(20, scale=(low, 1), ratio=(flat, 1 / flat))
    left, top, across, down = boxes(crop, 20, height, width)
    slack = 1e-4 * max(shape)
    assert left.min() >= -slack
    assert top.min() >= -slack
    assert (left + across).max() <= width + slack
    assert (top + down).max() <= height + slack
    ratio = across / down
    assert ratio.min() >= flat * (1 - 1e-3)
    assert ratio.max() <= 1 / flat * (1 + 1e-3)
    area = across * down / (height * width)
    # No allowed box that holds the least area may fit: then the largest one that fits counts.
    largest = min(width / height, height / width) / flat
    assert area.min() >= min(low, largest) * (1 - 1e-3)


@pytest.mark.parametrize("shape", [(40, 40), (20, 60), (60, 25)])
def test_boxes_are_drawn_as_torchvision_draws_them(shape):
    torch.manual_seed(0)
    options = {"scale": (0.2, 0.9), "ratio": (0.5, 2.0)}
    left, top, across, down = boxes(RandomResizedCrop(20, **options), 4000, *shape)
    image = torch.zeros(1, *shape)
    theirs = torch.tensor(
        [TorchvisionCrop.get_params(image, *options.values()) for _ in range(4000)]
    ).double()  # top, left, height, width
    for own, other in zip((top, left, down, across), theirs.T, strict=True):
        # Theirs are whole pixels: what they cut off is less than half a pixel on average.
        spread = other.std() / math.sqrt(4000)
        assert abs(own.mean() - other.mean()) < 0.5 + 6 * spread
        assert own.std() == pytest.approx(other.std().item(), rel=0.1)
    assert (across * down).mean() == pytest.approx(
        (theirs[:, 2] * theirs[:, 3]).mean().item(), rel=0.03
    )


@pytest.mark.parametrize(
    ("shape", "box"), [((10, 100), (43.75, 0, 12.5, 10)), ((100, 10), (0, 43.75, 10, 12.5))]
)
def test_where_no_box_fits_the_middle_is_taken(shape, box):
    torch.manual_seed(0)
    found = boxes(RandomResizedCrop(20, scale=(0.9, 1), ratio=(0.8, 1.25)), 5, *shape)
    np.testing.assert_allclose(torch.stack(found), np.tile(np.array(box)[:, None], 5), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_pixels_are_sampled_bilinearly_from_the_box(dtype):
    n, height, width, size = 6, 9, 14, 5
    images = torch.rand(n, 2, height, width, generator=torch.Generator().manual_seed(1))
    images = (images * 255).to(dtype) if dtype == torch.uint8 else images.to(dtype)
    crop = RandomResizedCrop(size, scale=(0.1, 1))
    torch.manual_seed(3)
    found = crop(images)
    wide = RandomResizedCrop(200, scale=(0.1, 1))  # the same dice, read off precisely
    torch.manual_seed(3)
    left, top, across, down = boxes(wide, n, height, width)
    places = (np.arange(size) + 0.5) / size
    expected = np.array(
        [
            [
                [
                    [
                        sample(plane, float(left[i] + across[i] * u), float(top[i] + down[i] * v))
                        for u in places
                    ]
                    for v in places
                ]
                for plane in images[i].double().numpy()
            ]
            for i in range(n)
        ]
    )
    assert found.dtype == dtype
    slack = 0.51 if dtype == torch.uint8 else 1e-3
    np.testing.assert_allclose(found.double(), expected, atol=slack)


def test_bytes_are_rounded():
    images = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).repeat(50, 1, 4, 4)
    torch.manual_seed(0)
    found = RandomResizedCrop(30, scale=(0.5, 1))(images)
    torch.manual_seed(0)
    exact = RandomResizedCrop(30, scale=(0.5, 1))(images.double())
    assert (found.double() - exact).abs().max() <= 0.5 + 1e-2


@pytest.mark.parametrize("shape", [(48, 48), (40, 61), (61, 40), (20, 20), (100, 33)])
def test_eval_mode_cuts_out_the_middle_as_torchvision(shape):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, *shape), dtype=torch.uint8, generator=generator)
    found = RandomResizedCrop(24).eval()(images)
    assert found.shape == (3, 3, 24, 24)
    assert found.dtype == torch.uint8
    reference = v2.Compose([v2.Resize(24), v2.CenterCrop(24)])
    for image, one in zip(images, found, strict=True):
        pillow = reference(Image.fromarray(image.permute(1, 2, 0).numpy()))
        assert np.abs(np.asarray(pillow, dtype=int) - one.permute(1, 2, 0).int().numpy()).max() <= 1


@pytest.mark.parametrize("size", [0, -1, 32.0, None, True, (32, 32)])
def test_wrong_size(size):
    message = f"size must be a whole number of at least 1, got {size!r}"
    with pytest.raises(refusals.for_whole(size), match=f"^{re.escape(message)}$"):
        RandomResizedCrop(size)


@pytest.mark.parametrize("name", ["scale", "ratio"])
@pytest.mark.parametrize(
    "values",
    [0.5, (0.5,), (0.1, 0.5, 1), (0, 1), (-0.1, 1), (1, 0.5), ("a", "b"), None, (0.1, math.nan)],
)
def test_wrong_ranges(name, values):
    error = TypeError if values == ("a", "b") else ValueError
    with pytest.raises(error, match=f"^{name} must be a (pair|number) "):
        RandomResizedCrop(8, **{name: values})


def test_scale_beyond_the_image():
    with pytest.raises(
        ValueError, match=r"^scale must be a number above 0 and at most 1, got 1\.5$"
    ):
        RandomResizedCrop(8, scale=(0.5, 1.5))

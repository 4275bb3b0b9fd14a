"""Handwritten digits, which scikit-learn brings along: data without a download."""

import torch
import torch.nn.functional as F

from resnet_lib.arguments import check_choice, check_number, check_whole
from resnet_lib.data.image_data import ImageData, channel_statistics

SIZES = (8, 16, 32)
FULL_INK = 16  # how the set counts it


def digits(size: int = 8, *, test_fraction: float = 0.2, seed: int = 0) -> ImageData:
    """Load the 1,797 handwritten digits of Alpaydin and Kaynak 1998, as scikit-learn ships them.

    They are the test part of the UCI set "Optical Recognition of Handwritten Digits". The images
    have one channel, in which 0 is paper and 255 full ink. The split keeps the share of each class
    and depends on `seed` alone.

    Args:
        size: side of the images in pixels: 8 (as stored), 16 or 32 (bilinear enlargement).
        test_fraction: share of the images held back, from 0.01 to 0.99.
        seed: seed of the split, from 0 to 2³² - 1.

    Raises:
        TypeError, ValueError: `size`, `test_fraction` or `seed` is not allowed.
    """
    check_choice("size", size, SIZES)
    check_number("test_fraction", test_fraction, 0.01, 0.99)
    check_whole("seed", seed, 0, 2**32 - 1)
    # Here, because scikit-learn takes a second to import, in each of many processes.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    stored = load_digits()
    counts = torch.tensor(stored.images, dtype=torch.float32)[:, None]  # (1797, 1, 8, 8)
    labels = torch.tensor(stored.target, dtype=torch.int64)
    if size != 8:
        counts = F.interpolate(counts, size=(size, size), mode="bilinear")
    images = (counts * 255 / FULL_INK).round().to(torch.uint8)
    train, test = train_test_split(
        range(len(labels)), test_size=test_fraction, random_state=seed, stratify=stored.target
    )
    mean, std = channel_statistics(images[train])
    return ImageData(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        classes=tuple(map(str, range(10))),
        mean=mean,
        std=std,
    )

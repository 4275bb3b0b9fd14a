"""Handwritten digits, which scikit-learn brings along: data without a download."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_lib.arguments import check_choice, check_number, check_whole

SIZES = (8, 16, 32)


@dataclass(frozen=True, eq=False)  # == of tensors has no single truth value
class Digits:
    """Handwritten digits, split and normalised.

    Attributes:
        train_images: (N, 1, size, size) float32, mean 0 and standard deviation 1 over all pixels.
        train_labels: (N,) int64, 0 to 9.
        test_images: as `train_images`, normalised with the training set's mean and deviation.
        test_labels: as `train_labels`.
        mean: mean of the training pixels before normalising, where 0 is paper and 1 full ink.
        std: their standard deviation.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: float
    std: float


def digits(size: int = 8, *, test_fraction: float = 0.2, seed: int = 0) -> Digits:
    """Load the 1,797 handwritten digits of Alpaydin and Kaynak 1998, as scikit-learn ships them.

    They are the test part of the UCI set "Optical Recognition of Handwritten Digits". The split
    keeps the share of each class and depends on `seed` alone.

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
    images = torch.tensor(stored.images, dtype=torch.float32)[:, None] / 16  # (1797, 1, 8, 8)
    labels = torch.tensor(stored.target, dtype=torch.int64)
    if size != 8:
        images = F.interpolate(images, size=(size, size), mode="bilinear")
    train, test = train_test_split(
        range(len(labels)), test_size=test_fraction, random_state=seed, stratify=stored.target
    )
    mean, std = images[train].mean(), images[train].std()
    images = (images - mean) / std
    return Digits(images[train], labels[train], images[test], labels[test], mean.item(), std.item())

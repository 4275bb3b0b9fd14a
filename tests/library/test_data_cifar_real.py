"""CIFAR-10 itself, where it is on this machine."""

import pytest

from resnet_lib.data import cifar10


def test_real_files():
    try:
        data = cifar10(download=False)
    except FileNotFoundError as error:
        pytest.skip(f"CIFAR-10 ITSELF IS NOT TESTED. {error}")
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert data.train_labels.bincount().tolist() == [5_000] * 10
    assert data.test_labels.bincount().tolist() == [1_000] * 10
    assert data.classes == (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-5)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-5)

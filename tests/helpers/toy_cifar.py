"""Noise in the place of CIFAR-10, for experiments on a tiny setting."""

import torch

from resnet_lib import data


def toy_cifar() -> data.ImageData:
    """600 images, the same ones to train and to test with."""
    dice = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (600, 3, 32, 32), dtype=torch.uint8, generator=dice)
    labels = torch.arange(600) % 10
    classes = tuple("abcdefghij")
    return data.ImageData(images, labels, images, labels, classes, (0.5,) * 3, (0.25,) * 3)

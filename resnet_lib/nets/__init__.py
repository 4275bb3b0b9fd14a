"""Whole networks: the simplest stacks, the ImageNet family, the CIFAR family; how they begin."""

from resnet_lib.names import NAMES
from resnet_lib.nets.cifar import CifarResNet
from resnet_lib.nets.head import add_dropout
from resnet_lib.nets.initialisation import he_init, zero_gamma
from resnet_lib.nets.named import by_name
from resnet_lib.nets.resnet import (
    CONFIGURATIONS,
    ResNet,
    make_stage,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from resnet_lib.nets.stacks import PlainStack, ResidualStack

__all__ = [
    "CONFIGURATIONS",
    "NAMES",
    "CifarResNet",
    "PlainStack",
    "ResNet",
    "ResidualStack",
    "add_dropout",
    "by_name",
    "he_init",
    "make_stage",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "zero_gamma",
]

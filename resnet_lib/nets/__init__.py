"""Whole networks: the simplest stacks, the ImageNet family, the CIFAR family; how they begin."""

from resnet_lib.names import NAMES
from resnet_lib.nets.cifar import CifarResNet
from resnet_lib.nets.freezing import freeze
from resnet_lib.nets.head import add_dropout, replace_head
from resnet_lib.nets.initialisation import he_init, zero_gamma
from resnet_lib.nets.named import by_name, options_of
from resnet_lib.nets.resnet import (
    CONFIGURATIONS,
    ResNet,
    check_options,
    make_stage,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from resnet_lib.nets.stacks import PlainStack, ResidualStack
from resnet_lib.nets.stages import stage_features

__all__ = [
    "CONFIGURATIONS",
    "NAMES",
    "CifarResNet",
    "PlainStack",
    "ResNet",
    "ResidualStack",
    "add_dropout",
    "by_name",
    "check_options",
    "freeze",
    "he_init",
    "make_stage",
    "options_of",
    "replace_head",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "stage_features",
    "zero_gamma",
]

"""Trained weights: written with a card, loaded whole or not at all; a few come along."""

from resnet_lib.weights.cards import ModelCard, load_network, read_card, save_weights
from resnet_lib.weights.loading import load_weights, read_weights
from resnet_lib.weights.trained import model_card, plain20, resnet8, resnet20, resnet56

__all__ = [
    "ModelCard",
    "load_network",
    "load_weights",
    "model_card",
    "plain20",
    "read_card",
    "read_weights",
    "resnet8",
    "resnet20",
    "resnet56",
    "save_weights",
]

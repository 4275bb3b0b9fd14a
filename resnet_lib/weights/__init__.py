"""Trained weights: reading them, loading them whole or not at all, and a few that come along."""

from resnet_lib.weights.loading import load_weights, read_weights
from resnet_lib.weights.trained import ModelCard, model_card, plain20, resnet8, resnet20, resnet56

__all__ = [
    "ModelCard",
    "load_weights",
    "model_card",
    "plain20",
    "read_weights",
    "resnet8",
    "resnet20",
    "resnet56",
]

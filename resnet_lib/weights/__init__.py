"""Trained weights: written with a card, loaded whole or not at all; a few come along."""

from resnet_lib.weights.cards import ModelCard, read_card, save_weights
from resnet_lib.weights.formats import numpy_data
from resnet_lib.weights.hugging_face import (
    from_hugging_face,
    hugging_face_config,
    to_hugging_face,
)
from resnet_lib.weights.loading import WeightsMismatch, load_network, load_weights
from resnet_lib.weights.reading import read_weights
from resnet_lib.weights.trained import model_card, plain20, resnet8, resnet20, resnet56

__all__ = [
    "ModelCard",
    "WeightsMismatch",
    "from_hugging_face",
    "hugging_face_config",
    "load_network",
    "load_weights",
    "model_card",
    "numpy_data",
    "plain20",
    "read_card",
    "read_weights",
    "resnet8",
    "resnet20",
    "resnet56",
    "save_weights",
    "to_hugging_face",
]

"""Trained weights into a network: all of them, or an error that says what does not fit."""

from resnet_lib.weights.loading import load_weights, read_weights

__all__ = ["load_weights", "read_weights"]

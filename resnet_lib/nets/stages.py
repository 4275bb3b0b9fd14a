"""What a network's stages put out, for whatever is to stand on them."""

import re

import torch.nn.functional as F
from torch import Tensor, nn


def stage_features(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Run a residual network without its head, and return the output of each stage.

    So a detector or a segmentation stands on it (feature pyramids, Lin et al. 2016). torchvision's
    ResNets have the same names, so it serves them too. Gradients go through; modes stay.

    Shapes: x (N, C, H, W). "layer1", "layer2", ... have strides 4, 8, 16, 32 in a `ResNet`, and 1,
    2, 4 in a `CifarResNet`: (N, channels of the stage, ⌈H/stride⌉, ⌈W/stride⌉).

    Args:
        model: a network with the modules conv1, bn1, perhaps maxpool, layer1, layer2, ...
        x: images, normalised as the network's were.

    Raises:
        TypeError: the model has no such modules.
    """
    parts = dict(model.named_children())
    stages = [name for name in parts if re.fullmatch(r"layer\d", name)]
    if not stages or not {"conv1", "bn1"} <= parts.keys():
        named = ", ".join(parts) or "no modules"
        raise TypeError(f"model must have conv1, bn1, layer1, ..., got {named}")
    x = F.relu(parts["bn1"](parts["conv1"](x)))
    x = parts.get("maxpool", nn.Identity())(x)
    found = {}
    for name in stages:
        x = found[name] = parts[name](x)
    return found

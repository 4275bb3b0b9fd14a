"""A ResNet's weights under the names of transformers, and back; which configuration it has there.

transformers is not imported: names are all that differs. They are those of its
`ResNetForImageClassification`; `ResNetModel` and `ResNetBackbone` have the same without "resnet."
and without the classifier.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from resnet_lib.blocks import Bottleneck
from resnet_lib.nets import ResNet, options_of
from resnet_lib.weights.reading import listed, read_weights

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


def hugging_face_parts(blocks: int) -> dict[str, str]:
    """Layers of a ResNet: torchvision's names, which are ours, and for each that of transformers.

    Both kinds of block are in it, so a network has some of these names and never all. Stages,
    and convolutions within a block, are counted from 1 here and from 0 there.

    Args:
        blocks: how many blocks a stage may have.
    """
    stem = "resnet.embedder.embedder"
    parts = {"conv1": f"{stem}.convolution", "bn1": f"{stem}.normalization"}
    parts["fc"] = "classifier.1"
    for stage, block in product(range(4), range(blocks)):
        here = f"layer{stage + 1}.{block}"
        there = f"resnet.encoder.stages.{stage}.layers.{block}"
        parts[f"{here}.downsample.0"] = f"{there}.shortcut.convolution"
        parts[f"{here}.downsample.1"] = f"{there}.shortcut.normalization"
        for n in range(3):
            parts[f"{here}.conv{n + 1}"] = f"{there}.layer.{n}.convolution"
            parts[f"{here}.bn{n + 1}"] = f"{there}.layer.{n}.normalization"
    return parts


def to_hugging_face(
    source: "str | Path | Mapping[str, Tensor] | WeightsEnum", entry: str = ""
) -> dict[str, Tensor]:
    """The same tensors under the names of transformers' `ResNetForImageClassification`.

    What the network computes stands in its configuration, see `hugging_face_config`::

        config = transformers.ResNetConfig(**hugging_face_config(network))
        theirs = transformers.ResNetForImageClassification(config)
        theirs.load_state_dict(to_hugging_face(network.state_dict()))

    Args:
        source: the weights of a `ResNet`, or of torchvision's; all that `read_weights` takes.
        entry: where the state dict lies within the source, see `read_weights`.

    Raises:
        TypeError, ValueError, OSError: the source cannot be read, see `read_weights`.
        ValueError: it has names that no ResNet of torchvision's has.
    """
    state = read_weights(source, entry)
    parts = hugging_face_parts(blocks=len(state))  # it has no more blocks than tensors
    return _renamed(state, parts, "torchvision's")


def from_hugging_face(
    source: "str | Path | Mapping[str, Tensor] | WeightsEnum", entry: str = ""
) -> dict[str, Tensor]:
    """The same tensors under our names, which are torchvision's; hand them to `load_weights`.

    Args:
        source: the weights of transformers' `ResNetForImageClassification`, as its
            `save_pretrained` writes them to `model.safetensors`; all that `read_weights` takes. Of
            `ResNetModel` and `ResNetBackbone` too: these have no classifier, and `load_weights`
            needs leave_out=["fc"].
        entry: where the state dict lies within the source, see `read_weights`.

    Names do not tell on which convolution of a bottleneck the stride is: where the file's
    configuration says `downsample_in_bottleneck`, build the network with `stride_in_1x1=True`.
    With `downsample_in_first_stage` there is none in this library that computes the same.

    Raises:
        TypeError, ValueError, OSError: the source cannot be read, see `read_weights`.
        ValueError: it has names that no ResNet of transformers has, or two for one tensor.
    """
    state = read_weights(source, entry)
    parts = {there: here for here, there in hugging_face_parts(blocks=len(state)).items()}
    headless = {there.removeprefix("resnet."): here for there, here in parts.items()}
    return _renamed(state, parts | headless, "transformers'")


def hugging_face_config(network: ResNet) -> dict[str, Any]:
    """The arguments of transformers' `ResNetConfig` with which it builds the same network.

    Raises:
        TypeError: it is no `ResNet`.
        ValueError: transformers has no such network: its ResNets have additions, shortcuts of
            option B, the large stem and a linear classifier.
    """
    if not isinstance(network, ResNet):
        raise TypeError(f"network must be a ResNet, got {type(network).__name__}")
    options = options_of(network)
    for name, theirs in (("residual", True), ("shortcut", "B"), ("stem", "large")):
        if options[name] != theirs:
            raise ValueError(
                f"network must have {name}={theirs!r} for transformers, got {options[name]!r}"
            )
    for layer, kind in ((network.conv1, nn.Conv2d), (network.fc, nn.Linear)):
        if not isinstance(layer, kind):
            raise ValueError(
                f"network must begin with a Conv2d and end in a Linear, got {type(layer).__name__}"
            )
    stages = [getattr(network, f"layer{n}") for n in range(1, 5)]
    block = stages[0][0]
    return {
        "num_channels": network.conv1.in_channels,
        "embedding_size": network.conv1.out_channels,
        "hidden_sizes": [block.expansion * width for width in (64, 128, 256, 512)],
        "depths": [len(stage) for stage in stages],
        "layer_type": "bottleneck" if isinstance(block, Bottleneck) else "basic",
        "downsample_in_bottleneck": options.get("stride_in_1x1", False),
        "num_labels": network.fc.out_features,
    }


def _renamed(state: dict[str, Tensor], parts: dict[str, str], whose: str) -> dict[str, Tensor]:
    found, unknown = {}, []
    for name, tensor in state.items():
        part, _, last = name.rpartition(".")
        if part not in parts:
            unknown.append(name)
            continue
        new = f"{parts[part]}.{last}"
        if new in found:
            raise ValueError(f"source has two names for {new}")
        found[new] = tensor
    if unknown:
        message = f"source has names that are not {whose} for a ResNet: {listed(unknown)}."
        if unknown[0].rpartition(".")[0] in parts.values():
            message += " They are what it would be renamed to."
        raise ValueError(message)
    return found

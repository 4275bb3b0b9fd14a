"""Weights with a card: what one has to know of them, kept in the file itself."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from resnet_lib.files import write_whole
from resnet_lib.nets import by_name
from resnet_lib.weights.loading import load_weights, read_weights

# The one entry of the metadata: several would be written in an order left to chance.
ENTRY = "resnet_lib"
FOLDER = Path(__file__).parent
# What the files that come with the library do not say: they are older than this entry.
SHIPPED_IMAGES = {"cifar10": (3, 32, 32), "digits": (1, 8, 8)}


@dataclass(frozen=True)
class ModelCard:
    """What one has to know of trained weights in order to use them; empty where nobody said it.

    Attributes:
        net: name of the network, as `nets.by_name` takes it.
        classes: the classes' names, in the order of the scores.
        image: shape (C, H, W) of the pictures that the network was trained on.
        mean: mean of the training pixels per channel, on a scale from 0 to 1. Raw pixels are to be
            normalised as in the training: `data.Normalize(card.mean, card.std)`.
        std: their standard deviation per channel, on the same scale.
        path: the file of weights.
        text: recipe, record, accuracy and limits, in Markdown; of the library's own weights.
    """

    net: str
    classes: tuple[str, ...]
    image: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    path: Path
    text: str = ""


def save_weights(
    path: str | os.PathLike,
    model: nn.Module,
    *,
    net: str = "",
    classes: Sequence[str] = (),
    image: Sequence[int] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> None:
    """Write a model's state dict with its card as a safetensors file, whole or not at all.

    `load_network` and `read_card` read it; `load_weights`, and whatever else knows safetensors,
    reads the state dict.

    Args:
        path: the file; one of that name is replaced.
        model: the network, on any device.
        net, classes, image, mean, std: what the card says, see `ModelCard`.

    Raises:
        TypeError, ValueError: `net` is no name of a network, or an entry has the wrong form.
        OSError: the system cannot write there; an older file of that name is as it was.
    """
    from safetensors.torch import save

    card = {"net": net, "classes": list(classes), "image": list(image)}
    card |= {"mean": list(mean), "std": list(std)}
    about = {name: value for name, value in card.items() if value}
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    write_whole(Path(path), save(tensors, {ENTRY: json.dumps(about)}))


def read_card(path: str | os.PathLike) -> ModelCard:
    """The card in a file of weights; all but its path is empty in a file that has none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged.
    """
    path = Path(path)
    about = _metadata(path)
    shipped = path.resolve().parent == FOLDER
    if shipped and "image" not in about:
        about["image"] = SHIPPED_IMAGES[path.stem.partition("-")[2]]
    text = path.with_suffix(".md").read_text(encoding="utf-8") if shipped else ""
    lists = {n: tuple(about.get(n, ())) for n in ("classes", "image", "mean", "std")}
    return ModelCard(net=about.get("net", ""), **lists, path=path, text=text)


def load_network(path: str | os.PathLike) -> tuple[nn.Module, ModelCard]:
    """The network that a file's card names, with its weights, in eval mode; and the card.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its card names no network, or one that the weights do
            not fit.
    """
    card, weights = read_card(path), read_weights(path)
    if not card.net:
        raise ValueError(
            f"{path} does not say of which network its weights are: build it, for example with "
            "nets.by_name, and use load_weights"
        )
    network = by_name(card.net, len(weights["fc.bias"]), weights["conv1.weight"].shape[1])
    load_weights(network, weights)
    return network.eval(), card


def _metadata(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"path names no file: {path}")
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {}).get(ENTRY, "{}"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None

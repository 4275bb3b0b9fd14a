"""Weights with a card: what one has to know of them, kept in the file itself."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from resnet_lib.arguments import check_module, check_path
from resnet_lib.files import write_whole
from resnet_lib.nets import CifarResNet, ResNet, by_name, options_of
from resnet_lib.weights.formats import is_safetensors

# The one entry of the metadata: several would be written in an order left to chance.
ENTRY = "resnet_lib"
FOLDER = Path(__file__).parent
# What the lists on a card hold.
KINDS = {"classes": str, "image": int, "mean": int | float, "std": int | float}
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
        options: those of the network that are not the usual ones, for `nets.by_name`.
        text: recipe, record, accuracy and limits, in Markdown; of the library's own weights.
    """

    net: str
    classes: tuple[str, ...]
    image: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
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
        net, classes, image, mean, std: what the card says, see `ModelCard`. With `net`, the
            network's options are put down too.

    Raises:
        TypeError: `path` is no path, `model` no module, or the card's lists hold something else.
        TypeError, ValueError: `net` is no name of a network, or `model` is not that network.
        OSError: the system cannot write there; an older file of that name is as it was.
    """
    from safetensors.torch import save

    check_path("path", path)
    check_module("model", model)
    lists = {"classes": [*classes], "image": [*image], "mean": [*mean], "std": [*std]}
    for name, values in lists.items():
        if not _are_of_kind(name, values):
            kind = "strings" if name == "classes" else "numbers"
            raise TypeError(f"{name} must hold {kind}, got {values!r}")
    card = {"net": net, "options": _unusual(net, model) if net else {}} | lists
    about = {name: value for name, value in card.items() if value}
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    write_whole(Path(path), save(tensors, {ENTRY: json.dumps(about)}))


def read_card(path: str | os.PathLike) -> ModelCard:
    """The card in a file of weights; all but its path is empty in a file that has none.

    Raises:
        TypeError: `path` is no path.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged.
    """
    check_path("path", path)
    path = Path(path)
    about = _metadata(path)
    _check_card(about, path)
    shipped = path.resolve().parent == FOLDER
    if shipped and "image" not in about:
        about["image"] = SHIPPED_IMAGES[path.stem.partition("-")[2]]
    text = path.with_suffix(".md").read_text(encoding="utf-8") if shipped else ""
    lists = {n: tuple(about.get(n, ())) for n in ("classes", "image", "mean", "std")}
    options = dict(about.get("options", {}))
    return ModelCard(net=about.get("net", ""), **lists, path=path, options=options, text=text)


def check_function(model: nn.Module, card: ModelCard) -> None:
    """Refuse a model that computes something else than the network on the card.

    Raises:
        ValueError: it does. Names and shapes may agree all the same.
    """
    if not card.net or not isinstance(model, ResNet | CifarResNet):
        return
    try:
        mine = options_of(model)
    except ValueError:  # blocks of the reader's own
        return
    with torch.device("meta"):  # no memory for its weights
        theirs = options_of(network_of(card, 1, 1))
    differ = [name for name in theirs if theirs[name] != mine.get(name)]
    if differ:
        pairs = ", ".join(f"{n} {mine.get(n)!r} and {theirs[n]!r}" for n in differ)
        raise ValueError(
            f"{card.path} is of {card.net}, which computes something else than the model, though "
            f"names and shapes agree. In model and file: {pairs}. load_network builds the right "
            "one; load_weights(model, read_weights(source)) loads them here all the same."
        )


def network_of(card: ModelCard, num_classes: int, in_channels: int) -> nn.Module:
    """The network that a card names, with random weights.

    Raises:
        ValueError: there is no such network, or none with these options.
    """
    try:
        return by_name(card.net, num_classes, in_channels, **card.options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the card in {card.path} names no network: {error}") from None


def _drawn(net: str, num_classes: int, in_channels: int, options: Mapping) -> nn.Module:
    """The network of this name without memory for its weights."""
    with torch.device("meta"):
        return by_name(net, num_classes, in_channels, **options)


def _unusual(net: str, model: nn.Module) -> dict[str, Any]:
    """The model's options that are not the usual ones of the network of this name.

    Raises:
        ValueError: the model is another network.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    of_ours = isinstance(model, ResNet | CifarResNet)
    options = options_of(model) if of_ours else {}
    usual = options_of(_drawn(net, 1, 1, {}))
    unusual = {name: value for name, value in options.items() if value != usual.get(name)}
    if "residual" not in unusual and {"conv1.weight", "fc.bias"} <= set(own):
        size = own["fc.bias"][0], own["conv1.weight"][1]
        twin = _drawn(net, *size, unusual).state_dict()
        if own == {name: tuple(tensor.shape) for name, tensor in twin.items()}:
            return unusual
    raise ValueError(f"net must name the network that is saved, and the model is no {net}")


def _check_card(about: Any, path: Path) -> None:
    """Refuse what `save_weights` has not written so.

    Raises:
        ValueError: an entry is of another kind.
    """
    if not isinstance(about, dict):
        raise ValueError(f"{path} is damaged: its card is none")
    for name in KINDS:
        if not _are_of_kind(name, about.get(name, [])):
            raise ValueError(f"{path} is damaged: {name} on its card are {about[name]!r:.80}")
    for name, kind in {"net": str, "options": dict}.items():
        if not isinstance(about.get(name, kind()), kind):
            raise ValueError(f"{path} is damaged: {name} on its card is {about[name]!r:.80}")


def _are_of_kind(name: str, values: Any) -> bool:
    """Whether it is a list of what a card's entry of this name holds; True is no number."""
    is_list = isinstance(values, list)
    return is_list and all(isinstance(v, KINDS[name]) and not isinstance(v, bool) for v in values)


def _metadata(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"path names no file: {path}")
    with path.open("rb") as file:
        if not is_safetensors(file.read(16)):
            return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as opened:
            return json.loads((opened.metadata() or {}).get(ENTRY, "{}"))
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None

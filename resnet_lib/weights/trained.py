"""Networks with weights that come with the library; no download."""

from resnet_lib.nets import CifarResNet, by_name
from resnet_lib.weights.cards import FOLDER, ModelCard, read_card
from resnet_lib.weights.loading import load_weights

__all__ = ["model_card", "plain20", "resnet8", "resnet20", "resnet56"]


def model_card(net: str, weights: str) -> ModelCard:
    """What is known of trained weights that come with the library.

    Args:
        net: name of the network, "resnet20" for example.
        weights: the data they were trained on, "cifar10" for example.

    Raises:
        TypeError: `net` or `weights` is no string.
        ValueError: the library has none of this network, or none of this data; the message names
            those there are.
    """
    for name, value in (("net", net), ("weights", weights)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {type(value).__name__}")
    there: dict[str, list[str]] = {}
    for file in sorted(FOLDER.glob("*.safetensors")):
        trained, _, on = file.stem.partition("-")
        there.setdefault(trained, []).append(on)
    if net not in there:
        raise ValueError(f"net must be one of {', '.join(there)}, got {net!r}")
    if weights not in there[net]:
        raise ValueError(f"weights of {net} must be {' or '.join(there[net])}, got {weights!r}")
    return read_card(FOLDER / f"{net}-{weights}.safetensors")


def resnet20(weights: str | None = None) -> CifarResNet:
    """ResNet-20 for 32 × 32 images (He et al. 2015, section 4.2), random or trained.

    The network comes in train mode, as every new module does. `model_card` says how its input has
    to be normalised, and how good the weights are.

    Shapes: (N, 3, H, W) to (N, 10).

    Args:
        weights: "cifar10", or None for random ones.

    Raises:
        TypeError: `weights` is no string. For a state dict there is `load_weights`.
        ValueError: there are no such weights.
    """
    return _network(20, weights)


def resnet56(weights: str | None = None) -> CifarResNet:
    """ResNet-56; else as `resnet20`."""
    return _network(56, weights)


def plain20(weights: str | None = None) -> CifarResNet:
    """The plain twin of ResNet-20, without the additions; else as `resnet20`."""
    return _network(20, weights, "plain")


def resnet8(weights: str | None = None) -> CifarResNet:
    """ResNet-8, the smallest of the family; else as `resnet20`.

    Shapes: (N, 3, H, W) to (N, 10); with the weights "digits" it is (N, 1, H, W), made for 8 × 8.

    Args:
        weights: "digits", or None for random ones.
    """
    return _network(8, weights)


def _network(depth: int, weights: str | None, kind: str = "resnet") -> CifarResNet:
    name = f"{kind}{depth}"
    if weights is None:
        return by_name(name, num_classes=10, in_channels=3)
    card = model_card(name, weights)
    network = by_name(name, len(card.classes), len(card.mean))
    load_weights(network, card.path)
    return network

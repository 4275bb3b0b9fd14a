"""Trained weights into a network: all of them, or an error that says what does not fit."""

import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from resnet_lib.arguments import check_module, check_path
from resnet_lib.blocks import PadShortcut
from resnet_lib.weights import mismatch
from resnet_lib.weights.cards import ModelCard, check_function, network_of, read_card
from resnet_lib.weights.reading import NestedWeights, read_weights

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


class WeightsMismatch(ValueError):
    """A source does not fit a model.

    Attributes:
        fault: what does not fit.
        proposal: the arguments of `load_weights` with which it would, where a wrapper, other words
            or a few layers of another size are all that differs; else empty. The message has both.
    """

    def __init__(self, fault: str, advice: str = "", proposal: Mapping[str, Any] | None = None):
        super().__init__(fault + advice)
        self.fault = fault
        self.proposal = dict(proposal or {})


def load_weights(
    model: nn.Module,
    source: "str | Path | Mapping[str, Tensor] | WeightsEnum",
    leave_out: Sequence[str] = (),
    *,
    entry: str = "",
    rename: Mapping[str, str] | None = None,
) -> list[str]:
    """Load a state dict into a model, every name and shape of it, or nothing at all.

    Only the counters of batches that batch norms keep may be missing, as in old files.

    Names and shapes do not tell what a network computes. A plain twin, zeros on the other side of
    option A, a stride on the other convolution, pixels in another order or on another scale: all
    of these load, and spoil the result. What `save_weights` has written says which network it was,
    and is compared. Of other sources the proof is an output: the same pictures through both
    networks in eval mode, or the accuracy on images with labels.

    Args:
        model: the network; it is changed only when everything fits.
        source: what `read_weights` takes.
        leave_out: parts of the model that keep their weights, named as in its state dict: "fc"
            stands for fc.weight and fc.bias. That is how a head of another size is allowed.
        entry: where the state dict lies within the source, see `read_weights`.
        rename: parts of the source's names and what is to stand in their place, the first time
            each occurs in a name, one after the other: {"module": "", "linear": "fc"}. An empty
            part stands for the beginning: {"": "backbone"} puts backbone. before all names.

    Returns:
        The names that were left out, of the model and of the source; empty without `leave_out`.

    Raises:
        TypeError, ValueError, OSError: the source cannot be read, see `read_weights`.
        TypeError: the model is no module, `leave_out` no list of names, or `rename` no mapping of
            names.
        ValueError: a part that is to be left out is in neither model nor source, a part that is to
            be renamed is not in the source, or the source's card names a network that computes
            something else.
        WeightsMismatch: names or shapes of model and source differ outside of `leave_out`, a
            tensor holds whole numbers where the model has fractions, or one is sparse or on the
            meta device. It is a `ValueError`; its `proposal` says with which arguments the source
            would load. In all cases the model is as it was.
    """
    check_module("model", model)
    rename = {} if rename is None else rename
    _check_names(leave_out)
    _check_rename(rename)
    own = model.state_dict()
    try:
        read = read_weights(source, entry)
    except NestedWeights as error:
        raise _nested(model, error, rename, leave_out) from None
    given = mismatch.rename_all(read, rename)
    left_out = [
        name
        for name in dict.fromkeys([*own, *given])
        if any(mismatch.is_in(name, part) for part in leave_out)
    ]
    for part in leave_out:
        if not any(mismatch.is_in(name, part) for name in left_out):
            raise ValueError(f"leave_out names {part!r}, which is in neither model nor source")
    kept = {name: tensor for name, tensor in given.items() if name not in left_out}
    wanted = {name: tensor for name, tensor in own.items() if name not in left_out}
    if faults := mismatch.faults(wanted, kept):
        proposal = mismatch.propose(own, read, rename, leave_out)
        message = " ".join(["source does not fit the model.", *faults])
        raise _mismatch(model, message, proposal and {"entry": entry, **proposal})
    if isinstance(source, str | Path):
        check_function(model, read_card(source))
    model.load_state_dict(own | kept, strict=True)
    return left_out


def load_network(path: str | os.PathLike) -> tuple[nn.Module, ModelCard]:
    """The network that a file's card names, with its weights, in eval mode; and the card.

    Raises:
        TypeError: `path` is no path.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its card names no network, or one that the weights do
            not fit.
    """
    check_path("path", path)
    path = Path(path)
    card, weights = read_card(path), read_weights(path)
    if not card.net:
        raise ValueError(
            f"{path} does not say of which network its weights are: build that network, with "
            "nets.by_name for example, and use load_weights"
        )
    lacking = [name for name in ("conv1.weight", "fc.bias") if name not in weights]
    if lacking:
        raise ValueError(f"{path} holds no {card.net}: it lacks {', '.join(lacking)}")
    num_classes, in_channels = len(weights["fc.bias"]), weights["conv1.weight"].shape[1]
    network = network_of(card, num_classes, in_channels)
    load_weights(network, weights)
    return network.eval(), card


def _check_names(leave_out: Sequence[str]) -> None:
    if isinstance(leave_out, str):
        raise TypeError(f"leave_out must be a list of names, as [{leave_out!r}], got a string")
    # A generator would be used up by the first look at it.
    if not isinstance(leave_out, Sequence | Set) or not all(isinstance(n, str) for n in leave_out):
        raise TypeError(f"leave_out must be a list of names, as ['fc'], got {leave_out!r}")


def _check_rename(rename: Mapping[str, str]) -> None:
    is_mapping = isinstance(rename, Mapping)
    if not is_mapping or not all(isinstance(n, str) for pair in rename.items() for n in pair):
        raise TypeError(f"rename must be as {{'module': '', 'linear': 'fc'}}, got {rename!r}")


def _nested(
    model: nn.Module, error: NestedWeights, rename: Mapping, leave_out: Sequence[str]
) -> WeightsMismatch:
    """The error, with the entry that fits the model best, and how it would load."""
    ways = []
    for entry, given in error.found.items():
        proposal = mismatch.propose(model.state_dict(), given, rename, leave_out)
        if proposal is not None:
            ways.append({"entry": entry, **proposal})
    ways.sort(key=lambda way: len(way["leave_out"]))  # of equals the first stays first
    return _mismatch(model, str(error), ways[0] if ways else None)


def _mismatch(model: nn.Module, fault: str, proposal: dict[str, Any] | None) -> WeightsMismatch:
    if proposal is None:
        return WeightsMismatch(fault)
    proposal = {name: value for name, value in proposal.items() if value}
    arguments = [f"{name}={value!r}" for name, value in proposal.items()]
    advice = f" It loads with load_weights({', '.join(['model', 'source', *arguments])})."
    if list(proposal) == ["leave_out"]:
        names = list(model.state_dict())
        own = [p for p in proposal["leave_out"] if any(mismatch.is_in(n, p) for n in names)]
        kept = f" and keeps the model's own {', '.join(own)}" if own else ""
        advice = f" {arguments[0]} loads the rest{kept}."
    if "rename" in proposal:
        advice += " Whether the networks compute the same, names do not tell: compare an output."
        if any(isinstance(module, PadShortcut) for module in model.modules()):
            advice += " Other networks may have zeros on both sides, which is shortcut='A-both'."
    return WeightsMismatch(fault, advice, proposal)

"""Trained weights, and what is known of them: from a run, a file, or the library."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_cli import run_folder
from resnet_cli.command_words import option
from resnet_cli.errors import Failure
from resnet_cli.library_errors import in_words
from resnet_cli.run_folder import Run
from resnet_cli.settings import CommonSettings
from resnet_lib.nets import by_name
from resnet_lib.train import Checkpoints
from resnet_lib.weights import (
    ModelCard,
    WeightsMismatch,
    load_weights,
    model_card,
    read_card,
    read_weights,
)

HEAD, STEM = "fc.weight", "conv1.weight"


@dataclass(frozen=True)
class Trained:
    """Weights, and what is known of them.

    Attributes:
        net: name of the network.
        tensors: its state dict.
        what: the weights in words.
        card: classes, shape and normalisation of the images it was trained on; empty entries
            where they are not known.
        run: the run that made them.
    """

    net: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    what: str
    card: ModelCard
    run: Run | None = None

    @property
    def outputs(self) -> int | None:
        """How many classes its head tells apart."""
        return len(self.tensors[HEAD]) if HEAD in self.tensors else None

    @property
    def channels(self) -> int | None:
        """How many channels an image has."""
        return self.tensors[STEM].shape[1] if STEM in self.tensors else None

    def network(self) -> nn.Module:
        """The network with these weights.

        Raises:
            Failure: they are another network's.
        """
        try:
            net = by_name(self.net, self.outputs or 1, self.channels or 3, **self.card.options)
            load_weights(net, self.tensors)
        except WeightsMismatch as error:
            # Half a network is of no use here, so that a proposal to leave out is none.
            text = error.fault if "leave_out" in error.proposal else str(error)
            raise Failure(f"{self.what}: {text}") from None
        except (TypeError, ValueError) as error:
            raise Failure(f"{self.what}: {error}") from None
        return net


def of(settings: Any) -> Trained:
    """The weights that settings with `run`, `net` and `weights` name.

    Raises:
        Failure: there are none, or they cannot be read.
    """
    if settings.run is not None:
        return of_run(Path(settings.run))
    return of_file(settings.net, str(settings.weights))


def of_run(folder: Path) -> Trained:
    """The final weights of a run, or those of its newest checkpoint.

    Raises:
        Failure: there is no run, or it has neither.
        CheckpointError: all checkpoints are damaged.
    """
    run = run_folder.read(folder)
    tensors, what = _weights_of(folder)
    net, facts = str(run.settings.net), run.data
    card = ModelCard(net, facts.classes, facts.image, facts.mean, facts.std, folder)
    return Trained(net, tensors, f"{what} of {folder}", card, run)


def of_file(net: str | None, weights: str) -> Trained:
    """The weights in a file, or those of the library of that name; the file may name the network.

    Raises:
        Failure: there are none, they cannot be read, or they are of another network.
    """
    path = path_of(net, weights)
    try:
        tensors, card = read_weights(path), read_card(path)
    except (ValueError, OSError) as error:
        raise Failure(f"--weights {path}: {in_words(error)}") from None
    if net is None and not card.net:
        raise Failure(f"--weights {path} does not say of which network it is: add --net")
    if net and card.net not in ("", net):
        raise Failure(f"--weights {path} are of {card.net}, not of {net}")
    return Trained(net or card.net, tensors, str(path), card)


def completed_card(settings: CommonSettings, weights: Trained) -> ModelCard:
    """The weights' card; what it does not say, or says otherwise, is taken from the options.

    Raises:
        Failure: neither says all that there is to know.
    """
    card = weights.card
    if settings.size is not None:
        channels = card.image[0] if card.image else weights.channels or 3
        card = replace(card, image=(channels, settings.size, settings.size))
    if settings.mean is not None and settings.std is not None:
        card = replace(card, mean=settings.mean, std=settings.std)
    lacking = {"size": card.image, "mean": card.mean, "std": card.std}
    if missing := [option(name) for name, value in lacking.items() if not value]:
        raise Failure(
            f"{weights.what} does not say what its images were like: add {', '.join(missing)} "
            "(--mean imagenet --std imagenet, for many)"
        )
    return card


def path_of(net: str | None, weights: str) -> Path:
    """The file that `--weights` names, by its path or by the data of weights of the library.

    Raises:
        Failure: there is none.
    """
    if Path(weights).is_file():
        return Path(weights)
    if net is None:
        raise Failure(f"--weights names no file: {weights}; for weights that come along add --net")
    try:
        return model_card(net, weights).path
    except ValueError as error:
        raise Failure(f"--weights names no file, and none that comes along: {error}") from None


def _weights_of(folder: Path) -> tuple[Mapping[str, Tensor], str]:
    path = folder / run_folder.WEIGHTS
    if path.is_file():
        try:
            return read_weights(path), "final weights"
        except (ValueError, OSError) as error:
            raise Failure(in_words(error)) from None
    state = Checkpoints(folder / run_folder.CHECKPOINTS).load()
    if state is None:
        raise Failure(f"{folder} holds neither {path.name} nor a checkpoint: train first")
    what = f"weights after update {state['counters'][2]}"
    if state["best"] is not None:
        return state["best"], "best weights so far"
    if state["average"] is None:
        return state["model"], what
    # Beside the weights, which lie under "module.", an average keeps the number of updates.
    average = {name.removeprefix("module."): value for name, value in state["average"].items()}
    return {name: average[name] for name in state["model"]}, f"average of the {what}"


def set_threads(threads: int | None) -> None:
    """Compute with as many CPU threads; None leaves PyTorch's choice."""
    if threads is not None:
        torch.set_num_threads(threads)

"""The command evaluate."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from resnet_cli import names, runs, sources
from resnet_cli.faults import Failure, UsageError, in_one_line
from resnet_cli.printing import in_columns, percent, say
from resnet_lib import data
from resnet_lib import train as training
from resnet_lib.weights import load_weights

BATCH_SIZE = 256
HEAD = ("class", "images", "right", "error", "most often taken for")


class Trained(NamedTuple):
    """Weights, and what is known of them.

    Attributes:
        net: name of the network.
        source: what `load_weights` takes.
        what: the source in words.
        about: of the data they were trained on: `classes`, `mean`, `std`, `sha256`, where known.
        config: the settings of the training, where known.
        own_data: whether they are judged on the data they were trained on.
    """

    net: str
    source: Any
    what: str
    about: dict[str, Any]
    config: dict[str, Any]
    own_data: bool = False


def evaluate(settings: dict[str, Any]) -> None:
    """Evaluate weights on the test part of a data set, and print what was found."""
    if settings["threads"] is not None:
        torch.set_num_threads(settings["threads"])
    trained, settings = _trained(settings)
    device = _device(settings["device"])
    images = sources.load(settings, training.World(device))
    _compare(trained, settings["data"], images)
    batches = data.Batches(
        images.test_images,
        images.test_labels,
        settings["batch_size"] or BATCH_SIZE,
        transform=_normalize(settings, trained, images),
        device=device,
    )
    options = {
        "precision": settings["precision"] or trained.config.get("precision", "fp32"),
        "channels_last": trained.config.get("channels_last", False),
    }
    layout = torch.channels_last if options["channels_last"] else torch.contiguous_format
    net = _network(trained, images).to(device, memory_format=layout)
    result, guesses = _judge(net, batches, options)
    say(
        f"{trained.net}, {trained.what}, on the test images of {settings['data']}",
        f"images    {result.samples:,}",
        f"loss      {result.loss:.4f}",
        f"accuracy  {percent(result.accuracy)}",
        f"error     {percent(1 - result.accuracy)}",
    )
    if settings["per_class"]:
        rows = _by_class(images.test_labels, guesses, images.classes)
        say("", *in_columns([HEAD, *rows], right={1, 2, 3}))


def _device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        UsageError: there is none on this machine.
    """
    try:
        return training.pick_device(name)
    except ValueError as error:
        raise UsageError(f"argument --device: {error}") from None


def _trained(settings: dict[str, Any]) -> tuple[Trained, dict[str, Any]]:
    """The weights that are asked for; and the settings, with the run's data if none are named."""
    if settings["run"] is None:
        path = Path(settings["weights"])
        about = runs.about_weights(path)
        if about.get("net", settings["net"]) != settings["net"]:
            raise Failure(f"--weights {path} are of {about['net']}, not of {settings['net']}")
        return Trained(settings["net"], path, str(path), about, {}), settings
    folder = Path(settings["run"])
    kept = runs.read(folder)
    own = {n: kept["settings"][n] for n in ("data", "data_root", "size", "skip_unreadable")}
    own_data = all(settings[name] in (None, own[name]) for name in ("data", "size"))
    if settings["data"] in (None, own["data"]):
        settings = settings | {name: settings[name] or value for name, value in own.items()}
    elif settings["size"] is None and settings["data"] != "cifar10":
        settings = settings | {"size": kept["data"]["image"][-1]}
    # In another batch size, half precision rounds differently.
    settings = settings | {"batch_size": settings["batch_size"] or kept["settings"]["batch_size"]}
    source, what = runs.weights_of(folder)
    what = f"{what} of {folder}"
    net, about, config = kept["settings"]["net"], kept["data"], kept["config"]
    return Trained(net, source, what, about, config, own_data), settings


def _compare(trained: Trained, name: str, images: data.ImageData) -> None:
    """Refuse data that the network cannot judge, and warn of those that it may not know.

    Raises:
        Failure: the images have another number of channels, or there are more or fewer classes.
    """
    own, channels = len(trained.about.get("mean", ())), images.train_images.shape[1]
    if own and own != channels:
        raise Failure(f"the network is for images of {own} channel(s), {name} has {channels}")
    classes = tuple(trained.about.get("classes", images.classes))
    if len(classes) != len(images.classes):
        raise Failure(f"the network knows {len(classes)} classes, {name} has {len(images.classes)}")
    if classes != images.classes:
        there, here = ", ".join(classes), ", ".join(images.classes)
        text = f"the network was trained on the classes {there}; these are {here}"
        warnings.warn(text, stacklevel=2)
    if trained.own_data and trained.about["sha256"] != sources.fingerprint(images):
        text = f"{name} has changed since the training, which may have seen what is now test images"
        warnings.warn(text, stacklevel=2)


def _normalize(
    settings: dict[str, Any], trained: Trained, images: data.ImageData
) -> data.Normalize:
    """With the numbers given, else those of the training, else the data's own."""
    channels = images.train_images.shape[1]
    if settings["mean"] is None:
        mean, std = (trained.about.get(n, getattr(images, n)) for n in ("mean", "std"))
        return data.Normalize(mean, std)
    for name in ("mean", "std"):
        if len(settings[name]) != channels:
            raise UsageError(
                f"argument --{name}: must be {channels} number(s), one per channel, got "
                f"{len(settings[name])}"
            )
    try:
        return data.Normalize(settings["mean"], settings["std"])
    except ValueError as error:
        raise UsageError(f"argument --mean, --std: {error}") from None


def _network(trained: Trained, images: data.ImageData) -> nn.Module:
    net = names.build(trained.net, len(images.classes), images.train_images.shape[1])
    try:
        load_weights(net, trained.source)
    except (ValueError, OSError) as error:
        # Half a network cannot be evaluated.
        reason = re.sub(r" --leave-out .*", "", in_one_line(error))
        raise Failure(f"{trained.what}: {reason}") from None
    return net


def _judge(
    net: nn.Module, batches: data.Batches, options: dict[str, Any]
) -> tuple[training.Evaluation, Tensor]:
    """The evaluation, and the class for which each image was taken: (N,) int64."""
    guesses = []
    hook = net.register_forward_hook(lambda *call: guesses.append(call[2].argmax(dim=1)))
    try:
        return training.evaluate(net, batches, **options), torch.cat(guesses).cpu()
    finally:
        hook.remove()


def _by_class(
    labels: Tensor, guesses: Tensor, classes: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """Rows of the table: each class, and the class that took most of its wrong ones."""
    count = len(classes)
    confusion = (labels * count + guesses).bincount(minlength=count**2).view(count, count)
    for number, (name, row) in enumerate(zip(classes, confusion, strict=True)):
        total, right = int(row.sum()), int(row[number])
        row[number] = 0
        most, other = (int(value) for value in row.max(dim=0))
        error = percent(1 - right / total) if total else "-"
        yield name, f"{total:,}", f"{right:,}", error, f"{classes[other]} ({most})" if most else ""

"""The command evaluate."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resnet_cli import datasets, trained
from resnet_cli.errors import Failure, UsageError
from resnet_cli.library_errors import expected
from resnet_cli.machine import check_device, settled
from resnet_cli.settings import EvaluateSettings
from resnet_cli.text import in_columns, listed, percent, say
from resnet_cli.trained import Trained
from resnet_lib import data
from resnet_lib import train as training

BATCH_SIZE = 256
HEAD = ("class", "images", "right", "error", "most often taken for")
LEAST_FOR_TOP5 = 6


class Judged(NamedTuple):
    """What was found: averages, and how often each class (row) was taken for each (column)."""

    result: training.Evaluation
    confusion: Tensor  # (K, K) int64
    top5: float


def evaluate(settings: EvaluateSettings) -> None:
    """Evaluate weights on a data set, and print what was found."""
    trained.set_threads(settings.threads)
    check_device(settings.device)
    device = training.pick_device(settings.device)
    with expected():
        if settings.run is not None:
            weights = trained.of_run(Path(settings.run))
        else:
            weights = trained.of_file(settings.net, str(settings.weights))
        settings, own_data = _completed(settings, weights)
        images = datasets.load(settings, training.World(device))
        _compare(weights, settings, images, own_data)
        name, parts = _parts(settings, images, own_data)
        judged = _judge(weights, settings, images, parts, device)
    _print(weights, settings, images, name, judged)


def _completed(settings: EvaluateSettings, weights: Trained) -> tuple[EvaluateSettings, bool]:
    """The settings, with the run's where none are given; and whether the data are the run's."""
    size = settings.size or (weights.card.image[-1] if weights.card.image else None)
    if weights.run is None:
        sized = settings if settings.data == "cifar10" else replace(settings, size=size)
        return replace(sized, batch_size=settings.batch_size or BATCH_SIZE), False
    kept = weights.run.settings
    # In another batch size, half precision rounds differently.
    settings = replace(settings, batch_size=settings.batch_size or kept.batch_size)
    if settings.data in (None, kept.data):
        own = settings.size in (None, kept.size)
        return replace(
            settings,
            data=kept.data,
            size=settings.size or kept.size,
            data_root=settings.data_root or kept.data_root,
            cache=settings.cache or (kept.cache if own else None),
            skip_unreadable=settings.skip_unreadable or kept.skip_unreadable,
        ), own
    return (settings if settings.data == "cifar10" else replace(settings, size=size)), False


def _compare(
    weights: Trained, settings: EvaluateSettings, images: data.ImageData, own_data: bool
) -> None:
    """Refuse data that the network cannot judge, and warn of those that it may not know.

    Raises:
        Failure: the images have another number of channels, or there are more or fewer classes.
    """
    name, channels = settings.data, images.train_images.shape[1]
    if weights.channels not in (None, channels):
        raise Failure(
            f"the network is for images of {weights.channels} channel(s), {name} has {channels}"
        )
    if weights.outputs not in (None, len(images.classes)):
        raise Failure(
            f"the network knows {weights.outputs} classes, {name} has {len(images.classes)}"
        )
    classes = weights.card.classes or images.classes
    if classes != images.classes:
        there, here = listed(classes), listed(images.classes)
        text = f"the network was trained on the classes {there}; these are {here}"
        warnings.warn(text, stacklevel=2)
    if own_data and weights.run and weights.run.data.sha256 != datasets.fingerprint(images):
        text = f"{name} has changed since the training, which may have seen what is now test images"
        warnings.warn(text, stacklevel=2)


def _parts(
    settings: EvaluateSettings, images: data.ImageData, own_data: bool
) -> tuple[str, list[datasets.Part]]:
    """What is judged, by name: the test part, or the whole of a folder that was never split."""
    there = datasets.parts_of(images)
    name = settings.part or ("test" if own_data or not settings.of_folder else "all")
    if name == "all":
        return name, list(there.values())
    if name not in there:
        raise UsageError(f"argument --part: {settings.data} has {', '.join(there)}, got {name}")
    return name, [there[name]]


def _judge(
    weights: Trained,
    settings: EvaluateSettings,
    images: data.ImageData,
    parts: list[datasets.Part],
    device: torch.device,
) -> Judged:
    config = weights.run.config if weights.run else training.TrainConfig()
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    net = weights.network().to(device, memory_format=layout)
    mean, std = weights.card.mean or images.mean, weights.card.std or images.std
    normalize = datasets.normalization(settings, mean, std, images.train_images.shape[1])
    size = settings.batch_size or BATCH_SIZE
    batches = [data.Batches(*one, size, transform=normalize, device=device) for one in parts]
    ranks: list[Tensor] = []

    def note(_: nn.Module, __: tuple, scores: Tensor) -> None:
        ranks.append(scores.topk(min(5, scores.shape[1])).indices.cpu())

    hook = net.register_forward_hook(note)
    try:
        precision = settled(settings.precision or config.precision, device)
        options = {"precision": precision, "channels_last": config.channels_last}
        result = training.evaluate(net, chain(*batches), **options)
    finally:
        hook.remove()
    labels, best = torch.cat([labels for _, labels in parts]), torch.cat(ranks)  # (N,), (N, 5)
    count = len(images.classes)
    confusion = (labels * count + best[:, 0]).bincount(minlength=count**2).view(count, count)
    return Judged(result, confusion, (best == labels[:, None]).any(1).double().mean().item())


def _print(
    weights: Trained, settings: EvaluateSettings, images: data.ImageData, part: str, judged: Judged
) -> None:
    result, classes = judged.result, images.classes
    whole = sum(len(labels) for _, labels in datasets.parts_of(images).values())
    words = "all of them" if part == "all" else f"the {part} part"
    say(
        f"{weights.net}, {weights.what}, on images of {settings.data}",
        f"images    {result.samples:,} of {whole:,}, {words}",
        f"loss      {result.loss:.4f}",
        f"accuracy  {percent(result.accuracy)}",
        f"error     {percent(1 - result.accuracy)}",
    )
    if len(classes) >= LEAST_FOR_TOP5:
        say(f"top-5     {percent(1 - judged.top5)} error")
    if settings.per_class:
        rows = _by_class(judged.confusion, classes)
        say("", *in_columns([HEAD, *rows], right={1, 2, 3}))
    if settings.confusion:
        rows = [
            [n, *map(str, row)] for n, row in zip(classes, judged.confusion.tolist(), strict=True)
        ]
        say("", "rows: what it is; columns: what it was taken for")
        say(*in_columns([["", *classes], *rows], right=range(1, len(classes) + 1)))


def _by_class(confusion: Tensor, classes: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Rows of the table: each class, and the class that took most of its wrong ones."""
    for number, (name, row) in enumerate(zip(classes, confusion.clone(), strict=True)):
        total, right = int(row.sum()), int(row[number])
        row[number] = 0
        most, other = (int(value) for value in row.max(dim=0))
        error = percent(1 - right / total) if total else "-"
        yield name, f"{total:,}", f"{right:,}", error, f"{classes[other]} ({most})" if most else ""

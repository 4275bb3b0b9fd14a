"""The command train."""

import copy
import sys
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from resnet_cli import names, runs, sources
from resnet_cli.faults import Failure, UsageError, in_one_line
from resnet_cli.printing import say
from resnet_cli.reporting import Report, announce
from resnet_cli.request import Training
from resnet_lib import data
from resnet_lib.nets import add_dropout
from resnet_lib.train import Checkpoints, TrainConfig, World, evaluate, fit, join
from resnet_lib.weights import load_weights


def train(asked: Training) -> None:
    """Train as asked, from where the run stands, and write its folder."""
    if asked.settings["threads"] is not None:
        torch.set_num_threads(asked.settings["threads"])
    with ExitStack() as stack:
        world = join_world(stack, asked.settings["device"])
        config = TrainConfig(**asked.config)
        if config.sync_batch_norm and world.device.type != "cuda":
            raise UsageError(f"argument --sync-batch-norm: needs GPUs, got {world.device.type}")
        images = sources.load(asked.settings, world)
        about = _about(asked, images)
        parts = sources.split(images, asked.settings["validation"])
        net = _network(asked, config, about)
        loaders = _loaders(asked, config, parts, about, world)
        _check_batches(net, loaders[0], config)
        if world.is_main:
            if asked.kept is None:
                _begin(asked, about, world)
            announce(asked, net, parts, loaders[0], world)
        _run(asked, config, net, loaders, parts.judge, about, world)


def join_world(stack: ExitStack, device: str) -> World:
    """This process among the others; the stack takes leave of them.

    Raises:
        UsageError: there is no such device, or fewer GPUs than processes.
    """
    try:
        return stack.enter_context(join(device))
    except ValueError as error:
        raise UsageError(f"argument --device: {error}") from None


def _about(asked: Training, images: data.ImageData) -> dict[str, Any]:
    """What the run says of its data; of a run that goes on, if these are the same data."""
    about = sources.describe(images)
    if asked.kept is None:
        return about
    kept = asked.kept["data"]
    if about["sha256"] != kept["sha256"]:
        raise Failure(
            f"the data have changed since the run began: {asked.settings['data']} had "
            f"{kept['train_images']} training and {kept['test_images']} test images, has "
            f"{about['train_images']} and {about['test_images']}, with another checksum"
        )
    return kept


def _network(asked: Training, config: TrainConfig, about: dict[str, Any]) -> nn.Module:
    """The network as training begins; the weights of a run that goes on come later."""
    settings = asked.settings
    torch.manual_seed(config.seed)
    net = names.build(settings["net"], len(about["classes"]), about["image"][0])
    begun = asked.kept is not None and Checkpoints(asked.folder / runs.CHECKPOINTS).paths()
    if settings["weights"] is not None and not begun:
        try:
            load_weights(net, settings["weights"], settings["leave_out"])
        except (ValueError, OSError) as error:
            raise Failure(f"--weights {settings['weights']}: {in_one_line(error)}") from None
    return add_dropout(net, settings["dropout"]) if settings["dropout"] else net


def _loaders(
    asked: Training,
    config: TrainConfig,
    parts: sources.Parts,
    about: dict[str, Any],
    world: World,
) -> tuple[data.Batches, data.Batches, data.Batches]:
    """Batches to train with, to evaluate after each epoch, and to evaluate at the end."""
    size = about["image"][-1]
    augmented, plain = sources.transforms(asked.settings, size, about["mean"], about["std"])
    options = {"device": world.device, "share": (world.rank, world.size)}
    count = asked.settings["batch_size"]

    def batches(part: tuple[Tensor, Tensor], transform: nn.Module, **more) -> data.Batches:
        return data.Batches(*part, count, transform=transform, **options, **more)

    try:
        # The loader's seed has 32 bits.
        train = batches(parts.train, augmented, shuffle=True, seed=config.seed % 2**32)
    except ValueError as error:
        raise UsageError(f"argument --batch-size: {error}") from None
    test = batches(parts.test, plain)
    return train, test if parts.judge == "test" else batches(parts.judged, plain), test


def _check_batches(net: nn.Module, batches: data.Batches, config: TrainConfig) -> None:
    """Refuse a last part of one image, where batch norm would fail in the middle of the run."""
    count, size, world = len(batches.labels), batches.batch_size, batches.share[1]
    parts = []
    for images in {min(size, count), count % size}:
        if own := images // world:
            longest = -(-own // config.micro_batches)  # as Tensor.chunk divides
            parts.append((own - 1) % longest + 1)
    if min(parts) > 1:
        return
    image = torch.empty(1, *batches.images.shape[1:], device="meta")
    try:
        copy.deepcopy(net).to("meta").train()(image)
    except ValueError:
        raise UsageError(
            f"argument --batch-size: {count} images in batches of {size} leave a part of one "
            "image, and batch norm cannot train on one value per channel: choose another"
        ) from None


def _begin(asked: Training, about: dict[str, Any], world: World) -> None:
    """Write run.json, with which the folder is a run."""
    settings = asked.settings | {"threads": torch.get_num_threads()}
    asked.folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": runs.FORMAT,
        "command": asked.command,
        "settings": settings,
        "config": asked.config,
        "data": about,
        "processes": world.size,
        "device": str(world.device),
        "versions": runs.versions(),
    }
    runs.write(asked.folder / runs.RUN, content)


def _run(
    asked: Training,
    config: TrainConfig,
    net: nn.Module,
    loaders: tuple[data.Batches, data.Batches, data.Batches],
    judge: str,
    about: dict[str, Any],
    world: World,
) -> None:
    train_batches, judged, test = loaders
    samples = train_batches.samples * world.size
    report = Report(asked, config.epochs, samples, judge) if world.is_main else None
    checkpoints = Checkpoints(asked.folder / runs.CHECKPOINTS, asked.settings["save_every"])
    shown = {"on_epoch": report, "progress": sys.stderr.isatty()}
    history = fit(net, train_batches, judged, config, checkpoints=checkpoints, world=world, **shown)
    options = {"precision": config.precision, "channels_last": config.channels_last}
    result = evaluate(net, test, world=world, **options)
    if report is None:
        return
    path = asked.folder / runs.WEIGHTS
    kept = {"net": asked.settings["net"]} | {n: about[n] for n in ("classes", "mean", "std")}
    runs.write_weights(path, net, kept)
    report.end(history, result)
    say(f"The weights are in {path}.")

"""The command train."""

import copy
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from resnet_cli import datasets, run_folder, trained
from resnet_cli.epoch_report import Report, announce
from resnet_cli.errors import Failure, UsageError
from resnet_cli.library_errors import expected, in_words
from resnet_cli.machine import check_device
from resnet_cli.run_folder import DataFacts, Run
from resnet_cli.settings import TrainSettings
from resnet_cli.text import say
from resnet_cli.training_request import Training, require_validation
from resnet_lib import data
from resnet_lib.nets import add_dropout, by_name
from resnet_lib.train import Checkpoints, World, evaluate, fit, join
from resnet_lib.weights import WeightsMismatch, load_weights, read_card, save_weights


class Loaders(NamedTuple):
    """Batches to train with, to evaluate after each epoch, and to evaluate at the end."""

    train: data.Batches
    judged: data.Batches
    test: data.Batches


def train(asked: Training) -> None:
    """Train as asked, from where the run stands, and write its folder."""
    trained.set_threads(asked.settings.threads)
    with ExitStack() as stack:
        stack.enter_context(expected())
        world = join_world(stack, asked.settings.device)
        if asked.config.sync_batch_norm and world.device.type != "cuda":
            raise UsageError(f"argument --sync-batch-norm: needs GPUs, got {world.device.type}")
        asked = _sized(asked)
        images = datasets.load(asked.settings, world)
        about = _checked_facts(asked, images)
        parts = datasets.split(images, asked.settings.validation)
        if parts.judge == "test":
            require_validation(asked.config)
        net = _network(asked, about)
        loaders = _loaders(asked, parts, about, world)
        _check_batches(net, loaders.train, asked.config.micro_batches)
        if world.is_main:
            if asked.kept is None:
                run_folder.begin(asked.folder, _run_of(asked, about, world))
            announce(asked, net, images, parts, loaders.train, world)
        _run(asked, net, loaders, parts.judge, about, world)


def join_world(stack: ExitStack, device: str) -> World:
    """This process among the others; the stack takes leave of them.

    Raises:
        UsageError: there is no such device, or fewer GPUs than processes.
    """
    check_device(device)
    try:
        return stack.enter_context(join(device))
    except ValueError as error:
        raise UsageError(f"argument --device: {error}") from None


def _sized(asked: Training) -> Training:
    """With pictures as large as those that the weights to start from were trained on."""
    settings = asked.settings
    if settings.weights is None or settings.size is not None or not settings.of_folder:
        return asked
    image = read_card(trained.path_of(settings.net, settings.weights)).image
    return replace(asked, settings=replace(settings, size=image[-1])) if image else asked


def _checked_facts(asked: Training, images: data.ImageData) -> DataFacts:
    """What the run says of its data; of a run that goes on, if these are the same data."""
    about = datasets.describe(images, asked.settings)
    if asked.kept is None:
        return about
    kept = asked.kept.data
    if about.sha256 != kept.sha256:
        raise Failure(
            f"the data have changed since the run began: {asked.settings.data} had "
            f"{kept.train_images} training and {kept.test_images} test images, has "
            f"{about.train_images} and {about.test_images}, with another checksum"
        )
    return kept


def _network(asked: Training, about: DataFacts) -> nn.Module:
    """The network as training begins; the weights of a run that goes on come later."""
    settings = asked.settings
    torch.manual_seed(asked.config.seed)
    net = by_name(str(settings.net), len(about.classes), about.image[0])
    begun = asked.kept is not None and run_folder.newest_update(asked.folder) is not None
    if settings.weights is not None and not begun:
        _start_from(net, settings, str(settings.net))
    return add_dropout(net, settings.dropout) if settings.dropout else net


def _start_from(net: nn.Module, settings: TrainSettings, name: str) -> None:
    """Load the weights that the training starts from."""
    what = f"--weights {settings.weights}"
    try:
        load_weights(net, trained.path_of(name, str(settings.weights)), settings.leave_out)
    except WeightsMismatch as error:
        parts = error.proposal.get("leave_out", ())
        if set(error.proposal) != {"leave_out"}:
            raise Failure(f"{what}: {error}") from None
        advice = f"--leave-out {' '.join(parts)} loads the rest"
        raise Failure(f"{what}: {error.fault} {advice}") from None
    except (ValueError, OSError) as error:
        raise Failure(f"{what}: {in_words(error)}") from None


def _loaders(asked: Training, parts: datasets.Parts, about: DataFacts, world: World) -> Loaders:
    augmented, plain = datasets.transforms(asked.settings, about)
    count, drop_last = asked.settings.batch_size, asked.settings.drop_last
    if drop_last is None:
        drop_last = asked.settings.of_folder and len(parts.train[1]) > count

    def batches(part: datasets.Part, transform: nn.Module, **more) -> data.Batches:
        share = (world.rank, world.size)
        return data.Batches(
            *part, count, transform=transform, device=world.device, share=share, **more
        )

    try:
        # The loader's seed has 32 bits.
        seed = asked.config.seed % 2**32
        train = batches(parts.train, augmented, shuffle=True, seed=seed, drop_last=drop_last)
    except ValueError as error:
        raise UsageError(f"argument --batch-size: {error}") from None
    test = batches(parts.test, plain)
    return Loaders(train, test if parts.judge == "test" else batches(parts.judged, plain), test)


def _check_batches(net: nn.Module, batches: data.Batches, micro_batches: int) -> None:
    """Refuse a last part of one image, where batch norm would fail in the middle of the run."""
    count, size, world = len(batches.labels), batches.batch_size, batches.share[1]
    last = 0 if batches.drop_last else count % size
    parts = []
    for images in {min(size, count), last}:
        if own := images // world:
            longest = -(-own // micro_batches)  # as Tensor.chunk divides
            parts.append((own - 1) % longest + 1)
    if min(parts) > 1:
        return
    image = torch.empty(1, *batches.images.shape[1:], device="meta")
    try:
        copy.deepcopy(net).to("meta").train()(image)
    except ValueError:
        raise UsageError(
            f"argument --batch-size: {count} images in batches of {size} leave a part of one "
            "image, and batch norm cannot train on one value per channel: choose another, or "
            "leave it out with --drop-last"
        ) from None


def _run_of(asked: Training, about: DataFacts, world: World) -> Run:
    """What is to be kept in run.json."""
    settings = replace(asked.settings, threads=torch.get_num_threads())
    if asked.kept is not None:
        # What was moved or prolonged holds from now on; the rest stays as it was.
        kept = replace(asked.kept.settings, data=settings.data, cache=settings.cache)
        return replace(asked.kept, settings=kept, config=asked.config)
    return Run(
        settings=settings,
        config=asked.config,
        data=about,
        command=asked.command,
        processes=world.size,
        device=str(world.device),
        versions=run_folder.versions(),
    )


def _run(
    asked: Training,
    net: nn.Module,
    loaders: Loaders,
    judge: str,
    about: DataFacts,
    world: World,
) -> None:
    config = asked.config
    samples = loaders.train.samples * world.size
    report = Report(asked, samples, judge) if world.is_main else None
    checkpoints = Checkpoints(asked.folder / run_folder.CHECKPOINTS, asked.settings.save_every)
    history = fit(
        net,
        loaders.train,
        loaders.judged,
        config,
        checkpoints=checkpoints,
        world=world,
        on_epoch=report,
        progress=sys.stderr.isatty(),
    )
    options = {"precision": config.precision, "channels_last": config.channels_last}
    result = evaluate(net, loaders.test, world=world, **options)
    if report is None:
        return
    path = asked.folder / run_folder.WEIGHTS
    card = {name: getattr(about, name) for name in ("classes", "image", "mean", "std")}
    save_weights(path, net, net=str(asked.settings.net), **card)
    if asked.kept is not None:
        run_folder.begin(asked.folder, _run_of(asked, about, world))
    report.end(history, result)
    say(f"The weights are in {path}.")

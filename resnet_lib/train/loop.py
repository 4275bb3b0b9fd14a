"""The training loop, for images and their classes."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from resnet_lib.train.checkpoint import Checkpoints
from resnet_lib.train.config import TrainConfig
from resnet_lib.train.counting import count
from resnet_lib.train.evaluation import evaluate
from resnet_lib.train.history import History
from resnet_lib.train.interruption import (
    Stop,
    keep,
    not_finite,
    require_finite,
    resume,
    stopped,
)
from resnet_lib.train.optimisation import learning_rate
from resnet_lib.train.precision import autocast, widened
from resnet_lib.train.processes import World, moved, pick_device
from resnet_lib.train.state import TrainState

__all__ = ["fit", "training_step"]

Batches = Iterable[tuple[Tensor, Tensor]]


def fit(
    model: nn.Module,
    train: Batches,
    validation: Batches | None = None,
    config: TrainConfig | None = None,
    *,
    checkpoints: Checkpoints | None = None,
    world: World | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place, by the cross-entropy of its scores.

    With `data.Batches`, or any loader that takes its order and its augmentation from `set_epoch`
    and torch's random numbers alone, a run that was killed and goes on ends with the same bits as
    one that was not, on the same machine.

    Args:
        model: gives (N, K) scores for (N, C, H, W) images. It is moved to the world's device.
        train: batches of images and int64 labels, with a length: `data.Batches` or a DataLoader.
            Its `set_epoch`, or its sampler's, is called before each epoch.
        validation: batches to evaluate after each epoch.
        config: the settings; None: `TrainConfig()`.
        checkpoints: where the run is kept; if it was begun there, it goes on. The first Ctrl-C
            (or SIGTERM) then waits for the end of the step and for a checkpoint, and raises
            `KeyboardInterrupt`; the second one does not wait.
        world: device and processes; None: alone, on the GPU if there is one.
        on_epoch: gets each row of the history once it is kept; `tensorboard(folder)`, say.
        progress: whether to show a progress bar, in a terminal or a notebook.

    Returns:
        The history, whole even if the run went on from a checkpoint.

    Raises:
        TypeError: `train` has no length.
        ValueError: `train` is empty, or `patience` is set without `validation`.
        OSError: the checkpoints cannot be written; the first one is before the first step.
        NonFiniteLoss: a loss or a weight is no longer finite.
        CheckpointError: the checkpoints are damaged, or of another run.
        KeyboardInterrupt: the run was stopped; its message says where it is kept, its attribute
            `signal` by which signal.
    """
    config = config or TrainConfig()
    number = _number_of(train)
    if config.patience is not None and validation is None:
        raise ValueError("patience needs validation batches, got None")
    world = world or World(pick_device())
    torch.manual_seed(config.seed + world.rank)
    state = TrainState(model, config, world, number)
    if checkpoints is not None:
        resume(state, checkpoints)
    steps = config.epochs * number
    with Stop(checkpoints is not None) as stop, _cudnn(config.deterministic):
        while state.epoch < config.epochs and not state.history.stopped_early:
            for images, labels in _batches(train, state, progress):
                state.set_rate(learning_rate(config, state.step, steps))
                training_step(state, images, labels)
                keep(state, checkpoints, stop)
            row = _judge(state, validation, checkpoints)
            keep(state, checkpoints, stop, epoch_ended=True)
            if on_epoch is not None and world.is_main:
                with _own_random_numbers(world.device):
                    on_epoch(row)
    state.finish()
    if world.any(stop.asked):
        raise stopped(state, checkpoints, stop)
    return state.history


def training_step(state: TrainState, images: Tensor, labels: Tensor) -> None:
    """Update the weights once, with the gradient of one batch's mean loss.

    The batch goes through the network in `micro_batches` parts, whose gradients add up. Each part
    counts by its number of samples, so the last one may be shorter.
    """
    config, world, k = state.config, state.world, state.config.micro_batches
    images, labels = moved(images, labels, world.device, config.channels_last)
    state.optimizer.zero_grad()
    parts = list(zip(images.chunk(k), labels.chunk(k), strict=True))
    for number, (inputs, targets) in enumerate(parts, start=1):
        # Several processes average their gradients once, after the last part.
        alone = world.size == 1 or number == len(parts)
        with contextlib.nullcontext() if alone else state.net.no_sync():
            with autocast(world.device, config.precision):
                scores = state.net(inputs)  # (n, K)
            smoothing = config.label_smoothing
            loss = F.cross_entropy(widened(scores), targets, label_smoothing=smoothing)
            state.scaler.scale(loss * (len(inputs) / len(images))).backward()
        count(state.sums, loss * len(inputs), scores, targets)
    if config.clip_norm is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.end_step()


def _number_of(train: Batches) -> int:
    try:
        number = len(train)
    except TypeError:
        raise TypeError(
            "train must have a length, as data.Batches and DataLoader do, "
            f"got {type(train).__name__}"
        ) from None
    if number == 0:
        raise ValueError("train must have at least one batch, got none")
    return number


def _batches(train: Batches, state: TrainState, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """What is left of the epoch's batches, with the random numbers that belong to them."""
    for ordered in (train, getattr(train, "sampler", None)):
        if hasattr(ordered, "set_epoch"):
            ordered.set_epoch(state.epoch)
    state.model.train()
    state.enter_epoch()
    batches = iter(train)
    for _ in range(state.position):
        next(batches)
    state.restore_generators()
    shown = progress and state.world.is_main and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    title = f"epoch {state.epoch + 1}/{state.config.epochs}"
    with tqdm(
        total=state.batches, initial=state.position, desc=title, leave=False, disable=not shown
    ) as bar:
        for batch in batches:
            yield batch
            bar.update()


def _judge(state: TrainState, validation: Batches | None, checkpoints: Checkpoints | None) -> dict:
    """Evaluate after an epoch and add its row to the history."""
    config, world = state.config, state.world
    require_finite(state, checkpoints, every_weight=True)
    row = state.row()
    for network in dict.fromkeys([state.model, state.judged]):
        world.equalise_buffers(network)
    if validation is not None:
        options = {"precision": config.precision, "channels_last": config.channels_last}
        found = evaluate(state.judged, validation, world=world, **options)
        if not math.isfinite(found.loss):
            raise not_finite("The validation loss", state, checkpoints)
        row |= {"validation_loss": found.loss, "validation_accuracy": found.accuracy}
    state.end_epoch(row)
    return row


def _own_random_numbers(device: torch.device) -> contextlib.AbstractContextManager:
    """What is drawn inside does not change the run: after a kill it is not drawn again."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


@contextlib.contextmanager
def _cudnn(deterministic: bool) -> Iterator[None]:
    """cuDNN's fastest algorithms, found by trying them, or only those that repeat to the bit."""
    flags = torch.backends.cudnn
    before = flags.benchmark, flags.deterministic
    flags.benchmark, flags.deterministic = not deterministic, deterministic
    try:
        yield
    finally:
        flags.benchmark, flags.deterministic = before

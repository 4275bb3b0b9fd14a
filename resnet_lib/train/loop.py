"""The training loop, for images and their classes."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from resnet_lib.arguments import check_module
from resnet_lib.train import random_numbers
from resnet_lib.train.checkpoint import Checkpoints
from resnet_lib.train.config import TrainConfig
from resnet_lib.train.counting import Metrics
from resnet_lib.train.epochs import Batches, Epochs
from resnet_lib.train.history import History
from resnet_lib.train.interruption import Stop, resume, stopped
from resnet_lib.train.loader_checks import check_loaders, number_of, warn_of_unequal_resume
from resnet_lib.train.objective import Loss
from resnet_lib.train.optimisation import Schedule
from resnet_lib.train.processes import World, pick_device
from resnet_lib.train.state import TrainState

__all__ = ["fit"]


def fit(
    model: nn.Module,
    train: Batches,
    validation: Batches | None = None,
    config: TrainConfig | None = None,
    *,
    loss: Loss | None = None,
    metrics: Metrics | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    schedule: Schedule | None = None,
    checkpoints: Checkpoints | None = None,
    world: World | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place, by the cross-entropy of its scores or by a loss of your own.

    With `data.Batches`, or any loader that takes its order and its augmentation from `set_epoch`
    and torch's random numbers alone, a run that was killed and goes on ends with the same bits as
    one that was not, on the same machine. A run with `schedule="constant"` may be given more
    `epochs` after its end.

    What the caller set stays: layers in eval mode are not put into train mode (unless the whole
    network is in eval mode, as it is after it was loaded), modes and torch's random numbers are
    afterwards what they were before, and validation changes neither.

    Args:
        model: gives (N, K) scores for (N, C, H, W) images. It is moved to the world's device.
        train: batches of images and labels, with a length: `data.Batches` or a DataLoader. Its
            `set_epoch`, or its sampler's, is called before each epoch. Labels are classes, int64
            (N,), or shares of classes, floating point (N, K): soft or several labels.
        validation: batches to evaluate after each epoch.
        config: the settings; None: `TrainConfig()`.
        loss: gives the mean over a batch, from scores and labels, also for validation:
            `nn.CrossEntropyLoss(weight=...)`, `nn.BCEWithLogitsLoss()`. Each micro-batch and each
            process counts by its number of samples; a mean by class weights differs a little.
        metrics: functions of scores and labels that give one value per sample (N,), or a batch's
            mean. Their averages over the validation set become columns of the history.
        optimizer: used in place of the one that `config` names, with the rates and decays of its
            own groups; the schedule multiplies each group's rate.
        schedule: the factor on the learning rate from the update's number, from 0, and the number
            of all updates; None: `config.schedule`.
        checkpoints: where the run is kept; if it was begun there, it goes on. The first Ctrl-C
            (or SIGTERM) then waits for the end of the step and for a checkpoint, and raises
            `KeyboardInterrupt`; the second one does not wait.
        world: device and processes; None: alone, on the GPU if there is one.
        on_epoch: gets each row of the history once it is kept; `tensorboard(folder)`, say.
        progress: whether to show a progress bar, in a terminal or a notebook.

    Returns:
        The history, whole even if the run went on from a checkpoint.

    Raises:
        TypeError: the model is no module, `config` no `TrainConfig`, `train` has no length, or a
            batch is not images and labels.
        ValueError: `train` is empty, leaves a part of one image that batch norm cannot take, or
            has another number of batches than in other processes; a label is out of range;
            `patience`, `keep_best` or `metrics` are set without `validation`.
        OSError: the checkpoints cannot be written; the first one is before the first step.
        NonFiniteLoss: a loss or a weight is no longer finite.
        CheckpointError: the checkpoints are damaged, or of another run.
        KeyboardInterrupt: the run was stopped; its message says where it is kept, its attribute
            `signal` by which signal.
    """
    check_module("model", model)
    config, world = _checked(config), world or World(pick_device())
    number = number_of(train, world)
    _require_validation(validation, config, metrics)
    own = {"loss": loss, "optimizer": optimizer, "schedule": schedule, "loader": train}
    with random_numbers.kept(world.device), _cudnn(config.deterministic):
        torch.manual_seed(config.seed + world.rank)
        state = TrainState(model, config, world, number, **own)
        with _modes_kept(state.model):
            state.train_mode()
            check_loaders(train, validation, state)
            if checkpoints is not None:
                warn_of_unequal_resume(train)
                resume(state, checkpoints)
            with Stop(checkpoints is not None) as stop:
                epochs = Epochs(state, train, validation, metrics or {}, checkpoints, stop)
                epochs.run(on_epoch, progress)
    state.finish()
    if world.any(stop.asked):
        raise stopped(state, checkpoints, stop)
    return state.history


def _checked(config: TrainConfig | None) -> TrainConfig:
    if not isinstance(config, TrainConfig | None):
        raise TypeError(f"config must be a TrainConfig or None, got {type(config).__name__}")
    return config or TrainConfig()


def _require_validation(
    validation: Batches | None, config: TrainConfig, metrics: Metrics | None
) -> None:
    asked = {"patience": config.patience, "keep_best": config.keep_best, "metrics": metrics}
    for name, value in asked.items():
        if value and validation is None:
            raise ValueError(f"{name} needs validation batches, got None")


@contextlib.contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


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

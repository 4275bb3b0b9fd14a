"""Everything that changes while a network trains, so that it can be kept and taken up again."""

import copy
import math
import time
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resnet_lib.train import random_numbers
from resnet_lib.train.config import TrainConfig
from resnet_lib.train.counting import new_sums
from resnet_lib.train.history import History
from resnet_lib.train.objective import Loss, Objective
from resnet_lib.train.optimisation import Course, Schedule, checked_optimizer, make_optimizer
from resnet_lib.train.precision import chosen_precision
from resnet_lib.train.preparation import infinite_buffers, prepared, training_modes
from resnet_lib.train.processes import World
from resnet_lib.train.same_run import (
    as_json,
    described,
    named,
    require_same,
    require_same_settings,
)

__all__ = ["TrainState"]


class TrainState:
    """Model, optimiser, scaler, average, counters and history of one run.

    Attributes:
        model: the network, on the world's device.
        net: what a batch goes through: the model, compiled and wrapped as the run asks for.
        epoch, position: the epoch it is in, from 0, and how many of its batches are done.
        step: number of updates done.
        batches: number of batches in an epoch.
        objective: the mean loss of a batch, as a function of scores and labels.
        sums: over this process's samples of the epoch: loss, right answers, samples.

    Loss, optimiser, schedule and loader are those of `fit`.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        world: World,
        batches: int = 0,
        *,
        loss: Loss | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        schedule: Schedule | None = None,
        loader: Any = None,
    ):
        precision = chosen_precision(config.precision, world.device)
        self.config = config = replace(config, precision=precision)
        self.world, self.batches, self._loader = world, batches, loader
        self.model = prepared(model, config, world)
        self.objective = Objective(loss, config.label_smoothing, world.device)
        self.optimizer = checked_optimizer(optimizer, self.model) or make_optimizer(
            self.model, config
        )
        self.course = Course(config, self.optimizer, schedule, given=optimizer is not None)
        self.modes = training_modes(self.model)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=config.precision == "fp16")
        self.average = None
        if config.ema_decay is not None:
            self.average = AveragedModel(self.model, use_buffers=True)
        if config.compile:
            self.model.compile()
        self.net = world.wrap(self.model, config.find_unused_parameters)
        self.epoch = self.position = self.step = 0
        self.sums = new_sums(world.device)
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        self._generators = self._epochs_generators = None
        self._may_be_infinite = infinite_buffers(self.model)
        self._began = time.monotonic()

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and kept: the average where there is one."""
        return self.model if self.average is None else self.average.module

    def set_rates(self, steps: int) -> None:
        """Set the learning rates of the next update, in a training of `steps` updates.

        Raises:
            ValueError: the caller's schedule gives no number of at least 0.
        """
        rates = self.course.rates(self.step, steps)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def train_mode(self) -> None:
        """Train mode for the layers that had it when the run began; the others stay frozen."""
        for module, mode in self.modes.items():
            module.training = mode

    def is_finite(self, every_weight: bool = True) -> bool:
        """Whether the losses of this epoch, and all weights and statistics, are finite numbers.

        What was infinite in a buffer before the run, as in a mask of attention, may stay so.
        """
        values = [self.sums]
        if every_weight:
            found = self.model.state_dict().items()
            values += [v for name, v in found if name not in self._may_be_infinite]
        values = [value for value in values if isinstance(value, Tensor)]
        return all(torch.stack([v.detach().isfinite().all() for v in values]).tolist())

    def end_step(self) -> None:
        """Count one update more, into the average too."""
        self.step, self.position = self.step + 1, self.position + 1
        if self.average is not None:
            # As in TensorFlow: without the lower first decays a short run's average would be
            # made of the weights that it began with.
            decay = min(self.config.ema_decay or 0.0, self.step / (9 + self.step))
            self.average.multi_avg_fn = get_ema_multi_avg_fn(decay)
            self.average.update_parameters(self.model)
            for name in self._may_be_infinite:  # the mean of two infinities is NaN
                self.average.module.get_buffer(name).copy_(self.model.get_buffer(name))

    def row(self) -> dict:
        """The finished epoch's row of the history, without validation."""
        loss, right, samples = self.world.sum(self.sums.clone()).tolist()
        return {
            "epoch": self.epoch + 1,
            "steps": self.step,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": loss / samples,
            "train_accuracy": right / samples,
            "seconds": round(time.monotonic() - self._began, 3),
        }

    def end_epoch(self, row: dict) -> None:
        """Add a row to the history, and see whether it is the best, where that is asked for."""
        rows = self.history.epochs
        rows.append(row)
        if self.config.patience is not None or self.config.keep_best:
            best = min(rows, key=lambda one: one["validation_loss"])
            if best is row:
                self.history.best_epoch = row["epoch"]
                self.best = copy.deepcopy(dict(self.judged.state_dict()))
            patience = self.config.patience or math.inf
            self.history.stopped_early = row["epoch"] - best["epoch"] >= patience
        self.epoch, self.position = self.epoch + 1, 0
        self.sums.zero_()
        self._began = time.monotonic()

    def finish(self) -> None:
        """Give the model its final weights: the best, else the average, else what it has."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())

    def as_tree(self) -> dict:
        """All of it, as `Checkpoints.save` takes it. Every process must call it together."""
        now = random_numbers.generators(self.world.device, self._loader)
        mine = {"generators": now, "sums": self.sums.cpu()}
        mine["epochs_generators"] = self._epochs_generators if self.position else now
        return {
            "network": described(self.model),
            "given": {"loss": named(self.objective.loss)} | self.course.described(),
            "batches": self.batches,
            "config": as_json(self.config),
            "counters": [self.epoch, self.position, self.step],
            "seconds": time.monotonic() - self._began,
            "processes": self.world.gather(mine),
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else dict(self.average.state_dict()),
            "best": self.best,
            "history": vars(self.history),
        }

    def restore(self, tree: dict) -> None:
        """Take up what `as_tree` gave.

        Raises:
            CheckpointError: it belongs to a run with other settings or another network.
        """
        self._check(tree)
        self.model.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        self._lay_out_as_parameters()
        self.scaler.load_state_dict(tree["scaler"])
        if self.average is not None:
            self.average.load_state_dict(tree["average"])
        self.best, self.history = tree["best"], History(**tree["history"])
        self.epoch, self.position, self.step = tree["counters"]
        self._began = time.monotonic() - tree["seconds"]
        self._restore_process(tree["processes"])

    def enter_epoch(self) -> None:
        """Note the random numbers that an epoch begins with; take them up in one that goes on."""
        if self._generators is not None:
            self._set_generators(self._epochs_generators)
        if not self.position:
            self._generators = None  # the epoch begins, so there is nothing more to take up
        self._epochs_generators = random_numbers.generators(self.world.device, self._loader)

    def restore_generators(self) -> None:
        """Go on with the random numbers from where the checkpoint was made, once."""
        if self._generators is not None:
            self._set_generators(self._generators)
        self._generators = None

    def _set_generators(self, states: dict[str, Tensor]) -> None:
        random_numbers.set_generators(states, self.world.device, self._loader)

    def _check(self, tree: dict) -> None:
        done, own_schedule = tree["counters"][0], self.course.schedule is not None
        require_same_settings(tree["config"], self.config, done, own_schedule)
        given = {"loss": named(self.objective.loss)} | self.course.described()
        require_same("parts of your own", tree.get("given", {}), given)
        require_same("batches", {"number": tree["batches"]}, {"number": self.batches})
        require_same("weights", tree["network"], described(self.model))

    def _lay_out_as_parameters(self) -> None:
        """A checkpoint holds every tensor contiguous; channels-last ones are laid out anew."""
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def _restore_process(self, processes: list) -> None:
        if len(processes) != self.world.size:
            warnings.warn(
                f"The checkpoint is of {len(processes)} processes, these are {self.world.size}: "
                "the run goes on, but not to the same last bit.",
                stacklevel=2,
            )
            total = torch.stack([one["sums"] for one in processes]).sum(0)
            self.sums.copy_(total / self.world.size)
            return
        mine = processes[self.world.rank]
        self.sums.copy_(mine["sums"])
        self._generators = mine["generators"]
        self._epochs_generators = mine["epochs_generators"]

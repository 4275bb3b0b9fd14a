"""Everything that changes while a network trains, so that it can be kept and taken up again."""

import time
import warnings
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resnet_lib.train.checkpoint import CheckpointError
from resnet_lib.train.config import TrainConfig
from resnet_lib.train.counting import new_sums
from resnet_lib.train.history import History
from resnet_lib.train.optimisation import make_optimizer
from resnet_lib.train.processes import World

__all__ = ["TrainState"]


class TrainState:
    """Model, optimiser, scaler, average, counters and history of one run.

    Attributes:
        model: the network, on the world's device.
        net: what a batch goes through: the model, compiled and wrapped as the run asks for.
        epoch, position: the epoch it is in, from 0, and how many of its batches are done.
        step: number of updates done.
        batches: number of batches in an epoch.
        sums: over this process's samples of the epoch: loss, right answers, samples.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, world: World, batches: int = 0):
        self.config, self.world, self.batches = config, world, batches
        self.model = _prepared(model, config, world)
        self.optimizer = make_optimizer(self.model, config)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=config.precision == "fp16")
        self.average = None
        if config.ema_decay is not None:
            rule = get_ema_multi_avg_fn(config.ema_decay)
            self.average = AveragedModel(self.model, multi_avg_fn=rule, use_buffers=True)
        if config.compile:
            self.model.compile()
        self.net = world.wrap(self.model)
        self.epoch = self.position = self.step = 0
        self.sums = new_sums(world.device)
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        self._generators = self._epochs_generators = None
        self._began = time.monotonic()

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and kept: the average where there is one."""
        return self.model if self.average is None else self.average.module

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next update."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def is_finite(self, every_weight: bool = True) -> bool:
        """Whether the losses of this epoch, and all weights and statistics, are finite numbers."""
        values = [self.sums, *(self.model.state_dict().values() if every_weight else ())]
        return all(torch.stack([v.detach().isfinite().all() for v in values]).tolist())

    def end_step(self) -> None:
        """Count one update more, into the average too."""
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step, self.position = self.step + 1, self.position + 1

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
        """Add a row to the history, and, with patience, see whether it is the best."""
        rows = self.history.epochs
        rows.append(row)
        if self.config.patience is not None:
            best = min(rows, key=lambda one: one["validation_loss"])
            if best is row:
                self.history.best_epoch = row["epoch"]
                weights = self.judged.state_dict()
                self.best = {name: value.detach().clone() for name, value in weights.items()}
            self.history.stopped_early = row["epoch"] - best["epoch"] >= self.config.patience
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
        now = _generators(self.world.device)
        mine = {"generators": now, "sums": self.sums.cpu()}
        mine["epochs_generators"] = self._epochs_generators if self.position else now
        return {
            "network": _described(self.model),
            "batches": self.batches,
            "config": asdict(self.config) | {"milestones": list(self.config.milestones)},
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
            _set_generators(self._epochs_generators, self.world.device)
        if not self.position:
            self._generators = None  # the epoch begins, so there is nothing more to take up
        self._epochs_generators = _generators(self.world.device)

    def restore_generators(self) -> None:
        """Go on with the random numbers from where the checkpoint was made, once."""
        if self._generators is not None:
            _set_generators(self._generators, self.world.device)
        self._generators = None

    def _check(self, tree: dict) -> None:
        now = asdict(self.config) | {"milestones": list(self.config.milestones)}
        _require_same("settings", tree["config"], now)
        _require_same("data", {"batches": tree["batches"]}, {"batches": self.batches})
        _require_same("weights", tree["network"], _described(self.model))

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


def _require_same(what: str, kept: dict, now: dict) -> None:
    """Nothing is taken up from a checkpoint before it is known to be of this run."""
    names = [name for name in kept | now if kept.get(name) != now.get(name)]
    if names:
        changed = [f"{name} was {kept.get(name)!r}, is {now.get(name)!r}" for name in names[:3]]
        more = [f"and {len(names) - 3} more"] if len(names) > 3 else []
        raise CheckpointError(
            f"The checkpoint is of a run with other {what}: {'; '.join(changed + more)}. "
            "Give the same, or another folder to begin anew."
        )


def _described(model: nn.Module) -> dict[str, str]:
    """Shape and number format of each weight, and whether it is trained."""
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    return {
        name: f"{tuple(value.shape)} {value.dtype}{' trained' if name in trained else ''}"
        for name, value in model.state_dict().items()
    }


def _generators(device: torch.device) -> dict[str, Tensor]:
    found = {"cpu": torch.get_rng_state()}
    return found | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else found


def _set_generators(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


def _prepared(model: nn.Module, config: TrainConfig, world: World) -> nn.Module:
    """The model on its device, in its layout, with synchronised batch norms where asked for."""
    if config.sync_batch_norm:
        if world.device.type != "cuda":
            raise ValueError(
                f"sync_batch_norm needs GPUs (PyTorch has it there only), got {world.device.type}"
            )
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.to(world.device)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)
    return model

"""The epochs of a run: batches in order, an update for each, a judgement after all."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor
from tqdm import tqdm

from resnet_lib.train import random_numbers
from resnet_lib.train.checkpoint import Checkpoints
from resnet_lib.train.counting import Metrics
from resnet_lib.train.evaluation import evaluate
from resnet_lib.train.interruption import (
    STEPS_BETWEEN_LOOKS,
    Stop,
    keep,
    kept_if_stopped,
    runs_behind,
)
from resnet_lib.train.loader_checks import ClassOrder
from resnet_lib.train.non_finite import not_finite, require_finite, warn_if_exploded
from resnet_lib.train.state import TrainState
from resnet_lib.train.step import training_step

__all__ = ["Batches", "Epochs"]

Batches = Iterable[tuple[Tensor, Tensor]]
STEPS_BETWEEN_LOSSES = 10


@dataclass
class Epochs:
    """What `fit` goes through, from where the state stands to the end."""

    state: TrainState
    train: Batches
    validation: Batches | None
    metrics: Metrics
    checkpoints: Checkpoints | None
    stop: Stop

    def run(self, on_epoch: Callable[[dict], None] | None, progress: bool) -> None:
        """All epochs that are left; `on_epoch` gets each row once it is kept."""
        state, world, epochs = self.state, self.state.world, self.state.config.epochs
        steps, order, exploded = epochs * state.batches, ClassOrder(), False
        while state.epoch < epochs and not state.history.stopped_early:
            for images, labels in self._batches(progress):
                state.set_rates(steps)
                training_step(state, images, labels)
                if world.is_main and state.epoch == 0:
                    order.look(labels, last=state.position == state.batches)
                keep(state, self.checkpoints, self.stop)
            row = self._judge()
            keep(state, self.checkpoints, self.stop, epoch_ended=True)
            exploded = exploded or (world.is_main and warn_if_exploded(state, row))
            if on_epoch is not None and world.is_main:
                with random_numbers.kept(world.device):
                    on_epoch(row)

    def _batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """What is left of the epoch's batches, with the random numbers that belong to them."""
        state = self.state
        for ordered in (self.train, getattr(self.train, "sampler", None)):
            if hasattr(ordered, "set_epoch"):
                ordered.set_epoch(state.epoch)
        state.train_mode()
        state.enter_epoch()
        batches = state.objective.pairs(self.train)
        with self._kept():
            for _ in range(state.position):
                next(batches)
        state.restore_generators()
        with self._bar(progress) as bar:
            while (batch := self._next(batches)) is not None:
                yield batch
                self._show_loss(bar)
                bar.update()

    def _next(self, batches: Iterator) -> tuple[Tensor, Tensor] | None:
        with self._kept():
            return next(batches, None)

    def _kept(self):
        return kept_if_stopped(self.state, self.checkpoints, self.stop)

    def _bar(self, progress: bool) -> tqdm:
        state = self.state
        in_sight = sys.stderr.isatty() or "ipykernel" in sys.modules
        return tqdm(
            total=state.batches, initial=state.position, leave=False,
            desc=f"epoch {state.epoch + 1}/{state.config.epochs}",
            disable=not (progress and state.world.is_main and in_sight),
        )  # fmt: skip

    def _show_loss(self, bar: tqdm) -> None:
        """The epoch's mean loss so far, as rarely as looking at it costs nothing."""
        state = self.state
        behind = runs_behind(state.world.device)
        every = STEPS_BETWEEN_LOOKS if behind else STEPS_BETWEEN_LOSSES
        if not bar.disable and (state.position % every == 0 or state.position == state.batches):
            loss, _, samples = state.sums.tolist()
            bar.set_postfix_str(f"loss {loss / samples:.3g}", refresh=False)

    def _judge(self) -> dict:
        """Evaluate after an epoch and add its row to the history."""
        state, config, world = self.state, self.state.config, self.state.world
        require_finite(state, self.checkpoints, every_weight=True)
        row = state.row()
        for network in dict.fromkeys([state.model, state.judged]):
            world.equalise_buffers(network)
        if self.validation is not None:
            with self._kept(), random_numbers.kept(world.device, self.validation):
                found = evaluate(
                    state.judged, self.validation, precision=config.precision,
                    channels_last=config.channels_last, loss=state.objective.loss,
                    metrics=self.metrics, world=world,
                )  # fmt: skip
            if not math.isfinite(found.loss):
                raise not_finite("The validation loss", state, self.checkpoints)
            row |= {"validation_loss": found.loss, "validation_accuracy": found.accuracy}
            row |= {f"validation_{name}": value for name, value in found.metrics.items()}
        state.end_epoch(row)
        return row

"""What a training prints and writes down as it goes."""

from typing import Any

import torch
from torch import nn

from resnet_cli import runs
from resnet_cli.printing import percent, say, shape
from resnet_cli.request import Training
from resnet_cli.sources import Parts
from resnet_lib import data
from resnet_lib.train import Evaluation, History, World, tensorboard


def announce(
    asked: Training, net: nn.Module, parts: Parts, batches: data.Batches, world: World
) -> None:
    """Print what is about to be trained, on what and where."""
    settings, images = asked.settings, parts.train[0]
    parameters = sum(parameter.numel() for parameter in net.parameters())
    counts = [f"{len(parts.train[1]):,} training"]
    if parts.judge == "validation":
        counts.append(f"{len(parts.judged[1]):,} validation")
    counts.append(f"{len(parts.test[1]):,} test")
    threads = torch.get_num_threads()
    place = f"{world.device.type}, {threads} thread{'s' if threads > 1 else ''}"
    if world.size > 1:
        place = f"{world.size} processes, each on {place}"
    say(
        f"{settings['net']}: {parameters:,} parameters",
        f"{settings['data']}: {', '.join(counts)} images of {shape(images.shape[1:])}",
        f"{place}; {len(batches)} steps of {settings['batch_size']} images per epoch",
    )
    if asked.kept is not None:
        kept = runs.newest_update(asked.folder)
        say("going on from the beginning" if kept is None else f"going on after update {kept}")


class Report:
    """Prints a line for each epoch and keeps history.json.

    Args:
        asked: the training.
        epochs: how many there will be.
        samples: images per epoch, of all processes together.
        judge: the part that is evaluated after each epoch, "validation" or "test".
    """

    def __init__(self, asked: Training, epochs: int, samples: int, judge: str):
        self.path, self.epochs, self.samples = asked.folder / runs.HISTORY, epochs, samples
        self.judge = judge
        self.rows: list[dict] = runs.earlier_rows(self.path) if asked.kept is not None else []
        self.board = None
        if asked.settings["tensorboard"]:
            self.board = tensorboard(asked.folder / "tensorboard")

    def __call__(self, row: dict) -> None:
        """Take the row of an epoch that ended."""
        row = self._named(row)
        # Of a run that goes on, an epoch may come a second time.
        self.rows = [one for one in self.rows if one["epoch"] < row["epoch"]] + [row]
        self._write({})
        if self.board is not None:
            self.board(row)
        say(self._line(row))

    def end(self, history: History, result: Evaluation) -> None:
        """Take the whole history, and the evaluation of the final weights on the test images."""
        self.rows = [self._named(row) for row in history.epochs]
        self._write(
            {
                "stopped_early": history.stopped_early,
                "best_epoch": history.best_epoch,
                "test": {name: getattr(result, name) for name in ("loss", "accuracy", "samples")},
            }
        )
        if history.best_epoch is not None:
            say(f"The weights are those of epoch {history.best_epoch}, the best in validation.")
        error = percent(1 - result.accuracy)
        say(f"test: loss {result.loss:.4f}, error {error} of {result.samples:,} images")

    def _named(self, row: dict) -> dict:
        """The row, with the name of the part that was evaluated."""
        return {name.replace("validation", self.judge): value for name, value in row.items()}

    def _line(self, row: dict) -> str:
        parts = [f"epoch {row['epoch']:>{len(str(self.epochs))}}/{self.epochs}"]
        for part in ("train", self.judge):
            loss, error = row[f"{part}_loss"], percent(1 - row[f"{part}_accuracy"])
            parts.append(f"{part} loss {loss:.4f}, error {error:>7}")
        rate = self.samples / max(row["seconds"], 0.001)
        parts.append(f"{row['seconds']:.1f} s, {rate:,.0f} images/s")
        return "  ".join(parts)

    def _write(self, more: dict[str, Any]) -> None:
        runs.write(self.path, {"epochs": self.rows, **more})

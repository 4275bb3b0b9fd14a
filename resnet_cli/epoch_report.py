"""What a training prints and writes down as it goes."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from resnet_cli import run_folder
from resnet_cli.datasets import Parts, parts_of
from resnet_cli.machine import place
from resnet_cli.text import listed, percent, say, shape
from resnet_cli.training_request import Training
from resnet_lib import data
from resnet_lib.train import Evaluation, History, World, chosen_precision, tensorboard


def announce(
    asked: Training,
    net: nn.Module,
    images: data.ImageData,
    parts: Parts,
    batches: data.Batches,
    world: World,
) -> None:
    """Print what is about to be trained, on what and where."""
    settings, config = asked.settings, asked.config
    parameters = sum(parameter.numel() for parameter in net.parameters())
    counts = [f"{len(parts.train[1]):,} training"]
    if parts.judge == "validation":
        counts.append(f"{len(parts.judged[1]):,} validation")
    counts.append(f"{len(parts.test[1]):,} test")
    where = place(world.device, settings.device)
    if world.size > 1:
        where = f"{world.size} processes, each on {where}"
    if config.precision != "fp32":
        auto = " (auto)" if config.precision == "auto" else ""
        where += f", {chosen_precision(config.precision, world.device)}{auto}"
    say(
        f"{settings.net}: {parameters:,} parameters",
        f"{settings.data}: {', '.join(counts)} images of {shape(parts.train[0].shape[1:])}",
        f"classes: {listed(class_counts(images))}",
        f"{where}; {len(batches)} steps of {settings.batch_size} images per epoch",
    )
    if asked.kept is not None:
        kept = run_folder.newest_update(asked.folder)
        say("going on from the beginning" if kept is None else f"going on after update {kept}")


def class_counts(images: data.ImageData) -> list[str]:
    """Each class with the number of its images, in all parts together."""
    number = len(images.classes)
    counts = sum(labels.bincount(minlength=number) for _, labels in parts_of(images).values())
    return [f"{name} {count:,}" for name, count in zip(images.classes, counts, strict=True)]


class Report:
    """Prints a line for each epoch and keeps history.json.

    Args:
        asked: the training.
        samples: images per epoch, of all processes together.
        judge: the part that is evaluated after each epoch, "validation" or "test".
    """

    def __init__(self, asked: Training, samples: int, judge: str):
        self.path, self.epochs = asked.folder / run_folder.HISTORY, asked.config.epochs
        self.samples, self.judge = samples, judge
        self.rows: list[dict] = []
        if asked.kept is not None:
            self.rows = run_folder.earlier_rows(self.path)
        self.board = None
        if asked.settings.tensorboard:
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

    def _write(self, more: Mapping[str, Any]) -> None:
        run_folder.write(self.path, {"epochs": self.rows, **more})

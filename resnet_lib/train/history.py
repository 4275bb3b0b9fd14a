"""What a training run reports, epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["History", "tensorboard"]


@dataclass
class History:
    """The course of a training run.

    Attributes:
        epochs: one dictionary per finished epoch: `epoch` (from 1), `steps` (updates so far),
            `learning_rate` (of the last update), `train_loss` (what was minimised, smoothing
            included) and `train_accuracy` (of the images as augmented, while the network changed),
            `seconds`, and, with a validation set, `validation_loss` and `validation_accuracy`.
            Losses are averages over samples; accuracies are shares of 1. Each of the caller's
            metrics is a column too: `validation_` and its name.
        stopped_early: whether the training ended because of `patience`.
        best_epoch: with `patience` or `keep_best`, the epoch whose weights the model has in the
            end.
    """

    epochs: list[dict] = field(default_factory=list)
    stopped_early: bool = False
    best_epoch: int | None = None

    def __getitem__(self, name: str) -> list[float]:
        """One column: its values, epoch by epoch.

        Raises:
            KeyError: there is no such column, or no epoch yet.
        """
        known = list(self.epochs[0]) if self.epochs else []
        if name not in known:
            raise KeyError(f"no column {name!r}; there are: {', '.join(known) or 'none yet'}")
        return [row[name] for row in self.epochs]

    def plot(self, axes=None) -> None:
        """Draw the errors in percent against epochs: training as a line, validation as dots.

        Args:
            axes: where to draw; None makes a new figure in the book's style.

        Raises:
            KeyError: there is no epoch yet.
        """
        from resnet_lib import plots  # pyplot takes a second to load, and few runs draw

        epochs = self["epoch"]
        if axes is None:
            with plots.figure() as axes:
                return self.plot(axes)
        names = [n for n in ("train", "validation") if f"{n}_accuracy" in self.epochs[0]]
        errors = {n: [100 * (1 - share) for share in self[f"{n}_accuracy"]] for n in names}
        names.sort(key=lambda name: errors[name][-1])
        # The two curves often meet at the end; their names then stand one above the other.
        for name, shift in zip(names, (-2, 10) if len(names) == 2 else (0,), strict=True):
            trained = name == "train"
            color = plots.COLORS["muted" if trained else "residual"]
            marker = None if trained and len(epochs) > 1 else "o"
            look = {"marker": marker, "markersize": 4, "zorder": 2 if trained else 3}
            axes.plot(epochs, errors[name], color=color, **look)
            plots.label(axes, epochs[-1], errors[name][-1], name, color, xytext=(6, shift))
        axes.set(xlabel="epoch", ylabel="error (%)", ylim=(0, None))
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)


def tensorboard(folder: str | Path) -> Callable[[dict], None]:
    """A function for `fit(on_epoch=...)` that writes each epoch's numbers for TensorBoard.

    Raises:
        ModuleNotFoundError: the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ModuleNotFoundError(
            "tensorboard is not installed: python -m pip install tensorboard"
        ) from None
    writer = SummaryWriter(str(folder))

    def write(row: dict) -> None:
        for name, value in row.items():
            if name not in ("epoch", "steps"):
                part, _, rest = name.partition("_")
                tag = f"{part}/{rest}" if part in ("train", "validation", "test") else name
                writer.add_scalar(tag, value, row["epoch"])
        writer.flush()

    return write

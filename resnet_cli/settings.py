"""What each command can be told: its settings, their defaults, and what they must be."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from resnet_cli.command_words import option
from resnet_cli.errors import Failure, UsageError

NAMED = ("digits", "cifar10")
WORD = "imagenet"
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
BATCH_SIZE = 128
# What trains small folders well; experiments/own_pictures.py compares.
FOLDER_BATCH_SIZE = 32
FOLDER_SIZE = 64
FOLDER_CONFIG = {"epochs": 30, "learning_rate": 0.025, "weight_decay": 5e-4}
FOLDER_WARMUP = 0.1  # share of the epochs
PARTS = ("test", "validation", "train", "all")


class Settings:
    """What all settings have: they are made of the options given, and checked then."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The settings among the options given, checked.

        Raises:
            UsageError: options do not go together, or a value is not allowed.
            Failure: a folder or file that was named is not there.
        """
        own = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        values = {n: tuple(v) if isinstance(v, list) else v for n, v in given.items() if n in own}
        settings = cls(**values)
        settings.check(given)
        return settings.settled()

    def check(self, given: Mapping[str, Any]) -> None:
        """Refuse what is not allowed, as far as that can be told without PyTorch."""

    def settled(self) -> Self:
        """The same, with values in place of words, and whole paths."""
        return self


@dataclass(frozen=True, kw_only=True)
class CommonSettings(Settings):
    """Settings that all commands have which use a network: images, and the machine."""

    size: int | None = None
    mean: tuple[float | str, ...] | None = None
    std: tuple[float | str, ...] | None = None
    device: str = "auto"
    threads: int | None = None
    net: str | None = None
    weights: str | None = None

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        for name in ("batch_size", "threads", "save_every", "size", "top", "max_batch_size"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise UsageError(f"argument {option(name)}: must be at least 1, got {value}")
        if (self.mean is None) != (self.std is None):
            raise UsageError("argument --mean: --mean and --std go together")
        for name in IMAGENET:
            value = getattr(self, name) or ()
            if WORD in value and len(value) > 1:
                raise UsageError(f"argument {option(name)}: is the word {WORD}, or numbers")
        if self.weights is not None and not self._may_be_weights(self.weights):
            raise Failure(f"--weights names no file: {self.weights}")

    def settled(self) -> Self:
        changed: dict[str, Any] = {}
        for name, numbers in IMAGENET.items():
            if getattr(self, name) == (WORD,):
                changed[name] = numbers
        # Whole paths, for a run may go on from another working folder.
        for name in ("data", "data_root", "cache", "weights"):
            value = getattr(self, name, None)
            is_name = name == "data" and value in NAMED
            is_name = is_name or (name == "weights" and value and not Path(value).is_file())
            if value and not is_name:
                changed[name] = os.path.abspath(os.path.expanduser(value))
        return replace(self, **changed)

    @staticmethod
    def _may_be_weights(name: str) -> bool:
        """Whether it is a file, or a word that may name weights of the library."""
        path = Path(name).expanduser()
        return path.is_file() or (path.name == name and not path.suffix)


@dataclass(frozen=True, kw_only=True)
class DataSettings(CommonSettings):
    """Settings of the commands that read a data set."""

    data: str = ""
    data_root: str | None = None
    skip_unreadable: bool = False
    cache: str | None = None
    batch_size: int | None = None

    @property
    def of_folder(self) -> bool:
        """Whether the images are the reader's own pictures."""
        return bool(self.data) and self.data not in NAMED

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        data = self.data
        if not data:
            return
        if self.data_root is not None and data != "cifar10":
            raise UsageError(f"argument --data-root: is for --data cifar10, got --data {data}")
        for name in ("skip_unreadable", "cache"):
            if getattr(self, name) and not self.of_folder:
                raise UsageError(f"argument {option(name)}: is for folders, got --data {data}")
        if self.size is not None and data == "cifar10":
            raise UsageError("argument --size: the images of cifar10 have 32 pixels; leave it out")
        if self.of_folder and not Path(data).expanduser().is_dir():
            raise Failure(
                f"--data must be digits, cifar10 or a folder, and there is no folder {data}"
            )


@dataclass(frozen=True, kw_only=True)
class TrainSettings(DataSettings):
    """Settings of train that are no fields of TrainConfig."""

    batch_size: int | None = None
    validation: float = 0.0
    leave_out: tuple[str, ...] = ()
    augment: bool = True
    crop: bool | None = None
    flip: bool | None = None
    color_jitter: tuple[float, ...] | None = None
    dropout: float = 0.0
    drop_last: bool | None = None
    save_every: int | None = None
    tensorboard: bool = False

    def settled(self) -> Self:
        usual = FOLDER_BATCH_SIZE if self.of_folder else BATCH_SIZE
        return replace(super().settled(), batch_size=self.batch_size or usual)

    @property
    def crops(self) -> bool:
        """Whether the images of the training are cut or shifted at random."""
        return self.augment if self.crop is None else self.crop

    @property
    def flips(self) -> bool:
        """Whether they are mirrored at random; only CIFAR-10's are without being told so."""
        return (self.augment and self.data == "cifar10") if self.flip is None else self.flip

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        for name in ("validation", "dropout"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise UsageError(
                    f"argument {option(name)}: must be at least 0 and below 1, got {value}"
                )
        if self.leave_out and self.weights is None:
            raise UsageError("argument --leave-out: needs --weights")
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise Failure("--tensorboard needs its package: python -m pip install tensorboard")


@dataclass(frozen=True, kw_only=True)
class OfTrained(Settings):
    """What the commands share that take a network: from a run, or by its name or weights."""

    run: str | None = None

    NEEDED: ClassVar[tuple[str, ...]] = ("weights",)

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        if self.run is None:
            if missing := [option(name) for name in self.NEEDED if name not in given]:
                raise UsageError(f"without --run, these are required: {', '.join(missing)}")
        elif wrong := [option(name) for name in ("net", "weights") if name in given]:
            raise UsageError(
                f"argument --run: brings its own network: leave out {', '.join(wrong)}"
            )


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(OfTrained, DataSettings):
    """Settings of evaluate."""

    NEEDED: ClassVar[tuple[str, ...]] = ("weights", "data")

    per_class: bool = False
    confusion: bool = False
    part: str | None = None
    precision: str | None = None


@dataclass(frozen=True, kw_only=True)
class PredictSettings(OfTrained, CommonSettings):
    """Settings of predict."""

    pictures: tuple[str, ...] = ()
    top: int = 3
    batch_size: int = 64
    json: bool = False
    csv: bool = False

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        if not self.pictures:
            raise UsageError("name a picture, or a folder of pictures")
        if self.json and self.csv:
            raise UsageError("argument --csv: not together with --json")
        for name in self.pictures:
            if not Path(name).expanduser().exists():
                raise Failure(f"there is no picture and no folder {name}")


@dataclass(frozen=True, kw_only=True)
class SummarySettings(OfTrained):
    """Settings of summary."""

    NEEDED: ClassVar[tuple[str, ...]] = ("net",)

    net: str | None = None
    input: tuple[int, ...] | None = None
    num_classes: int | None = None

    def check(self, given: Mapping[str, Any]) -> None:
        super().check(given)
        if self.input is not None and min(self.input) < 1:
            raise UsageError(f"argument --input: must be three numbers from 1 up, got {self.input}")
        if self.num_classes is not None and self.num_classes < 1:
            raise UsageError(f"argument --num-classes: must be at least 1, got {self.num_classes}")

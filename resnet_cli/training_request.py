"""The training that the options ask for: a new one, or one that goes on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from resnet_cli import run_folder
from resnet_cli.command_words import command, option
from resnet_cli.config_options import checked_config
from resnet_cli.errors import Failure, UsageError
from resnet_cli.run_folder import Run
from resnet_cli.settings import FOLDER_CONFIG, FOLDER_WARMUP, TrainSettings
from resnet_lib.names import split_name
from resnet_lib.train.config import TrainConfig

# What may differ when a run goes on: where it computes and where its data lie, which are compared,
# what does not touch its result, and how many epochs there are.
MOVABLE = ("device", "threads", "data_root", "data", "cache", "save_every", "epochs")


@dataclass(frozen=True)
class Training:
    """A training that is asked for.

    Attributes:
        folder: where it is kept.
        kept: content of run.json, of a run that goes on; else None.
        command: the command that was given.
        going_on: the command with which the run goes on, if it is stopped.
    """

    folder: Path
    settings: TrainSettings
    config: TrainConfig
    kept: Run | None
    command: str
    going_on: str


def training(given: Mapping[str, Any], words: Sequence[str]) -> Training:
    """The training that the options given ask for; `words` are they as they were typed.

    Raises:
        UsageError: options are missing, do not go together or have a value that is not allowed.
        Failure: the run to go on with, or a folder or file that was named, is not there.
    """
    if "resume" in given:
        return _resumed(given, words)
    if missing := [option(name) for name in ("net", "data", "out") if name not in given]:
        raise UsageError(f"the following options are required: {', '.join(missing)} (or --resume)")
    folder = Path(given["out"])
    own = {field.name for field in fields(TrainSettings)} | {"out"}
    settings = TrainSettings.of(given)
    values = {name: value for name, value in given.items() if name not in own}
    config = checked_config(_for_a_folder(values) if settings.of_folder else values)
    _check_validation(settings, config)
    going_on = _going_on(folder, {})
    if os.environ.get("RANK", "0") == "0":  # the other processes may find that run already begun
        run_folder.refuse_used(folder, going_on)
    return Training(folder, settings, config, None, command(words), going_on)


def _resumed(given: Mapping[str, Any], words: Sequence[str]) -> Training:
    folder = Path(given["resume"])
    if others := [option(name) for name in given if name not in (*MOVABLE, "resume")]:
        raise UsageError(
            f"argument --resume: goes on with the settings in {folder / run_folder.RUN}: leave out "
            f"{', '.join(others)}"
        )
    moved = {name: given[name] for name in MOVABLE if name in given}
    TrainSettings.of({name: moved[name] for name in ("threads", "save_every") if name in moved})
    kept = run_folder.read(folder)
    if "data" in moved and not kept.settings.of_folder:
        raise UsageError(f"argument --data: the run is on {kept.settings.data}: leave it out")
    if kept.settings.of_folder and "data" not in moved and not Path(kept.settings.data).is_dir():
        raise Failure(
            f"there is no folder {kept.settings.data}: if it was moved, add --data FOLDER"
        )
    config = _prolonged(kept, folder, moved["epochs"]) if "epochs" in moved else kept.config
    # Its checkpoints have the weights that it started from.
    start = {"weights": kept.settings.weights, "leave_out": kept.settings.leave_out}
    lacking = {"weights": None, "leave_out": ()}
    try:
        split_name(str(kept.settings.net))
        settings = TrainSettings.of(asdict(kept.settings) | lacking | moved)
    except (UsageError, TypeError, ValueError) as error:
        raise Failure(f"{folder / run_folder.RUN} cannot be used: {error}") from None
    settings = replace(settings, **start)
    _check_validation(settings, config)
    return Training(folder, settings, config, kept, command(words), _going_on(folder, moved))


def _prolonged(kept: Run, folder: Path, epochs: int) -> TrainConfig:
    """The settings of a run that is to take more epochs."""
    config = checked_config(asdict(kept.config) | {"epochs": epochs})
    if config.epochs != kept.config.epochs and config.schedule != "constant":
        start = ["--net", str(kept.settings.net), "--data", kept.settings.data]
        start += ["--weights", str(folder / run_folder.WEIGHTS), "--out", f"{folder}-on"]
        raise UsageError(
            f"argument --epochs: the learning rate of this run was laid out over "
            f"{kept.config.epochs} epochs, so only a run with --schedule constant can take more. "
            "Begin a new one with its weights and a lower --learning-rate:\n"
            f"{command(['train', *start])}"
        )
    return config


def _for_a_folder(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, and what trains small folders well in place of those that are not given."""
    usual: dict[str, Any] = dict(FOLDER_CONFIG)
    if values.get("optimizer", "sgd") != "sgd":
        usual = {"epochs": usual["epochs"]}
    if values.get("schedule") != "onecycle":
        usual["warmup_epochs"] = FOLDER_WARMUP * values.get("epochs", usual["epochs"])
    return usual | dict(values)


def _going_on(folder: Path, moved: Mapping[str, Any]) -> str:
    """The command with which a run goes on."""
    words = ["train", "--resume", str(folder)]
    for name, value in moved.items():
        words += [option(name), str(value)]
    return command(words)


def _check_validation(settings: TrainSettings, config: TrainConfig) -> None:
    """Refuse to choose weights by the test images; a folder may have a part for it."""
    if not settings.validation and not settings.of_folder:
        require_validation(config)


def require_validation(config: TrainConfig) -> None:
    """Refuse settings that choose weights, where there are no images to choose by.

    Raises:
        UsageError: one is set.
    """
    for name in ("patience", "keep_best"):
        if getattr(config, name, None):
            raise UsageError(
                f"argument {option(name)}: needs --validation above 0: the test images must not "
                "choose the weights"
            )

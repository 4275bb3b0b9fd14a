"""The training that the options ask for: a new one, or one that goes on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from resnet_cli import run_folder
from resnet_cli.command_words import command, option
from resnet_cli.config_options import checked_config
from resnet_cli.errors import Failure, UsageError
from resnet_cli.run_folder import Run
from resnet_cli.settings import TrainSettings
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
    config = checked_config({name: v for name, v in given.items() if name not in own})
    settings = TrainSettings.of(given)
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
    config = kept.config
    if "epochs" in moved:
        config = checked_config(asdict(config) | {"epochs": moved["epochs"]})
    try:
        split_name(str(kept.settings.net))
        settings = TrainSettings.of(asdict(kept.settings) | moved)
    except (UsageError, TypeError, ValueError) as error:
        raise Failure(f"{folder / run_folder.RUN} cannot be used: {error}") from None
    _check_validation(settings, config)
    return Training(folder, settings, config, kept, command(words), _going_on(folder, moved))


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

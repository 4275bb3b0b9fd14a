"""What the options ask for, checked as far as that goes without PyTorch."""

import importlib.util
import os
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from resnet_cli import fields, runs
from resnet_cli.faults import Failure, UsageError
from resnet_cli.names import default_shape, split_name

DATA_SETTINGS = {"data": None, "size": None, "data_root": None, "skip_unreadable": False}
TRAIN_SETTINGS = {
    "net": None,
    **DATA_SETTINGS,
    "batch_size": 128,
    "validation": 0.0,
    "weights": None,
    "leave_out": [],
    "augment": True,
    "color_jitter": None,
    "dropout": 0.0,
    "device": "auto",
    "threads": None,
    "save_every": None,
    "tensorboard": False,
}
EVALUATE_SETTINGS = {
    "run": None,
    "net": None,
    "weights": None,
    **DATA_SETTINGS,
    "batch_size": None,
    "mean": None,
    "std": None,
    "per_class": False,
    "precision": None,
    "device": "auto",
    "threads": None,
}
# What may differ when a run goes on: where it computes, and what does not touch its result.
MOVABLE = ("device", "threads", "data_root", "save_every")


class Training(NamedTuple):
    """A training that is asked for.

    Attributes:
        folder: where it is kept.
        settings: values of all options that are no fields of TrainConfig, by name.
        config: values of all fields of TrainConfig, by name.
        kept: content of run.json, of a run that goes on; else None.
        command: the command that was given.
        going_on: the command with which the run goes on, if it is stopped.
    """

    folder: Path
    settings: dict[str, Any]
    config: dict[str, Any]
    kept: dict | None
    command: str
    going_on: str


def training(given: dict[str, Any], words: list[str]) -> Training:
    """The training that the options given ask for; `words` are they as they were typed.

    Raises:
        UsageError: options are missing, do not go together or have a value that is not allowed.
        Failure: the run to go on with, or a folder or file that was named, is not there.
    """
    if "resume" in given:
        return _resumed(given, words)
    missing = [fields.option(name) for name in ("net", "data", "out") if name not in given]
    if missing:
        raise UsageError(f"the following options are required: {', '.join(missing)} (or --resume)")
    folder = Path(given["out"])
    settings = {name: given.get(name, default) for name, default in TRAIN_SETTINGS.items()}
    config = {name: value for name, value in given.items() if name not in {*settings, "out"}}
    config = fields.checked_config(config)
    _check_training(settings, config)
    settings = _absolute(settings)
    if settings["weights"] is not None and not Path(settings["weights"]).is_file():
        raise Failure(f"--weights names no file: {settings['weights']}")
    if os.environ.get("RANK", "0") == "0":  # the other processes may find that run already begun
        runs.refuse_used(folder, _going_on(folder, {}))
    return Training(folder, settings, config, None, _command(words), _going_on(folder, {}))


def evaluation(given: dict[str, Any]) -> dict[str, Any]:
    """All settings of the evaluation that the options given ask for.

    Raises:
        UsageError, Failure: as for `training`.
    """
    settings = {name: given.get(name, default) for name, default in EVALUATE_SETTINGS.items()}
    if settings["run"] is None:
        missing = [fields.option(n) for n in ("net", "weights", "data") if n not in given]
        if missing:
            raise UsageError(f"without --run, these are required: {', '.join(missing)}")
    elif wrong := [fields.option(n) for n in ("net", "weights") if n in given]:
        raise UsageError(f"argument --run: brings its own network: leave out {', '.join(wrong)}")
    if (settings["mean"] is None) != (settings["std"] is None):
        raise UsageError("argument --mean: --mean and --std go together")
    _check_numbers(settings)
    if settings["data"] is not None:
        _check_data(settings)
    return _absolute(settings)


def summary(given: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
    """Shape of the input and number of classes that the options given ask for.

    Raises:
        UsageError: one of the numbers is not above 0.
    """
    default, classes = default_shape(given["net"])
    sizes, classes = tuple(given.get("input", default)), given.get("num_classes", classes)
    if min(sizes) < 1:
        raise UsageError(f"argument --input: must be three numbers from 1 up, got {sizes}")
    if classes < 1:
        raise UsageError(f"argument --num-classes: must be at least 1, got {classes}")
    return sizes, classes


def _resumed(given: dict[str, Any], words: list[str]) -> Training:
    folder = Path(given["resume"])
    others = [fields.option(n) for n in given if n not in (*MOVABLE, "resume")]
    if others:
        raise UsageError(
            f"argument --resume: goes on with the settings in {folder / runs.RUN}: leave out "
            f"{', '.join(others)}"
        )
    moved = {name: given[name] for name in MOVABLE if name in given}
    _check_numbers(moved)
    kept = runs.read(folder)
    settings = {**TRAIN_SETTINGS, **kept["settings"], **moved}
    try:
        split_name(settings["net"])
        config = fields.checked_config(kept["config"])
        _check_training(settings, config)
    except (UsageError, TypeError, ValueError) as error:
        raise Failure(f"{folder / runs.RUN} cannot be used: {error}") from None
    return Training(
        folder, _absolute(settings), config, kept, _command(words), _going_on(folder, moved)
    )


def _command(words: list[str]) -> str:
    """The command that has these words; under torchrun with as many processes."""
    start = ["python", "-m", "resnet_lib"]
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
        start = ["torchrun", f"--nproc-per-node={local}", "-m", "resnet_lib"]
        start[1:1] = [f"--nnodes={nodes}"] if nodes > 1 else []
    return shlex.join([*start, *words])


def _going_on(folder: Path, moved: dict[str, Any]) -> str:
    """The command with which a run goes on."""
    words = ["train", "--resume", str(folder)]
    for name, value in moved.items():
        words += [fields.option(name), str(value)]
    return _command(words)


def _check_training(settings: dict[str, Any], config: dict[str, Any]) -> None:
    _check_numbers(settings)
    _check_data(settings)
    if settings["leave_out"] and settings["weights"] is None:
        raise UsageError("argument --leave-out: needs --weights")
    if settings["tensorboard"] and importlib.util.find_spec("tensorboard") is None:
        raise Failure("--tensorboard needs its package: python -m pip install tensorboard")
    if config["patience"] is not None and not settings["validation"]:
        raise UsageError(
            "argument --patience: needs --validation above 0: the test images must not choose "
            "the weights"
        )


def _check_numbers(settings: dict[str, Any]) -> None:
    for name in ("batch_size", "threads", "save_every", "size"):
        value = settings.get(name)
        if value is not None and value < 1:
            raise UsageError(f"argument {fields.option(name)}: must be at least 1, got {value}")
    for name in ("validation", "dropout"):
        value = settings.get(name, 0)
        if not 0 <= value < 1:
            raise UsageError(
                f"argument {fields.option(name)}: must be at least 0 and below 1, got {value}"
            )


def _check_data(settings: dict[str, Any]) -> None:
    data = settings["data"]
    of_folder = data not in ("digits", "cifar10")
    if settings["data_root"] is not None and data != "cifar10":
        raise UsageError(f"argument --data-root: is for --data cifar10, got --data {data}")
    if settings["skip_unreadable"] and not of_folder:
        raise UsageError(f"argument --skip-unreadable: is for folders, got --data {data}")
    if settings["size"] is not None and data == "cifar10":
        raise UsageError("argument --size: the images of cifar10 have 32 pixels; leave it out")
    if of_folder and not Path(data).expanduser().is_dir():
        raise Failure(f"--data must be digits, cifar10 or a folder, and there is no folder {data}")


def _absolute(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with whole paths, for a run may go on from another working folder."""
    paths = ["data_root", "weights"]
    if settings["data"] not in ("digits", "cifar10"):
        paths.append("data")
    whole = {
        name: os.path.abspath(os.path.expanduser(settings[name]))
        for name in paths
        if settings[name] is not None
    }
    return settings | whole

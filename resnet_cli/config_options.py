"""TrainConfig's fields as options."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, get_args

from resnet_cli.command_words import option
from resnet_cli.errors import UsageError
from resnet_lib.train.config import LIMITS, TrainConfig

# Groups of the help; a field that stands in none of them comes into the last one.
GROUPS = {
    "optimiser": (
        *("optimizer", "learning_rate", "momentum", "nesterov", "weight_decay"),
        *("decay_norm_and_bias", "clip_norm"),
    ),
    "schedule": ("epochs", "schedule", "warmup_epochs", "milestones", "gamma", "patience"),
    "speed and memory": (
        *("precision", "channels_last", "compile", "micro_batches", "deterministic"),
        "sync_batch_norm",
    ),
    "regularisation and chance": ("label_smoothing", "ema_decay", "seed"),
}
# What a field's own help leaves out, because it stands for `fit` alone.
MORE = {
    "patience": "needs --validation",
    "seed": "of the starting weights and of the order of the images too",
}


def add_fields(groups: dict[str, Any]) -> None:
    """Add an option for each field to the argparse group that GROUPS names."""
    for field in fields(TrainConfig):
        named = [title for title, names in GROUPS.items() if field.name in names]
        _add(groups[(named or list(GROUPS))[-1]], field)


def checked_config(values: Mapping[str, Any]) -> TrainConfig:
    """The settings with these values, and the others' defaults.

    Raises:
        UsageError: TrainConfig refuses one.
    """
    if unknown := set(values) - {field.name for field in fields(TrainConfig)}:
        raise UsageError(f"TrainConfig has no {', '.join(sorted(unknown))}")
    try:
        return TrainConfig(**values)
    except (TypeError, ValueError) as error:
        about = vars(error)
        raise UsageError(f"argument {option(about['argument'])}: {about['reason']}") from None


def number(text: str) -> float:
    """A number from the command line."""
    return _read(float, text, "a number")


def whole(text: str) -> int:
    """A whole number from the command line."""
    return _read(int, text, "a whole number")


def _read(kind: Callable, text: str, what: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}") from None


def _add(group: Any, field: Field) -> None:
    kind = next((k for k in get_args(field.type) if k is not NoneType), field.type)
    rule = field.metadata
    about = [rule["help"], MORE.get(field.name), _range(rule), _default(field)]
    settings: dict[str, Any] = {"help": "; ".join(filter(None, about)).replace("%", "%%")}
    if kind is bool:
        settings["action"] = argparse.BooleanOptionalAction
    elif "choices" in rule:
        settings["choices"] = rule["choices"]
    else:
        settings["type"] = whole if kind is int else number
        settings["metavar"] = "N" if kind is int else "X"
        if field.type == tuple[float, ...]:
            settings["nargs"] = "+"
    group.add_argument(option(field.name), **settings)


def _range(rule: Mapping[str, Any]) -> str:
    return " and ".join(f"{word} {rule[key]}" for key, (_, word) in LIMITS.items() if key in rule)


def _default(field: Field) -> str:
    value = field.default
    assert value is not MISSING, f"TrainConfig.{field.name} must have a default"
    if isinstance(value, bool):
        return f"default {'on' if value else 'off'}"
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    return f"default {'none' if value is None else value}"

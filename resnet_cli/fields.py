"""TrainConfig's fields as options."""

import argparse
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, get_args

import resnet_lib
from resnet_cli.faults import UsageError

# Groups of the help; a field that stands in none of them comes into the last one.
GROUPS = {
    "optimiser": (
        *("optimizer", "learning_rate", "momentum", "nesterov", "weight_decay"),
        *("decay_norm_and_bias", "clip_norm"),
    ),
    "schedule": (
        *("epochs", "schedule", "warmup_epochs", "milestones", "gamma", "patience"),
        "keep_best",
    ),
    "speed and memory": (
        *("precision", "channels_last", "compile", "micro_batches", "deterministic"),
        *("sync_batch_norm", "find_unused_parameters"),
    ),
    "regularisation and chance": ("label_smoothing", "ema_decay", "seed"),
}
# What a field's own help leaves out, because it stands for `fit` alone.
MORE = {
    "patience": "needs --validation",
    "seed": "of the starting weights and of the order of the images too",
}


def config_module() -> ModuleType:
    """resnet_lib.train.config, without its package: that imports torch, which takes seconds."""
    name = "resnet_lib.train.config"
    if name in sys.modules:
        return sys.modules[name]
    path = Path(resnet_lib.__file__).parent / "train" / "config.py"
    spec = importlib.util.spec_from_file_location("resnet_lib_train_config_alone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_fields(groups: dict[str, Any]) -> None:
    """Add an option for each field to the argparse group that GROUPS names."""
    module = config_module()
    for field in fields(module.TrainConfig):
        named = [title for title, names in GROUPS.items() if field.name in names]
        _add(groups[(named or list(GROUPS))[-1]], field, module.LIMITS)


def checked_config(values: dict[str, Any]) -> dict[str, Any]:
    """All fields' values, given and default, as `TrainConfig` has them.

    Raises:
        UsageError: TrainConfig refuses one.
    """
    kind = config_module().TrainConfig
    if unknown := set(values) - {field.name for field in fields(kind)}:
        raise UsageError(f"TrainConfig has no {', '.join(sorted(unknown))}")
    try:
        config = kind(**values)
    except (TypeError, ValueError) as error:
        name, _, rest = str(error).partition(" ")
        raise UsageError(f"argument {option(name)}: {rest}") from None
    return {field.name: getattr(config, field.name) for field in fields(config)}


def option(name: str) -> str:
    """The option for a field: learning_rate becomes --learning-rate."""
    return "--" + name.replace("_", "-")


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


def _add(group: Any, field: Field, limits: dict) -> None:
    kind = next((k for k in get_args(field.type) if k is not NoneType), field.type)
    rule = field.metadata
    about = [rule["help"], MORE.get(field.name), _range(rule, limits), _default(field)]
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


def _range(rule: dict, limits: dict) -> str:
    return " and ".join(f"{word} {rule[key]}" for key, (_, word) in limits.items() if key in rule)


def _default(field: Field) -> str:
    value = field.default
    assert value is not MISSING, f"TrainConfig.{field.name} must have a default"
    if isinstance(value, bool):
        return f"default {'on' if value else 'off'}"
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    return f"default {'none' if value is None else value}"

"""Training settings: every field takes what it allows, and says what it allows otherwise."""

import json
import math
from dataclasses import FrozenInstanceError, asdict, fields, replace

import numpy as np
import pytest

from resnet_lib.train import TrainConfig

# Good values of each field, among them the ends of its range.
GOOD = {
    "epochs": [1, 10**9],
    "optimizer": ["sgd", "adam", "adamw"],
    "learning_rate": [1e-300, 0.1, 3, 1e300],
    "momentum": [0, 0.0, 0.999],
    "nesterov": [True, False],
    "weight_decay": [0, 0.0, 1e-4, 10],
    "decay_norm_and_bias": [True, False],
    "schedule": ["constant", "cosine", "step", "onecycle"],
    "warmup_epochs": [0, 0.5, 10],
    "milestones": [(), [], (0.5,), [1e-9, 0.5, 1 - 1e-9]],
    "gamma": [1e-9, 0.5, 1, 1.0],
    "label_smoothing": [0, 0.1, 1],
    "clip_norm": [None, 1e-9, 1, 1e9],
    "micro_batches": [1, 7],
    "precision": ["auto", "fp32", "bf16", "fp16"],
    "channels_last": [True, False],
    "compile": [True, False],
    "deterministic": [True, False],
    "sync_batch_norm": [True, False],
    "find_unused_parameters": [True, False],
    "ema_decay": [None, 1e-9, 0.999],
    "patience": [None, 1, 100],
    "keep_best": [True, False],
    "seed": [0, 2**63 - 1],
}
WHOLE, NUMBER, TRUTH, TEXT = "a whole number", "a number", "True or False", "a string"
# Bad values, and what the message must say is allowed.
WRONG_TYPE = {
    "epochs": ([1.0, "1", None, True], WHOLE),
    "optimizer": ([None, 1, ["sgd"]], TEXT),
    "learning_rate": (["0.1", True, 1j], NUMBER),
    "momentum": (["0.9", None, False], NUMBER),
    "nesterov": ([0, 1, None, "True"], TRUTH),
    "weight_decay": (["0", None], NUMBER),
    "decay_norm_and_bias": ([0, None], TRUTH),
    "schedule": ([None, 0], TEXT),
    "warmup_epochs": (["1", None], NUMBER),
    "milestones": ([0.5, None, "0.5", {0.5}, (0.5, "0.7"), (None,), (True,)], NUMBER),
    "gamma": (["0.1", None], NUMBER),
    "label_smoothing": (["0.1", None], NUMBER),
    "clip_norm": (["1", True], f"{NUMBER} or None"),
    "micro_batches": ([1.0, None, True], WHOLE),
    "precision": ([None, 16], TEXT),
    "channels_last": ([1, None], TRUTH),
    "compile": ([1, None], TRUTH),
    "deterministic": ([1, None], TRUTH),
    "sync_batch_norm": ([1, None], TRUTH),
    "find_unused_parameters": ([1, None], TRUTH),
    "ema_decay": (["0.9", False], f"{NUMBER} or None"),
    "patience": ([1.0, "1", True], f"{WHOLE} or None"),
    "keep_best": ([1, None], TRUTH),
    "seed": ([1.0, "0", None, True], WHOLE),
}
WRONG_VALUE = {
    "epochs": ([0, -1], "at least 1"),
    "optimizer": (["SGD", "", "rmsprop"], "one of sgd, adam, adamw"),
    "learning_rate": ([0, -0.1], "finite and above 0"),
    "momentum": ([-0.1, 1, 1.5], "finite and at least 0 and below 1"),
    "weight_decay": ([-1e-9], "finite and at least 0"),
    "schedule": (["linear", ""], "one of constant, cosine, step, onecycle"),
    "warmup_epochs": ([-1], "finite and at least 0"),
    "milestones": ([(0.0,), (1.0,), (0.5, 1.5), (-0.1,), (2,)], "finite and above 0 and below 1"),
    "gamma": ([0, 1.1, -1], "finite and above 0 and at most 1"),
    "label_smoothing": ([-0.1, 1.1], "finite and at least 0 and at most 1"),
    "clip_norm": ([0, -1], "finite and above 0"),
    "micro_batches": ([0, -1], "at least 1"),
    "precision": (["float32", ""], "one of auto, fp32, bf16, fp16"),
    "ema_decay": ([0, 1, -0.1], "finite and above 0 and below 1"),
    "patience": ([0, -1], "at least 1"),
    "seed": ([-1, 2**63], f"at least 0 and at most {2**63 - 1}"),
}
FLOATS = ["learning_rate", "momentum", "weight_decay", "warmup_epochs", "gamma", "label_smoothing"]
FLOATS += ["clip_norm", "ema_decay"]
NAMES = [one.name for one in fields(TrainConfig)]


def cases(table):
    return [(name, value, allowed) for name, (bad, allowed) in table.items() for value in bad]


def test_tables_cover_every_field():
    free = {name for name, values in GOOD.items() if set(map(type, values)) == {bool}}
    assert list(GOOD) == list(WRONG_TYPE) == NAMES
    assert set(WRONG_VALUE) == set(NAMES) - free


@pytest.mark.parametrize("name", NAMES)
def test_good_values_are_kept(name):
    for value in GOOD[name]:
        kept = getattr(TrainConfig(**{name: value}), name)
        assert kept == (tuple(value) if name == "milestones" else value)
        assert type(kept) is float or value is None or name not in FLOATS


@pytest.mark.parametrize(("name", "value", "allowed"), cases(WRONG_TYPE))
def test_wrong_type_is_named(name, value, allowed):
    with pytest.raises(TypeError) as error:
        TrainConfig(**{name: value})
    assert str(error.value).startswith(f"{name} must be ")
    assert allowed in str(error.value).replace("list of numbers", NUMBER)
    assert str(error.value).endswith(f", got {value!r}")


@pytest.mark.parametrize(("name", "value", "allowed"), cases(WRONG_VALUE))
def test_wrong_value_is_named(name, value, allowed):
    with pytest.raises(ValueError, match=f"^{name} must be ") as error:
        TrainConfig(**{name: value})
    assert allowed in str(error.value)
    got = (float(value[0]),) if value == (2,) else value
    got = float(got) if name in FLOATS else got
    assert str(error.value).endswith(f", got {got!r}")


@pytest.mark.parametrize("name", [*FLOATS, "milestones"])
def test_numbers_must_be_finite(name):
    for value in (math.nan, math.inf, -math.inf):
        given = (value,) if name == "milestones" else value
        with pytest.raises(ValueError, match=f"^{name} must be finite .*, got .*{value!r}"):
            TrainConfig(**{name: given})


@pytest.mark.parametrize("name", [*FLOATS, "milestones"])
def test_whole_number_beyond_all_floats_is_out_of_range(name):
    given = (10**400,) if name == "milestones" else 10**400
    with pytest.raises(ValueError, match=f"^{name} must be "):
        TrainConfig(**{name: given})


def test_numbers_from_numpy_become_pythons_own():
    rate, epochs, seed = np.float64(0.25), np.int64(3), np.uint8(7)
    config = TrainConfig(
        learning_rate=rate, epochs=epochs, seed=seed, gamma=np.float32(0.5),
        milestones=list(np.array([0.25, 0.5])), clip_norm=np.int32(2), patience=np.int16(4),
    )  # fmt: skip
    assert config == TrainConfig(
        learning_rate=0.25, epochs=3, seed=7, gamma=0.5,
        milestones=(0.25, 0.5), clip_norm=2.0, patience=4,
    )  # fmt: skip
    values = [*asdict(config).values(), *config.milestones]
    assert {type(value) for value in values} <= {int, float, bool, str, tuple, type(None)}
    with pytest.raises(TypeError, match=r"^epochs must be a whole number"):
        TrainConfig(epochs=np.float64(3))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"nesterov": True, "momentum": 0.0}, ["nesterov", "momentum above 0", "got", "0.0"]),
        ({"nesterov": True, "optimizer": "adam"}, ["nesterov", "optimizer='sgd'", "'adam'"]),
        ({"nesterov": True, "optimizer": "adamw"}, ["nesterov", "optimizer='sgd'", "'adamw'"]),
        (
            {"schedule": "onecycle", "warmup_epochs": 1},
            ["warmup_epochs must be 0", "schedule='onecycle'", "got 1.0"],
        ),
        ({"epochs": 3, "warmup_epochs": 3.5}, ["warmup_epochs must be at most epochs", "3.5", "3"]),
        ({"milestones": (0.7, 0.3)}, ["milestones must rise", "(0.7, 0.3)"]),
        ({"milestones": [0.5, 0.5]}, ["milestones must rise", "(0.5, 0.5)"]),
    ],
)
def test_settings_that_do_not_go_together(settings, words):
    with pytest.raises(ValueError, match=r"must|needs") as error:
        TrainConfig(**settings)
    assert [word for word in words if word not in str(error.value)] == []


def test_settings_that_do_go_together():
    TrainConfig(nesterov=True)
    TrainConfig(epochs=3, warmup_epochs=3)
    TrainConfig(schedule="onecycle", warmup_epochs=0)
    TrainConfig(optimizer="adam", momentum=0.0)


def test_configuration_comes_back_from_json():
    config = TrainConfig(milestones=(0.25, 0.5), clip_norm=2, patience=3, learning_rate=1)
    assert TrainConfig(**json.loads(json.dumps(asdict(config)))) == config


def test_configuration_cannot_be_changed_but_replaced():
    config = TrainConfig()
    with pytest.raises(FrozenInstanceError):
        config.epochs = 3
    assert replace(config, epochs=3).epochs == 3
    with pytest.raises(ValueError, match=r"^epochs"):
        replace(config, epochs=0)


def test_every_field_has_help_for_the_command_line():
    without = [one.name for one in fields(TrainConfig) if not one.metadata.get("help")]
    assert not without


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.1), ("adam", 1e-3), ("adamw", 1e-3)])
def test_each_optimizer_has_its_own_rate(optimizer, rate):
    for given in ({}, {"learning_rate": None}):
        config = TrainConfig(optimizer=optimizer, **given)
        assert config.learning_rate == asdict(config)["learning_rate"] == rate
    assert TrainConfig(optimizer=optimizer, learning_rate=0.5).learning_rate == 0.5


def test_docstring_explains_every_field():
    explained = TrainConfig.__doc__.partition("Attributes:")[2].splitlines()
    for one in fields(TrainConfig):
        assert f"        {one.name}: {one.metadata['help']}." in explained

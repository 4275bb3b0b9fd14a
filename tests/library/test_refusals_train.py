"""Bad input to training: what each part answers."""

import bad_input
import pytest
import torch
from bad_input import CHOICE, FROM_ONE, MODULE, NUMBER, PATH, Bad, Entry, Odd
from torch import nn
from toy_training import CPU, batches, cnn

from resnet_lib import train

NET = cnn()
CONFIG = train.TrainConfig(epochs=1)
IMAGES, LABELS = torch.rand(4, 1, 6, 6), torch.arange(4) % 3
FLAG = [Bad(value, TypeError) for value in ("yes", 1, None, Odd())]
COUNT = [*(Bad(value, TypeError) for value in (2.5, "2", True, Odd())), Bad(0, ValueError)]
FRACTION = [*(Bad(value, TypeError) for value in ("x", True, Odd()))]
FRACTION += [Bad(value, ValueError) for value in (-0.5, float("nan"), float("inf"))]
# A loader's fault is told of the batch, in words of its own.
LOADER = [Bad([], ValueError), Bad(iter([]), TypeError), Bad(3, TypeError)]
FAULTY = {
    "no pair": ([IMAGES], TypeError, "a batch must be"),
    "a dictionary": ([{"x": IMAGES}], TypeError, "a batch must be"),
    "too few labels": ([(IMAGES, LABELS[:2])], ValueError, "equally many"),
    "labels of whole 32 bits": ([(IMAGES, LABELS.int())], ValueError, "labels must be"),
    "no such class": ([(IMAGES, LABELS + 3)], ValueError, "must be classes 0 to 2"),
    "a class below 0": ([(IMAGES, LABELS - 1)], ValueError, "must be classes 0 to 2"),
}
FITTING = {"model": NET, "train": batches(), "config": CONFIG, "world": CPU, "progress": False}

TABLE = [
    Entry(
        train.TrainConfig,
        {},
        {
            "epochs": COUNT,
            "optimizer": [Bad("rmsprop", ValueError), Bad(3, TypeError)],
            "schedule": [Bad("exponential", ValueError), Bad(None, TypeError)],
            "precision": [Bad("fp8", ValueError), Bad(16, TypeError)],
            "learning_rate": [*FRACTION, Bad(0, ValueError)],
            "momentum": [*FRACTION, Bad(1, ValueError)],
            "weight_decay": FRACTION,
            "warmup_epochs": FRACTION,
            "gamma": [*FRACTION, Bad(0, ValueError), Bad(1.1, ValueError)],
            "label_smoothing": [*FRACTION, Bad(1.1, ValueError)],
            "clip_norm": [*FRACTION, Bad(0, ValueError)],
            "ema_decay": [*FRACTION, Bad(0, ValueError), Bad(1, ValueError)],
            "micro_batches": COUNT,
            "patience": COUNT,
            "seed": [*COUNT[:-1], Bad(-1, ValueError), Bad(2**63, ValueError)],
            **dict.fromkeys(("nesterov", "channels_last", "compile", "keep_best"), FLAG),
        },
    ),
    Entry(
        train.Checkpoints,
        {"folder": "kept"},
        {"folder": PATH, "every": FROM_ONE[1:], "keep": [*FROM_ONE, Bad(1, ValueError)]},
    ),
    Entry(
        train.Checkpoints("kept").save,
        {"step": 0, "state": {}},
        {
            "step": bad_input.WHOLE,
            "state": [
                Bad({"x": Odd()}, TypeError, r"^state\.x must be made of"),
                Bad({(1,): 2}, TypeError, "keys of state must"),
            ],
        },
    ),
    Entry(train.make_optimizer, {"model": NET, "config": CONFIG}, {"model": MODULE}),
    Entry(
        train.make_optimizer,
        {"model": NET, "config": CONFIG},
        {
            "model": [Bad(nn.ReLU(), ValueError, "nothing to train")],
            "config": [Bad(value, TypeError) for value in (None, {"epochs": 1}, Odd())],
        },
    ),
    Entry(
        train.rates_by_part,
        {"model": NET, "rates": {"0": 0.1}, "rate": 0.1},
        {
            "model": MODULE,
            "rate": NUMBER,
            "rates": [
                Bad({"nothing": 0.1}, ValueError, "nothing"),
                Bad({"0": None}, TypeError, r"^rates\['0'\] must"),
                Bad({"0": -0.1}, ValueError, r"^rates\['0'\] must"),
            ],
        },
    ),
    Entry(
        train.pick_device,
        {},
        {"name": [Bad("nonsense", ValueError, "nonsense"), Bad("cuda:99", ValueError, "cuda")]},
    ),
    Entry(
        train.chosen_precision,
        {"precision": "fp32", "device": CPU.device},
        {"precision": CHOICE},
    ),
    Entry(train.device_of, {}, {"model": bad_input.BY_HAND}),
    Entry(
        train.evaluate,
        {"model": NET, "batches": batches()},
        {
            "model": bad_input.BY_HAND,
            "batches": [*(Bad(*fault) for fault in FAULTY.values()), Bad([], ValueError)],
            "precision": CHOICE,
            "loss": [Bad(3, TypeError)],
        },
    ),
    Entry(
        train.fit,
        FITTING,
        {
            "model": MODULE,
            "train": [*(Bad(*fault) for fault in FAULTY.values()), *LOADER],
            "config": [Bad(3, TypeError), Bad({"epochs": 1}, TypeError)],
            "loss": [Bad(3, TypeError)],
            "optimizer": [Bad(3, TypeError), Bad(torch.optim.SGD(cnn().parameters()), ValueError)],
            "metrics": [Bad({"x": len}, ValueError, "needs validation")],
        },
    ),
]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = [value.clone() for value in NET.parameters()]
    bad_input.assert_refused(entry, tmp_path)
    assert all(map(torch.equal, NET.parameters(), before))

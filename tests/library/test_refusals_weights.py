"""Bad input to weights and what comes of them: exported, compressed, asked, published."""

import bad_input
import pytest
import torch
from bad_input import (
    BY_HAND,
    CHOICE,
    FROM_ONE,
    MODULE,
    NUMBER,
    PATH,
    POSITIVE,
    TEXT,
    Bad,
    Entry,
    Odd,
)
from torch import nn

from resnet_lib import compression, export, nets, prediction, serving, weights

NET = weights.resnet8("digits").eval()
CARD = weights.model_card("resnet8", "digits")
STATE = {name: value.clone() for name, value in NET.state_dict().items()}
IMAGES = torch.zeros(2, 1, 8, 8)
GONE = Bad("nowhere", FileNotFoundError, "nowhere")
FILE = [*PATH, GONE]
SOURCE = [Bad(value, TypeError) for value in (None, 3, Odd(), nn.Linear(1, 1))]
SOURCE += [GONE, Bad({"x": 3}, ValueError, "no tensors"), Bad({3: IMAGES}, ValueError, "strings")]
NAN_STATE = STATE | {"fc.bias": STATE["fc.bias"].long()}
MISFITS = [
    Bad({}, weights.WeightsMismatch, "does not fit"),
    Bad(STATE | {"more": IMAGES}, weights.WeightsMismatch, "more"),
    Bad(STATE | {"fc.bias": torch.zeros(3)}, weights.WeightsMismatch, r"fc\.bias"),
    Bad(NAN_STATE, weights.WeightsMismatch, r"fc\.bias"),
    Bad(STATE | {"fc.bias": torch.zeros(10, device="meta")}, weights.WeightsMismatch, "meta"),
]
NUMBERS = [Bad(("x",), TypeError), Bad((None,), TypeError), Bad((True,), TypeError)]
NAMES = [Bad(value, TypeError) for value in ("fc", None, 3, [3])]
PUBLISHED = {"repository": "models", "name": "pets", "network": __file__, "card": CARD}
SERVICE = {"name": "pets", "image": "x/y:1", "claim": "models", "rate": 5.0, "per_replica": 10.0}
PORT = [*FROM_ONE, Bad(65_536, ValueError)]
SCORES = torch.zeros(2, 3)


TABLE = [
    Entry(weights.read_weights, {"source": STATE}, {"source": SOURCE, "entry": TEXT}),
    Entry(weights.read_weights, {"source": STATE}, {"entry": [Bad("x", ValueError)]}),
    Entry(weights.read_card, {}, {"path": FILE}),
    Entry(weights.load_network, {}, {"path": FILE}),
    Entry(
        weights.load_weights,
        {"model": nets.CifarResNet(8, 10, 1), "source": STATE},
        {
            "model": MODULE,
            "source": [*SOURCE, *MISFITS],
            "leave_out": [*NAMES, Bad(["nothing"], ValueError, "leave_out names 'nothing'")],
            "rename": [*(Bad(value, TypeError) for value in ("x", 3, ["x"], {"x": 3}))],
        },
    ),
    Entry(
        weights.save_weights,
        {"path": "new.safetensors", "model": NET},
        {
            "path": [
                *PATH,
                Bad("nowhere/x", FileNotFoundError, "nowhere"),
                Bad(".", ValueError, "empty name"),
            ],
            "model": MODULE,
            "net": [
                Bad(3, TypeError, "name must"),
                Bad("resnet9", ValueError, "name must"),
                Bad("resnet20", ValueError),
                Bad("plain8", ValueError),
            ],
            "classes": [Bad((3,), TypeError), Bad((None,), TypeError)],
            **dict.fromkeys(("image", "mean", "std"), NUMBERS),
        },
    ),
    Entry(
        weights.model_card,
        {"net": "resnet8", "weights": "digits"},
        {"net": [*TEXT, Bad("x", ValueError)]},
    ),
    Entry(
        weights.model_card,
        {"net": "resnet8", "weights": "x"},
        {"weights": [*TEXT, Bad("x", ValueError, "^weights of")]},
    ),
    Entry(
        weights.resnet8,
        {},
        {"weights": [Bad(3, TypeError), Bad("cifar10", ValueError, "^weights of")]},
    ),
    Entry(
        weights.resnet20,
        {},
        {"weights": [Bad(STATE, TypeError), Bad("digits", ValueError, "^weights of")]},
    ),
    Entry(weights.to_hugging_face, {}, {"source": [*SOURCE, Bad({"x": IMAGES}, ValueError, "x")]}),
    Entry(
        weights.from_hugging_face, {}, {"source": [*SOURCE, Bad({"x": IMAGES}, ValueError, "x")]}
    ),
    Entry(
        weights.hugging_face_config, {}, {"network": [Bad(NET, TypeError), Bad(None, TypeError)]}
    ),
    Entry(
        compression.distillation_loss,
        {"scores": SCORES, "teacher": SCORES},
        {
            "temperature": POSITIVE,
            "teacher": [
                Bad(SCORES[:1], ValueError),
                Bad(None, AttributeError, bad_input.NO_ATTRIBUTE),
            ],
        },
    ),
    Entry(compression.Taught, {"batches": []}, {"teacher": MODULE}),
    Entry(
        compression.fold_batch_norm,
        {},
        {"model": [*MODULE[:2], Bad(nets.CifarResNet(8), ValueError, "^bn must")]},
    ),
    Entry(
        compression.folded,
        {"conv": NET.conv1},
        {"bn": [*BY_HAND[:2], Bad(nn.BatchNorm2d(16), ValueError)]},
    ),
    Entry(
        compression.prune_channels,
        {"model": NET, "share": 0.5},
        {
            "model": [*MODULE, Bad(nn.Linear(1, 1), TypeError)],
            "share": [*NUMBER, Bad(1, ValueError), Bad(-0.1, ValueError)],
            "by": CHOICE,
        },
    ),
    Entry(
        export.to_onnx,
        {"model": NET, "path": "net.onnx", "images": IMAGES},
        {
            "model": [*MODULE, Bad(nets.CifarResNet(8), ValueError)],
            "path": PATH,
            "images": bad_input.IMAGES,
        },
    ),
    Entry(
        export.OnnxNetwork,
        {"path": __file__},
        {"path": [*FILE, Bad(__file__, ValueError, "no network")]},
    ),
    Entry(export.OnnxNetwork, {"path": __file__}, {"threads": FROM_ONE[1:]}),
    Entry(
        export.quantize_onnx,
        {"source": "nowhere", "target": "new.onnx", "batches": None},
        {"source": FILE, "target": PATH, "activations": CHOICE},
    ),
    Entry(
        prediction.predict,
        {"model": NET, "pictures": IMAGES.byte(), "card": CARD},
        {
            "model": MODULE,
            "pictures": [
                *(Bad(value, TypeError) for value in (None, 3, [Odd()])),
                *(Bad(value, ValueError) for value in ([], IMAGES, IMAGES.byte()[:, :, 0])),
                Bad("nowhere", FileNotFoundError, "nowhere"),
            ],
            "card": [Bad(value, TypeError) for value in (None, "digits", Odd())],
            "top": FROM_ONE,
            "batch_size": FROM_ONE,
        },
    ),
    Entry(
        serving.publish,
        PUBLISHED,
        {
            "repository": PATH,
            "name": [*TEXT, *(Bad(name, ValueError) for name in ("", "Pets", "../x", "a" * 64))],
            "network": FILE,
            "note": TEXT,
            "max_batch_size": FROM_ONE,
            "max_batch_time": POSITIVE,
            "threads": FROM_ONE,
        },
    ),
    Entry(
        serving.versions, {"repository": ".", "name": "pets"}, {"repository": PATH, "name": TEXT}
    ),
    Entry(
        serving.versions,
        {"repository": "."},
        {"name": [Bad("pets", FileNotFoundError, "no model pets")]},
    ),
    Entry(
        serving.roll_back, {"repository": ".", "name": "pets"}, {"repository": PATH, "name": TEXT}
    ),
    Entry(serving.fault_of, {}, {"folder": PATH}),
    Entry(
        serving.ServerSettings,
        {},
        {
            "host": TEXT,
            **dict.fromkeys(("port", "grpc_port", "metrics_port"), PORT),
        },
    ),
    Entry(serving.serve, {}, {"repository": [Bad("nowhere", FileNotFoundError, "no folder")]}),
    Entry(
        serving.replicas_for,
        {"rate": 5.0, "per_replica": 10.0},
        dict.fromkeys(("rate", "per_replica"), POSITIVE),
    ),
    Entry(
        serving.inference_service,
        SERVICE,
        {
            "name": [*TEXT, Bad("", ValueError), Bad("Pets", ValueError)],
            "rate": POSITIVE,
            "cores": FROM_ONE,
        },
    ),
]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_input.assert_refused(entry, tmp_path)
    assert all(torch.equal(NET.state_dict()[name], value) for name, value in STATE.items())

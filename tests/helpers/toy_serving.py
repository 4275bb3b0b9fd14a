"""A small network in a repository, for the tests of the server."""

import base64
import io
from pathlib import Path

import torch
from PIL import Image

from resnet_lib import export, nets, serving
from resnet_lib.weights import ModelCard

CLASSES = ("bright", "dark")


def toy_card() -> ModelCard:
    numbers = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}
    return ModelCard("resnet8", CLASSES, (3, 8, 8), **numbers, path=Path())


def network(seed=0):
    torch.manual_seed(seed)
    return nets.CifarResNet(8, num_classes=2).eval()


def published(models, seed=0, name="pets", **about):
    """Another network for each seed."""
    path = models.parent / "network.onnx"
    export.to_onnx(network(seed), path, torch.zeros(2, 3, 8, 8))
    return serving.publish(models, name, path, toy_card(), **about)


def pictures(count=1, seed=0):
    """Bytes (N, 3, 8, 8)."""
    dice = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=dice)


def png(picture, size=None) -> bytes:
    file = io.BytesIO()
    shown = Image.fromarray(picture.permute(1, 2, 0).numpy())
    shown.resize(size or shown.size).save(file, "PNG")
    return file.getvalue()


def as_images(batch, **changed):
    """A request's input, as the protocol has it."""
    given = {"name": "images", "datatype": "UINT8", "shape": list(batch.shape)}
    return given | {"data": batch.flatten().tolist()} | changed


def as_pictures(files, **changed):
    data = [base64.b64encode(file).decode() for file in files]
    given = {"name": "pictures", "datatype": "BYTES", "shape": [len(data)], "data": data}
    return given | changed

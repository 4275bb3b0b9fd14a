"""Files of weights and networks, damaged: safetensors, pickles, ONNX."""

import os
from argparse import Namespace
from functools import cache
from pathlib import Path

import mutations
import numpy as np
import onnx
import torch
from fuzzing import Fault, Loader, every, in_one_file, keep_one
from toy_training import bits

from resnet_lib import export, nets, weights

CANARY = "a-file-has-run-code"


@cache
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return nets.CifarResNet(8, 2, 1).eval()


def load_into_network(path: Path) -> None:
    before = bits(network())
    try:
        weights.load_weights(network(), path)
    except ValueError:
        if bits(network()) != before:
            raise Fault("refused, and the model has changed") from None
        raise
    network().load_state_dict(whole_network())


@cache
def whole_network() -> dict:
    return {name: value.clone() for name, value in network().state_dict().items()}


def fill_safetensors(folder: Path) -> None:
    whole_network()
    about = {"classes": ("a", "b"), "image": (1, 8, 8), "mean": (0.5,), "std": (0.2,)}
    weights.save_weights(folder / "net.safetensors", network(), net="resnet8", **about)


def read_safetensors(folder: Path) -> None:
    reads = weights.read_card, weights.load_network, load_into_network
    every(folder, *reads, refusals=[ValueError])


class Runs:
    """What a pickle could do."""

    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


def fill_pickles(folder: Path) -> None:
    whole_network()
    nested = {"state_dict": network().state_dict(), "args": Namespace(rate=0.1), "epoch": 3}
    torch.save(network().state_dict(), folder / "plain.pt")
    torch.save(nested, folder / "nested.pt")
    torch.save(nested, folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": network().state_dict(), "run": Runs()}, folder / "runs.pt")


def read_pickles(folder: Path) -> None:
    try:
        every(folder, load_nested, refusals=[ValueError])
    finally:
        if Path(CANARY).exists():
            Path(CANARY).unlink()
            raise Fault("a file has run code")


def load_nested(path: Path) -> None:
    try:
        load_into_network(path)
    except weights.WeightsMismatch as error:
        if not error.proposal:
            raise
        weights.load_weights(network(), path, **error.proposal)
        network().load_state_dict(whole_network())


def fill_onnx(folder: Path) -> None:
    """A convolution, ReLU and a classifier, put together by hand: the exporter takes seconds."""
    dice = np.random.default_rng(0)
    shapes = {"w": (2, 1, 3, 3), "fc": (8, 2)}
    weights = [
        onnx.numpy_helper.from_array(dice.standard_normal(shape, np.float32), name)
        for name, shape in shapes.items()
    ]
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["images", "w"], ["a"], kernel_shape=[3, 3], auto_pad="VALID"),
        make("Relu", ["a"], ["b"]),
        make("Flatten", ["b"], ["c"]),
        make("MatMul", ["c", "fc"], ["scores"]),
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in {"images": ["batch", 1, 4, 4], "scores": ["batch", 2]}.items()
    ]
    graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    versions = [onnx.helper.make_opsetid("", 18)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=versions, ir_version=10), folder / "net.onnx"
    )


def read_onnx(folder: Path) -> None:
    export.OnnxNetwork(folder / "net.onnx", threads=1)


def in_card(content: bytes, dice) -> bytes:
    return mutations.in_safetensors(content, dice, "resnet_lib")


LOADERS = {
    "safetensors": Loader(
        fill_safetensors,
        in_one_file(mutations.in_bytes, mutations.in_safetensors, in_card, in_card),
        read_safetensors,
        (ValueError,),
    ),
    "pickle": Loader(
        fill_pickles,
        keep_one(in_one_file(mutations.in_bytes, mutations.in_zip)),
        read_pickles,
        (ValueError,),
    ),
    "onnx": Loader(fill_onnx, in_one_file(mutations.in_bytes), read_onnx, (ValueError,)),
}

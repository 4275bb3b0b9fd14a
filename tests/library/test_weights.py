"""Weights: what fits goes in whole, and anything else leaves the model bit for bit as it was."""

import io
import os
import pickle
import random
import re
import socket
from collections import OrderedDict
from email.message import Message
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet18_Weights, SqueezeNet1_1_Weights
from toy_models import state

from resnet_lib.nets import CifarResNet, resnet18
from resnet_lib.weights import WeightsMismatch, load_weights, read_weights

ENTRY = ResNet18_Weights.IMAGENET1K_V1
FILES = ["weights.safetensors", "weights.pth", "weights.pt", "old.pth"]
every_file = pytest.mark.parametrize("name", FILES)


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path):
    """torch's download folder, empty, on a machine that is cut off from the network."""

    def cut_off(*_):
        raise AssertionError("a test asked the network")

    def urlopen(request, *_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(socket.socket, "connect", cut_off)
    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def network(num_classes=10, seed=0):
    """A small network; every tensor differs from that of another seed, the counters too."""
    torch.manual_seed(seed)
    model = CifarResNet(8, num_classes, shortcut="B")
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(seed + 0.1, seed + 0.9)
        else:
            tensor.fill_(seed + 5)
    return model


def trained(num_classes=10):
    return network(num_classes, seed=1).state_dict()


def save(weights, path):
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=path.name != "old.pth")
    return path


def equal(one, other):
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


# What fits


@pytest.mark.parametrize("as_string", [True, False])
@every_file
def test_files_load_completely(name, as_string, tmp_path):
    path, model, weights = tmp_path / name, network(), trained()
    save(weights, path)
    assert not equal(model.state_dict(), weights)
    assert load_weights(model, str(path) if as_string else path) == []
    assert equal(model.state_dict(), weights)
    read = read_weights(path)
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in weights)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("kind", [dict, OrderedDict, lambda d: dict(reversed(list(d.items())))])
def test_mappings_load_completely(kind):
    model, weights = network(), trained()
    assert load_weights(model, kind(weights)) == []
    assert equal(model.state_dict(), weights)


def test_tensors_are_copied():
    """What happens to the source afterwards is none of the model's business."""
    model, weights = network(), trained()
    load_weights(model, weights)
    weights["conv1.weight"].zero_()
    assert model.conv1.weight.any()


def test_parameters_stay_the_optimizers():
    model = network()
    before = list(map(id, model.parameters()))
    load_weights(model, trained())
    assert list(map(id, model.parameters())) == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", [None, *FILES])
def test_other_precisions_load_into_float32(name, dtype, tmp_path):
    weights = {n: t.to(dtype) if t.is_floating_point() else t for n, t in trained().items()}
    source = weights if name is None else save(weights, tmp_path / name)
    model = network()
    assert load_weights(model, source) == []
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            assert tensor.dtype is torch.float32
            assert torch.equal(tensor, weights[key].float()), key


@pytest.mark.parametrize("name", [None, *FILES])
def test_old_files_without_counters_load(name, tmp_path):
    weights = {n: t for n, t in trained().items() if not n.endswith("num_batches_tracked")}
    source = weights if name is None else save(weights, tmp_path / name)
    model = network()
    assert load_weights(model, source) == []
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[key]) if key in weights else tensor == 5


def test_running_statistics_may_not_be_missing():
    weights = {n: t for n, t in trained().items() if "running_var" not in n}
    assert_refused(weights, ValueError, r"The source lacks bn1\.running_var, ")


def test_torchvisions_weights_load_unrenamed(hub):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18()
    torch.save(theirs.state_dict(), hub / Path(ENTRY.url).name)
    ours = resnet18()
    assert load_weights(ours, ENTRY) == []
    assert equal(ours.state_dict(), theirs.state_dict())
    x = torch.randn(1, 3, 40, 40)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


# What is left out


@pytest.mark.parametrize("container", [list, tuple, set])
def test_head_of_another_size_stays_the_models(container):
    model, weights = network(3), trained()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert load_weights(model, weights, container(["fc"])) == ["fc.weight", "fc.bias"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (own if name.startswith("fc.") else weights)[name]), name


def test_hint_for_another_head_is_right():
    message = assert_refused(trained(), ValueError, r"Shapes differ", model=network(3))
    assert "fc.weight (3, 64) and (10, 64), fc.bias (3,) and (10,)" in message
    assert load_weights(network(3), trained(), **proposed(message)) == ["fc.weight", "fc.bias"]


def test_parts_of_the_source_can_be_left_out():
    model, weights = network(), trained()
    source = {"aux.bias": torch.zeros(2), **weights, "aux.weight": torch.zeros(2, 2)}
    assert load_weights(model, source, ["aux"]) == ["aux.bias", "aux.weight"]
    assert equal(model.state_dict(), weights)


def test_parts_may_be_missing_from_the_source():
    model, weights = network(), trained()
    rest = {name: tensor for name, tensor in weights.items() if not name.startswith("layer3.")}
    left_out = load_weights(model, rest, ["layer3"])
    assert left_out == [name for name in weights if name.startswith("layer3.")]
    assert (model.bn1.num_batches_tracked, model.layer3[0].bn1.num_batches_tracked) == (6, 5)


@pytest.mark.parametrize(
    ("part", "left_out"),
    [
        ("a", ["a.weight"]),
        ("ab", ["ab.weight"]),
        ("a.weight", ["a.weight"]),
        ("c", ["c.0.weight", "c.1.weight"]),
        ("c.1", ["c.1.weight"]),
    ],
)
def test_parts_are_whole_names(part, left_out):
    def make():
        layer = lambda: nn.Linear(2, 2, bias=False)  # noqa: E731
        inner = nn.Sequential(layer(), layer())
        return nn.ModuleDict({"a": layer(), "ab": layer(), "c": inner})

    model, weights = make(), make().state_dict()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert load_weights(model, weights, [part]) == left_out
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (own if name in left_out else weights)[name]), name


# What does not fit


def proposed(message):
    """The keyword arguments that a message proposes."""
    call = re.search(r"load_weights\(model, source, (.*?)\)\.|(leave_out=\[.*?\]) loads", message)
    return eval(f"dict({call[1] or call[2]})") if call else None


def assert_refused(source, error, match, leave_out=(), model=None):
    """The error comes, names what it should, and the model is as it was, to the last bit."""
    model = network() if model is None else model
    before = state(model)
    with pytest.raises(error, match=match) as caught:
        load_weights(model, source, leave_out)
    assert type(caught.value) in (error, WeightsMismatch)
    assert state(model) == before
    return str(caught.value)


def changed(**entries):
    return trained() | {name.replace("__", "."): t for name, t in entries.items()}


MISFITS = {
    "no entries": (dict, r"The source lacks conv1\.weight, .* and \d+ more\."),
    "one missing": (
        lambda: {n: t for n, t in trained().items() if n != "fc.bias"},
        r"\. The source lacks fc\.bias\. .*leave_out=\['fc'\]",
    ),
    "one too many": (
        lambda: changed(extra__weight=torch.ones(2)),
        r"\. The model lacks extra\.weight\. .*leave_out=\['extra'\]",
    ),
    "unknown counter": (
        lambda: changed(extra__num_batches_tracked=torch.tensor(1)),
        r"\. The model lacks extra\.num_batches_tracked\. .*leave_out=\['extra'\]",
    ),
    "another shape": (
        lambda: changed(conv1__weight=torch.ones(16, 1, 3, 3)),
        r"Shapes differ, .*: conv1\.weight \(16, 3, 3, 3\) and \(16, 1, 3, 3\)\.",
    ),
    "transposed": (
        lambda: changed(fc__weight=torch.ones(64, 10)),
        r"Shapes differ, .*: fc\.weight \(10, 64\) and \(64, 10\)\.",
    ),
    "shape that would broadcast": (
        lambda: changed(fc__bias=torch.ones(1)),
        r"Shapes differ, .*: fc\.bias \(10,\) and \(1,\)\.",
    ),
    "whole numbers": (
        lambda: changed(fc__weight=torch.ones(10, 64, dtype=torch.int8)),
        r"Whole numbers .*: fc\.weight\.$",
    ),
    "fractions in a counter": (
        lambda: changed(bn1__num_batches_tracked=torch.tensor(1.5)),
        r"Whole numbers .*: bn1\.num_batches_tracked\.$",
    ),
    "without values": (
        lambda: changed(fc__bias=torch.ones(10, device="meta")),
        r"Sparse or on the meta device, .*: fc\.bias\.$",
    ),
    "sparse": (
        lambda: changed(fc__bias=torch.ones(10).to_sparse()),
        r"Sparse or on the meta device, .*: fc\.bias\.$",
    ),
    "another depth": (lambda: CifarResNet(14, shortcut="B").state_dict(), r"The model lacks layer"),
    "other shortcuts": (lambda: CifarResNet(8).state_dict(), r"The source lacks .*downsample"),
    "another network": (lambda: nn.Linear(2, 2).state_dict(), r"lacks .* The model lacks weight"),
    "DataParallel's prefix": (
        lambda: {f"module.{name}": tensor for name, tensor in trained().items()},
        r"load_weights\(model, source, rename={'module': ''}\)",
    ),
}


NO_PROPOSAL = (
    *("no entries", "whole numbers", "fractions in a counter", "without values", "sparse"),
    *("another depth", "other shortcuts", "another network"),
)


@pytest.mark.parametrize("name", list(MISFITS))
def test_misfit_is_refused(name):
    source, match = MISFITS[name]
    message = assert_refused(source(), ValueError, match)
    assert message.startswith("source does not fit the model. ")
    arguments = proposed(message)
    assert (arguments is None) is (name in NO_PROPOSAL)
    if arguments:
        load_weights(network(), source(), **arguments)


def test_all_that_is_wrong_is_said_at_once_with_one_proposal():
    source = changed(extra=torch.ones(1), conv1__weight=torch.ones(1))
    del source["fc.weight"]
    message = assert_refused(source, ValueError, "source does not fit")
    for name in ("lacks fc.weight", "lacks extra", "conv1.weight (16, 3, 3, 3) and (1,)"):
        assert name in message
    assert proposed(message) == {"leave_out": ["conv1", "fc", "extra"]}
    load_weights(network(), source, **proposed(message))


def test_misfit_outside_of_what_is_left_out_is_refused():
    source = changed(fc__bias=torch.ones(3), conv1__weight=torch.ones(1))
    message = assert_refused(source, ValueError, "conv1.weight", leave_out=["fc"])
    assert "fc.bias" not in message
    assert proposed(message) == {"leave_out": ["fc", "conv1"]}


def test_model_without_memory_is_refused():
    with torch.device("meta"):
        model = CifarResNet(8, shortcut="B")
    with pytest.raises(ValueError, match=r"on the meta device, .*: conv1\.weight, .* and \d+ more"):
        load_weights(model, trained())


@pytest.mark.parametrize(
    ("leave_out", "shown"),
    [("fc", "a string"), (None, "None"), (3, "3"), ([1], r"\[1\]"), (["fc", None], ".*None")],
)
def test_leave_out_must_be_names(leave_out, shown):
    match = rf"^leave_out must be a list of names, as \['fc'\], got {shown}"
    assert_refused(trained(), TypeError, match, leave_out)


def test_names_that_can_be_read_only_once_are_refused():
    assert_refused(trained(), TypeError, "^leave_out must be", (name for name in ["fc"]))


@pytest.mark.parametrize("part", ["head", "f", "fc.", "fc.weigh", "", "FC"])
def test_unknown_part_is_refused(part):
    match = rf"^leave_out names '{re.escape(part)}', which is in neither model nor source$"
    assert_refused(trained(), ValueError, match, ["fc", part])


# What is no state dict

NOT_MAPPINGS = {
    "none": (lambda: None, TypeError, "source must be a path, .* got NoneType"),
    "model": (network, TypeError, "source must be .* got CifarResNet"),
    "list": (lambda: list(trained()), TypeError, "source must be .* got list"),
    "bytes": (lambda: b"weights.pth", TypeError, "source must be .* got bytes"),
    "numbers": (
        lambda: {"conv1.weight": np.ones(3), "fc.bias": 1.0},
        ValueError,
        "source has entries that are no tensors: conv1.weight, fc.bias",
    ),
    "no names": (
        lambda: {0: torch.ones(2), None: torch.ones(2)},
        ValueError,
        "source must have strings for names, got 0, None",
    ),
}


@pytest.mark.parametrize("name", list(NOT_MAPPINGS))
def test_source_must_hold_names_and_tensors(name):
    make, error, match = NOT_MAPPINGS[name]
    assert_refused(make(), error, match)


@pytest.mark.parametrize("name", [*FILES, "no/such/folder/weights.pth", ""])
def test_missing_file(name, tmp_path):
    path = tmp_path / name if name else ""
    assert_refused(path, FileNotFoundError, f"^source names no file: {re.escape(str(Path(path)))}$")


@every_file
def test_folder(name, tmp_path):
    (tmp_path / name).mkdir()
    assert_refused(tmp_path / name, FileNotFoundError, "^source names no file: ")


HTML = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"\0", b"weights", b"\x80\x04.", b"PK\x03\x04"])
@every_file
def test_file_of_something_else(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    match = f"^{re.escape(str(path))} is truncated or no file of weights .*Fetch it again"
    assert_refused(path, ValueError, match)


@pytest.mark.parametrize("kept", [1, 8, 100, -1000, -50, -1])
@every_file
def test_truncated_file(name, kept, tmp_path):
    path = save(trained(), tmp_path / name)
    path.write_bytes(path.read_bytes()[:kept])
    assert_refused(path, ValueError, "is truncated or no file of weights")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@every_file
def test_damage_is_a_value_error_wherever_it_is(name, tmp_path):
    """Where only a number changed, the file can still be read; nothing else may come of it."""
    chance = random.Random(0)
    small = {"a.weight": torch.rand(3, 2), "a.bias": torch.rand(3)}
    whole = save(small, tmp_path / name).read_bytes()
    refused = []
    for _ in range(300):
        damaged = bytearray(whole)
        start = chance.randrange(len(whole))
        length = chance.choice([1, 4, 40])
        damaged[start : start + length] = chance.randbytes(chance.choice([0, length]))
        (tmp_path / name).write_bytes(damaged)
        try:
            read = read_weights(tmp_path / name)
        except ValueError as error:
            refused.append(type(error))
        else:
            assert all(isinstance(tensor, torch.Tensor) for tensor in read.values())
    assert len(refused) > 100
    assert set(refused) == {ValueError}, "and none of its kinds, as UnicodeDecodeError"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_a_value_error(seed, tmp_path):
    chance = random.Random(seed)
    for suffix in (".pth", ".safetensors"):
        for length in range(1, 100):
            path = (tmp_path / "random").with_suffix(suffix)
            path.write_bytes(chance.randbytes(length))
            with pytest.raises(ValueError, match="truncated or no file of weights"):
                read_weights(path)


@pytest.mark.parametrize("name", ["weights.pth", "old.pth"])
def test_whole_model_in_a_file(name, tmp_path):
    save(network(), tmp_path / name)
    held = "Python objects" if name == "old.pth" else r"resnet_lib\.blocks\.BasicBlock, .*"
    match = rf"holds {held}, .* could run code.* Ask for a file of model\.state_dict\(\) alone"
    assert_refused(tmp_path / name, ValueError, match)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            lambda: {"state_dict": trained(), "epoch": 9},
            r"state_dict, epoch\. .* entry='state_dict'",
        ),
        (lambda: {"epoch": 9, "model": trained()}, r"epoch, model\. .* entry='model'"),
        (lambda: {"epoch": 9}, r"entries that are no tensors: epoch\.$"),
        (lambda: [trained()], r"must be a state dict, got list$"),
        (lambda: torch.ones(3), r"must be a state dict, got Tensor$"),
        (lambda: {1: torch.ones(3)}, r"must have strings for names, got 1$"),
    ],
    ids=["checkpoint", "other name", "no weights", "list", "tensor", "numbers for names"],
)
def test_file_of_something_else_than_a_state_dict(content, match, tmp_path):
    path = save(content(), tmp_path / "weights.pth")
    assert str(path) in assert_refused(path, ValueError, match)
    inner = content()
    if isinstance(inner, dict) and "state_dict" in inner:
        assert load_weights(network(), inner["state_dict"]) == []


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    """Simulated, because root may read every file."""

    def load(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    path = save(trained(), tmp_path / "weights.pth")
    monkeypatch.setattr(torch, "load", load)
    assert_refused(path, PermissionError, "weights.pth")


# What would run code


class Runs:
    """When unpickled, makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


PICKLES = {
    "zip": lambda value, path: torch.save(value, path),
    "old": lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    "bare": lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2)),
    "newest": lambda value, path: path.write_bytes(pickle.dumps(value)),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", list(PICKLES))
@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors", "torchvision"])
def test_code_in_a_file_is_not_run(kind, suffix, tmp_path, hub):
    ran = tmp_path / "ran"
    source = path = hub / Path(ENTRY.url).name
    if suffix == "torchvision":
        source = ENTRY
    else:
        source = path = (tmp_path / "weights").with_suffix(suffix)
    PICKLES[kind]({**trained(), "fc.bias": Runs(ran)}, path)
    message = assert_refused(source, ValueError, "truncated|damaged|mkdir|Python objects")
    assert str(path) in message
    assert not ran.exists()


@pytest.mark.parametrize("kind", list(PICKLES))
def test_the_same_files_would_run_it(kind, tmp_path):
    """So that the test above would see it."""
    ran, path = tmp_path / "ran", tmp_path / "weights.pth"
    PICKLES[kind]({"fc.bias": Runs(ran)}, path)
    if kind in ("zip", "old"):
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert ran.is_dir()


# What torchvision downloads


def test_no_network(hub):
    message = assert_refused(ENTRY, OSError, r"not on this machine and could not be downloaded")
    for part in ("ResNet18_Weights.IMAGENET1K_V1", ENTRY.url, str(hub), "no route to host"):
        assert part in message
    assert list(hub.iterdir()) == []


class Response(io.BytesIO):
    def info(self):
        return Message()


class CutOff(Response):
    def read(self, *_):
        raise IncompleteRead(b"", 100)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HTTPError(ENTRY.url, 403, "Forbidden", Message(), None), "Forbidden"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError("connection reset by peer"), "reset by peer"),
        (CutOff(), "IncompleteRead"),
    ],
    ids=["forbidden", "slow", "reset", "cut off"],
)
def test_network_that_fails(answer, reason, hub, monkeypatch):
    def urlopen(*_, **__):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    assert reason in assert_refused(ENTRY, OSError, f"could not be downloaded .*Fetch {ENTRY.url}")
    assert list(hub.iterdir()) == []


def test_download_of_something_else(hub, monkeypatch):
    """A proxy's page in place of the file: the hash in its name does not fit."""
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: Response(HTML))
    assert_refused(ENTRY, ValueError, "invalid hash value")
    assert list(hub.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "content", [b"", HTML, b"\x80\x04", b"\x80\x02h\x05.", "whole model", "truncated", "list"]
)
def test_damaged_file_in_the_download_folder(content, hub):
    path = hub / Path(ENTRY.url).name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save({"whole model": network(), "list": [1]}.get(content, trained()), path)
    if content == "truncated":
        path.write_bytes(path.read_bytes()[:-2000])
    ending = "must be a state dict, got list" if content == "list" else "is damaged .*Delete it"
    assert_refused(ENTRY, ValueError, rf"^{re.escape(str(path))} {ending}")


def test_torchvisions_weights_of_another_network(hub):
    entry = SqueezeNet1_1_Weights.IMAGENET1K_V1
    theirs = torchvision.models.squeezenet1_1().state_dict()
    torch.save(theirs, hub / Path(entry.url).name)
    assert equal(read_weights(entry), theirs)
    assert_refused(
        entry, ValueError, r"The source lacks conv1\.weight, .* The model lacks features"
    )


def test_class_of_torchvisions_weights_is_not_an_entry():
    assert_refused(ResNet18_Weights, TypeError, "^source must be .* an entry of .*, got EnumType$")

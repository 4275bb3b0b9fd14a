"""Weights from elsewhere: named as what they are, with the line that loads them."""

import argparse
import gzip
import json
import pathlib
import re
import types
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from resnet_lib import nets, weights
from resnet_lib.weights import WeightsMismatch, load_weights, read_weights


def network(num_classes=10, seed=0, **options):
    torch.manual_seed(seed)
    return nets.CifarResNet(8, num_classes, **options)


STATE = network(seed=1).state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


def loads_as_proposed(source, model=None):
    """The arguments that the error proposes; with them the source loads, strictly."""
    model = network() if model is None else model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(model, source)
    assert same(model.state_dict(), before)
    proposal = caught.value.proposal
    for name, value in proposal.items():
        assert f"{name}={value!r}" in str(caught.value)
    load_weights(model, source, **proposal)
    return proposal, model


def with_prefix(prefix, state=STATE):
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPERS = ["module.", "_orig_mod.", "model.", "net.", "backbone.", "encoder.", "module._orig_mod."]


@pytest.mark.parametrize(
    "prefix", [*WRAPPERS, "_orig_mod.module.", "model.backbone.module.", "a1."]
)
def test_prefix_of_a_wrapper_is_taken_off_by_the_call_proposed(prefix):
    proposal, model = loads_as_proposed(with_prefix(prefix))
    assert proposal == {"rename": {prefix.removesuffix("."): ""}}
    assert same(model.state_dict(), STATE)


@pytest.mark.parametrize("kind", ["compiled", "data parallel"])
def test_model_in_a_wrapper_takes_bare_weights(kind):
    inner = network()
    wrap = {
        "compiled": lambda m: torch.compile(m, backend="eager"),
        "data parallel": nn.DataParallel,
    }
    proposal, _ = loads_as_proposed(STATE, wrap[kind](inner))
    assert list(proposal) == ["rename"]
    assert same(inner.state_dict(), STATE)


def test_one_wrapper_in_place_of_another():
    inner = network()
    model = torch.compile(inner, backend="eager")
    proposal, _ = loads_as_proposed(with_prefix("module."), model)
    assert proposal == {"rename": {"module": "_orig_mod"}}
    assert same(inner.state_dict(), STATE)


def test_lightnings_file_with_a_loss_and_an_average():
    source = with_prefix("model.") | {"criterion.weight": torch.ones(10)}
    source |= with_prefix("ema.module.", {"conv1.weight": STATE["conv1.weight"]})
    proposal, model = loads_as_proposed({"state_dict": source, "epoch": 3})
    assert proposal == {
        "entry": "state_dict",
        "rename": {"model": ""},
        "leave_out": ["criterion", "ema"],
    }
    assert same(model.state_dict(), STATE)


def test_average_of_torch_with_its_counter():
    average = torch.optim.swa_utils.AveragedModel(network(seed=1))
    proposal, model = loads_as_proposed(average.state_dict())
    assert proposal == {"rename": {"module": ""}, "leave_out": ["n_averaged"]}
    assert same(model.state_dict(), STATE)


def test_encoder_of_two():
    """As in contrastive training: the one whose names are most is taken, the rest left out."""
    other = {n: t + 1 for n, t in STATE.items()}
    source = with_prefix("encoder_q.") | with_prefix("encoder_k.", other)
    proposal, model = loads_as_proposed(source | {"queue": torch.ones(3)})
    assert proposal["rename"] == {"encoder_q": ""}
    assert proposal["leave_out"] == ["encoder_k", "queue"]
    assert same(model.state_dict(), STATE)


def test_other_words_for_head_and_shortcut():
    torch.manual_seed(0)
    theirs = network(shortcut="B").state_dict()
    renamed = {
        f"module.{name}".replace("fc.", "linear.").replace("downsample", "shortcut"): tensor
        for name, tensor in theirs.items()
    }
    proposal, model = loads_as_proposed(renamed, network(seed=3, shortcut="B"))
    assert proposal == {"rename": {"module": "", "linear": "fc", "shortcut": "downsample"}}
    assert same(model.state_dict(), theirs)


def test_other_word_for_a_head_of_another_size_is_left_out():
    source = {n.replace("fc.", "linear."): t for n, t in network(7).state_dict().items()}
    proposal, _ = loads_as_proposed(source)
    assert proposal == {"leave_out": ["fc", "linear"]}


def test_words_are_not_guessed_where_two_would_fit():
    heads = {f"{head}.{part}": STATE[f"fc.{part}"] for head in "ab" for part in ("weight", "bias")}
    source = {name: t for name, t in STATE.items() if not name.startswith("fc")} | heads
    proposal, _ = loads_as_proposed(source)
    assert proposal == {"leave_out": ["fc", "a", "b"]}


def test_first_layer_and_head_differ_and_names_too():
    source = with_prefix("module.", network(7, in_channels=1).state_dict())
    proposal, model = loads_as_proposed({"model": {"state_dict": source}, "args": [1]})
    assert proposal == {
        "entry": "model.state_dict",
        "rename": {"module": ""},
        "leave_out": ["conv1", "fc"],
    }
    assert torch.equal(model.layer1[0].conv1.weight, source["module.layer1.0.conv1.weight"])


def test_what_is_asked_for_stays_in_the_proposal():
    source = with_prefix("module.", network(7, in_channels=1).state_dict())
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(network(), source, ["fc"], rename={"module": ""})
    assert caught.value.proposal == {"rename": {"module": ""}, "leave_out": ["fc", "conv1"]}


def test_another_network_gets_no_proposal():
    for other in (torchvision.models.squeezenet1_1(), nets.CifarResNet(14), nn.Linear(2, 2)):
        with pytest.raises(WeightsMismatch) as caught:
            load_weights(network(), other.state_dict())
        assert caught.value.proposal == {}
        assert str(caught.value) == caught.value.fault


def test_proposal_with_other_names_says_what_names_do_not_tell():
    for options, words in ({"shortcut": "A"}, True), ({"shortcut": "B"}, False):
        source = with_prefix("module.", network(**options).state_dict())
        with pytest.raises(WeightsMismatch, match="compute the same, names do not tell") as caught:
            load_weights(network(seed=2, **options), source)
        assert ("shortcut='A-both'" in str(caught.value)) is words


# What is nested


@pytest.mark.parametrize("name", ["state_dict", "model", "net", "model_state_dict", "ema"])
def test_entry_is_named_and_read(name, tmp_path):
    torch.save({name: STATE, "epoch": 3, "lr": [0.1]}, tmp_path / "w.pth")
    for source in (tmp_path / "w.pth", {name: STATE, "epoch": 3}):
        proposal, model = loads_as_proposed(source)
        assert proposal == {"entry": name}
        assert same(model.state_dict(), STATE)
        assert same(read_weights(source, name), STATE)


def test_of_several_entries_the_one_that_fits_best_is_proposed():
    source = {"teacher": network(7).state_dict(), "ema": STATE, "model": STATE, "epoch": 1}
    message = r"entry='teacher' or entry='ema' or entry='model'"
    with pytest.raises(WeightsMismatch, match=message) as caught:
        load_weights(network(), source)
    assert caught.value.proposal == {"entry": "ema"}


def test_state_dict_of_an_optimiser_is_no_entry():
    optimiser = torch.optim.SGD(network().parameters(), 0.1).state_dict()
    with pytest.raises(ValueError, match="no tensors: optimizer") as caught:
        load_weights(network(), {"optimizer": optimiser, "epoch": 2})
    assert "entry=" not in str(caught.value)


@pytest.mark.parametrize("entry", ["models", "model.x", "epoch", "model.state_dict.conv1"])
def test_entry_that_is_not_there(entry):
    source = {"model": {"state_dict": STATE}, "epoch": 1}
    match = rf"^entry must be one of 'model', 'model.state_dict', got {entry!r}$"
    with pytest.raises(ValueError, match=match):
        load_weights(network(), source, entry=entry)
    with pytest.raises(TypeError, match=r"^entry must be a name, .* got 3$"):
        read_weights(source, 3)


# Names that change


@pytest.mark.parametrize(
    ("rename", "name", "new"),
    [
        ({"module": ""}, "module.conv1.weight", "conv1.weight"),
        ({"module": ""}, "module.module.weight", "module.weight"),
        ({"conv": ""}, "conv1.weight", "conv1.weight"),
        ({"a.b": "c"}, "x.a.b.weight", "x.c.weight"),
        ({"": "net"}, "conv1.weight", "net.conv1.weight"),
        ({"a": "b", "b": "c"}, "a.weight", "c.weight"),
        ({"weight": "w"}, "a.weight", "a.w"),
    ],
)
def test_rename_replaces_whole_parts_one_after_the_other(rename, name, new):
    from resnet_lib.weights.mismatch import renamed

    assert renamed(name, rename) == new


@pytest.mark.parametrize(
    ("rename", "error", "match"),
    [
        ({"modul": ""}, ValueError, r"^rename names 'modul', which is in no name of the source$"),
        ({"bn1": "bn2"}, ValueError, r"^rename gives two tensors of the source the name 'layer1"),
        ("module", TypeError, r"^rename must be as .* got 'module'$"),
        ({"module": None}, TypeError, r"^rename must be as "),
    ],
)
def test_rename_that_cannot_be(rename, error, match):
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(error, match=match):
        load_weights(model, STATE, rename=rename)
    assert same(model.state_dict(), before)


# Files of something else


def arrays():
    return {name: tensor.numpy() for name, tensor in STATE.items()}


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("resnet.pth", b"...")


WRITERS = {
    "empty": (lambda path: path.write_bytes(b""), "is empty. Fetch it again"),
    "page": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "is a web page"),
    "small page": (lambda path: path.write_text("<HTML><body>404"), "is a web page"),
    "message": (lambda path: path.write_text("<?xml version='1.0'?><Error>"), "is an XML text"),
    "json": (lambda path: path.write_text(json.dumps({"weight_map": {}})), "is a JSON text"),
    "pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "a pointer of Git LFS.* git lfs pull",
    ),
    "keras": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"weights")), "is packed with gzip"),
    "zip": (zipped, r"is a zip archive with resnet\.pth in it"),
    "numpy": (lambda path: np.savez(path.open("wb"), **arrays()), "is an archive of NumPy arrays"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
@pytest.mark.parametrize("name", WRITERS)
def test_file_is_named_as_what_it_is(name, suffix, tmp_path):
    write, match = WRITERS[name]
    path = tmp_path / f"weights{suffix}"
    write(path)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} .*{match}") as caught:
        load_weights(network(), path)
    assert "truncated" not in str(caught.value)


def line_in(message):
    """The call of load_weights that a message names, carried out on a new network."""
    model = network()
    scope = {"load_weights": load_weights, "model": model, "torch": torch, "numpy": np}
    exec(re.search(r"load_weights\(model, .*\)", message)[0], scope)
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lines_for_programs_and_arrays_load_them(tmp_path):
    """TorchScript, an exported program, an archive of arrays: carry out what the message says."""
    net = network(seed=1).eval()
    images = torch.randn(1, 3, 32, 32)
    torch.jit.trace(net, images).save(tmp_path / "script.pt")
    torch.export.save(torch.export.export(net, (images,)), tmp_path / "program.pt2")
    np.savez(tmp_path / "arrays.npz", **arrays())
    for name, what in (
        ("script.pt", "TorchScript"),
        ("program.pt2", "exported program"),
        ("arrays.npz", "NumPy"),
    ):
        with pytest.raises(ValueError, match=what) as caught:
            load_weights(network(), tmp_path / name)
        assert same(line_in(str(caught.value)).state_dict(), STATE)


def test_content_counts_and_not_the_suffix(tmp_path):
    torch.save(STATE, tmp_path / "w.safetensors")
    weights.save_weights(tmp_path / "w.pth", network(seed=1))
    for name in ("w.safetensors", "w.pth"):
        assert same(read_weights(tmp_path / name), STATE)


@pytest.mark.parametrize(
    "settings", [argparse.Namespace(lr=0.1), types.SimpleNamespace(a=1), pathlib.Path("runs")]
)
def test_settings_beside_the_weights_do_no_harm(settings, tmp_path):
    torch.save({"state_dict": STATE, "args": settings}, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth", "state_dict"), STATE)


@pytest.mark.parametrize(
    ("content", "entry"),
    [
        ({"model": STATE, "acc": np.float64(91.2), "n": np.int64(3)}, "model"),
        ({"model": STATE, "best": np.float32(0.5), "yes": np.bool_(True)}, "model"),
        ({"model": STATE, "curve": np.ones(3)}, "model"),
    ],
)
def test_numbers_of_numpy_load_as_the_message_says(content, entry, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    match = r"numbers or arrays of NumPy.*safe_globals\(weights\.numpy_data\(\)\)"
    with pytest.raises(ValueError, match=match):
        read_weights(path, entry)
    with torch.serialization.safe_globals(weights.numpy_data()):
        assert same(read_weights(path, entry), STATE)
    with pytest.raises(ValueError, match=match):
        read_weights(path, entry)


def test_arrays_in_place_of_tensors():
    with pytest.raises(
        ValueError, match=r"no tensors: .* NumPy arrays become tensors with"
    ) as caught:
        load_weights(network(), arrays())
    line = re.search(r"{name: .*}", str(caught.value))[0]
    model = network()
    load_weights(model, eval(line, {"torch": torch, "source": arrays()}))
    assert same(model.state_dict(), STATE)


def test_whole_model_is_told_by_its_class(tmp_path):
    torch.save(network(), tmp_path / "model.pt")
    match = r"resnet_lib\.nets\.cifar\.CifarResNet.* Ask for a file of model\.state_dict\(\)"
    with pytest.raises(ValueError, match=match):
        load_weights(network(), tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("DEFAULT", "ResNet18_Weights.DEFAULT"),
        ("IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"),
        ("ResNet50_Weights.IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V2"),
        ("torchvision.models.ResNet34_Weights.DEFAULT", "ResNet34_Weights.DEFAULT"),
    ],
)
def test_names_of_torchvisions_weights_are_answered_with_the_entry(name, entry):
    match = rf"^source names no file: {re.escape(name)}\. .* enum.*: torchvision\.models\.{entry}$"
    with pytest.raises(FileNotFoundError, match=match):
        load_weights(network(), name)
    assert eval(f"torchvision.models.{entry}", {"torchvision": torchvision})

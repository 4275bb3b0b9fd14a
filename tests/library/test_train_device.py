"""The device of a run: the one that is there, or an error that says what came."""

import os
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toy_training import CPU, bits, cnn, trained

from resnet_lib.train import (
    TrainConfig,
    TrainState,
    World,
    counting,
    evaluate,
    evaluation,
    join,
    pick_device,
    pick_precision,
    precision,
    processes,
    state,
)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_the_first_gpu_or_the_cpu(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device() == pick_device("auto") == torch.device(expected)


class NoDouble(TorchDispatchMode):
    """Refuses numbers of 64 bits, as MPS does."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, torch.Tensor) and one.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return found


def test_no_number_of_64_bits_where_the_device_has_none(monkeypatch):
    """The one place that makes them asks the device; the CPU is taken for MPS here."""
    for module in (counting, evaluation, state):
        monkeypatch.setattr(module, "new_sums", lambda device, number=3: torch.zeros(number))
    with NoDouble():
        trained(TrainConfig(epochs=1, ema_decay=0.9, clip_norm=1.0))


def test_sums_on_mps_are_of_32_bits(monkeypatch):
    kinds = []
    monkeypatch.setattr(torch, "zeros", lambda *size, dtype, device: kinds.append(dtype))
    counting.new_sums(torch.device("mps")), counting.new_sums(torch.device("cuda"))
    assert kinds == [torch.float32, torch.float64]


def test_precision_left_to_the_device_is_recorded(monkeypatch):
    monkeypatch.setattr(precision, "pick_precision", lambda device: "bf16")
    assert TrainState(cnn(), TrainConfig(precision="auto"), CPU).config.precision == "bf16"


def test_unused_weights_are_looked_for_where_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(
        processes, "DistributedDataParallel", lambda model, **how: asked.append(how) or model
    )
    two = World(torch.device("cpu"), 0, 2)
    for config in (TrainConfig(), TrainConfig(find_unused_parameters=True)):
        TrainState(cnn(), config, two)
    assert [how["find_unused_parameters"] for how in asked] == [False, True]


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_device_by_its_name(name):
    assert pick_device(name) == torch.device(name)


# A device may be unknown, missing, not in this build of PyTorch, or unable to hold numbers.
@pytest.mark.parametrize(
    "name", ["gpu", "", "CPU", "cpu:x", "cuda:99", "xla", "hpu", "meta", "mtia"]
)
def test_missing_device_is_named_in_one_line(name):
    with pytest.raises(
        ValueError, match=r"^device must be auto, cpu or one .* finds here"
    ) as error:
        pick_device(name)
    assert f"got {name!r} (" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16")])
def test_precision_of_a_gpu_by_its_capability(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert pick_precision(torch.device("cuda:0")) == expected


def test_precision_of_another_device_is_single():
    assert pick_precision(torch.device("mps")) == "fp32"


@pytest.mark.parametrize(
    ("usable", "avx512_bf16", "amx", "expected"),
    [
        (True, True, False, "bf16"),
        (True, False, True, "bf16"),
        (True, False, False, "fp32"),  # AVX-512 alone: oneDNN can, but converts
        (False, True, True, "fp32"),  # ONEDNN_MAX_CPU_ISA
    ],
)
def test_precision_of_a_cpu_by_its_instructions(monkeypatch, usable, avx512_bf16, amx, expected):
    monkeypatch.setattr(
        torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: usable, raising=False
    )
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert pick_precision(torch.device("cpu")) == expected


def test_a_pytorch_that_cannot_say_gets_single_precision(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert pick_precision(torch.device("cpu")) == "fp32"


def test_instructions_held_down_are_seen():
    """As on a laptop with AVX2 alone; read once by oneDNN, so in a process of its own."""
    ask = "import torch; from resnet_lib import train; "
    ask += "print(train.pick_precision(torch.device('cpu')))"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    run = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True)
    assert run.stdout.split() == [b"fp32"], run.stderr.decode()


def test_alone_without_torchrun(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with join("cpu") as world:
        assert world == World(torch.device("cpu"), 0, 1)
        assert world.is_main
        net, _ = trained(world=world)
    assert bits(net) == bits(trained()[0])
    with pytest.raises(ValueError, match="got 'gpu'"), join("gpu"):
        pass


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that seems to have two GPUs; what is asked of them, in order."""
    asked = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: asked.append(("set", number)))

    def pick(name):
        asked.append(("pick", name))
        return torch.device(name)

    monkeypatch.setattr(processes, "pick_device", pick)
    monkeypatch.setattr(processes.dist, "init_process_group", lambda *how, **_: asked.append(how))
    monkeypatch.setattr(processes.dist, "destroy_process_group", lambda: None)
    monkeypatch.setattr(processes.dist, "get_rank", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    return asked


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_has_the_gpu_of_its_local_rank(two_gpus, name, monkeypatch):
    """And touches no other: a tensor on the first GPU would take memory there."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    with join(name) as found:
        assert found == World(torch.device("cuda:1"), 1, 2)
    assert two_gpus == [("set", 1), ("pick", "cuda:1"), ("nccl",)]


def test_more_processes_than_gpus(two_gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match="--nproc-per-node must be at most 2"), join():
        pass
    assert two_gpus == []


def test_alone_every_exchange_is_with_oneself():
    values, net = torch.arange(3.0), cnn()
    assert CPU.sum(values) is values
    assert values.tolist() == [0, 1, 2]
    assert (CPU.any(True), CPU.any(False)) == (True, False)
    assert CPU.share({"a": 1}) == {"a": 1}
    assert CPU.gather({"a": 1}) == [{"a": 1}]
    assert CPU.wrap(net) is net
    before = bits(net)
    CPU.equalise_buffers(net)
    assert bits(net) == before


def test_network_is_moved_to_the_device(monkeypatch):
    """Seen on the one device that every machine has besides the CPU, which holds no numbers."""
    net = cnn()
    with pytest.raises((RuntimeError, NotImplementedError)):
        trained(TrainConfig(epochs=1), net, world=World(torch.device("meta")))
    assert {weight.device.type for weight in net.parameters()} == {"meta"}
    with pytest.raises((RuntimeError, NotImplementedError)):
        evaluate(net, [(torch.rand(2, 1, 6, 6), torch.zeros(2, dtype=torch.int64))])

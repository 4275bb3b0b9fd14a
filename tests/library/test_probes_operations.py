"""Operations: their arithmetic, traffic and the bytes alive, counted by hand and by torch."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from resnet_lib.nets import CifarResNet, resnet18
from resnet_lib.probes import OperationCost, layer_costs, least_seconds, operation_costs

FLOAT = 4  # bytes
SQUARE = 8 * 8 * FLOAT


def peak(rows):
    return max(row.alive_bytes for row in rows)


def test_operations_by_hand():
    a, b = torch.randn(8, 8), torch.randn(8, 8)
    with operation_costs() as rows:
        c = a @ b
        d = c.T + 1  # a view moves nothing
        del c
        d.relu_()
        e = d[:4] * 2
    assert e.shape == (4, 8)
    assert rows == [
        ("aten.mm.default", 2 * 8**3, 3 * SQUARE, SQUARE),
        ("aten.add.Tensor", 0, 2 * SQUARE, 2 * SQUARE),
        ("aten.relu_.default", 0, 2 * SQUARE, SQUARE),
        ("aten.mul.Tensor", 0, SQUARE, SQUARE + SQUARE // 2),
    ]
    assert rows[0] == OperationCost(*rows[0])


def test_what_was_there_before_is_not_counted():
    a = torch.zeros(1000)
    with operation_costs() as rows:
        a.add_(1)
        a[:500].mul_(2)
    assert [row.alive_bytes for row in rows] == [0, 0]


def test_memory_used_again_is_counted_once():
    """The allocator hands out the address of what was freed."""
    with operation_costs() as rows:
        for _ in range(20):
            torch.zeros(1000)
    assert {row.alive_bytes for row in rows} <= {0, 1000 * FLOAT}
    assert peak(rows) == 1000 * FLOAT


class Alive(TorchDispatchMode):
    """Another way to the same peak: a list of all results that still live."""

    def __init__(self):
        super().__init__()
        self.tensors, self.peak = WeakTensorKeyDictionary(), 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else (result,):
            self.tensors[tensor] = None
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in self.tensors}
        self.peak = max(self.peak, sum(storage.nbytes() for storage in storages.values()))
        return result


@pytest.mark.parametrize("make", [lambda: resnet18(5), lambda: CifarResNet(14)])
def test_the_peak_of_inference_is_that_of_a_list_of_tensors(make):
    net, x = make().eval(), torch.randn(1, 3, 32, 32)
    with torch.inference_mode(), Alive() as alive:
        net(x)
    with torch.inference_mode(), operation_costs() as rows:
        net(x)
    assert peak(rows) == alive.peak > 0


def test_arithmetic_of_a_step_is_three_times_that_of_the_layers():
    """Forward, gradient of the weights, gradient of the input; the first layer needs no last."""
    net, x = CifarResNet(8), torch.randn(4, 3, 16, 16)
    layers = layer_costs(net, x)
    with operation_costs() as rows:
        F.cross_entropy(net(x), torch.arange(4)).backward()
    expected = 2 * (3 * sum(row.multiply_adds for row in layers) - layers[0].multiply_adds)
    assert sum(row.flops for row in rows) == expected


def test_backward_and_optimiser_are_seen():
    net = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with operation_costs() as rows:
        net(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    names = [row.operation for row in rows]
    assert names.count("aten.addmm.default") == 1
    assert names.count("aten.mm.default") == 1
    assert any("add_" in name for name in names)


def test_what_is_compiled_is_seen():
    net, x = CifarResNet(8).eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad(), operation_costs() as expected:
        net(x)
    net.compile(backend="eager")
    with torch.no_grad():
        net(x)
        with operation_costs() as rows:
            net(x)
    assert rows == expected
    torch.compiler.reset()


def test_attention_is_counted_off_its_fast_path():
    """The fast path is one operation, of which the flop counter knows nothing."""
    layer, x = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval(), torch.randn(6, 5, 4)
    with torch.no_grad(), operation_costs() as rows:
        layer(x)
    expected = 2 * sum(row.multiply_adds for row in layer_costs(layer, x))
    assert sum(row.flops for row in rows) == expected > 0


def test_nothing_to_see_is_an_error():
    with (
        pytest.raises(RuntimeError, match=r"must carry out an operation, got none$"),
        operation_costs(),
    ):
        pass


def test_an_error_of_the_body_is_its_own():
    with pytest.raises(KeyError), operation_costs():
        raise KeyError


def test_least_seconds_take_the_longer_of_both():
    rows = [OperationCost("", 100, 10, 0), OperationCost("", 0, 30, 0), OperationCost("", 5, 5, 0)]
    assert least_seconds(rows, speed=10, bandwidth=5) == pytest.approx(10 + 6 + 1)


def test_least_seconds_of_a_product_and_a_relu():
    """The product is held up by its arithmetic, the ReLU by its bytes; the view is free."""
    a, b = torch.zeros(4, 8), torch.zeros(8, 16)
    with operation_costs() as rows:
        product = a @ b
        product.T.relu()
    bytes_of_relu = 2 * 4 * 16 * FLOAT
    assert least_seconds(rows, speed=1.0, bandwidth=1.0) == 2 * 4 * 8 * 16 + bytes_of_relu


@pytest.mark.parametrize("wrong", [0, -1.0, float("inf"), "1"])
@pytest.mark.parametrize("name", ["speed", "bandwidth"])
def test_speed_and_bandwidth_are_positive(name, wrong):
    error = TypeError if isinstance(wrong, str) else ValueError
    with pytest.raises(error, match=rf"^{name} must be a number above 0"):
        least_seconds([], **({"speed": 1, "bandwidth": 1} | {name: wrong}))


def test_no_compiler_is_loaded_for_it():
    """Loading it takes seconds, which a reader would wait for at the first use."""
    code = """import sys, torch
from resnet_lib.probes import operation_costs
with operation_costs():
    torch.ones(2) + 1
print("torch._dynamo" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_results_are_tensors_of_any_nesting():
    with operation_costs() as rows:
        values = torch.ones(6).split([1, 5])
        merged: Tensor = torch.cat(values)
    assert len(merged) == 6
    assert rows[-1].moved_bytes == 2 * 6 * FLOAT

"""Devices without float64: a probe computes on the CPU, or in single precision if need be."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_lib import probes
from resnet_lib.nets import CifarResNet
from resnet_lib.probes import precision


class NoDouble(TorchDispatchMode):
    """Raises MPS's own error when an operation makes a float64 tensor; `most` times, if given."""

    def __init__(self, most=None):
        super().__init__()
        self.refused, self.most = 0, most

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        made = any(
            isinstance(t, torch.Tensor) and t.dtype == torch.float64 for t in tree_leaves(out)
        )
        if made and (self.most is None or self.refused < self.most):
            self.refused += 1
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework")
        return out


PROBES = {
    "trace_shapes": probes.trace_shapes,
    "layer_costs": probes.layer_costs,
    "activation_statistics": probes.activation_statistics,
    "receptive_fields": probes.receptive_fields,
    "saved_bytes": probes.saved_bytes,
    "gradient_norms": lambda net, x: probes.gradient_norms(net, x, torch.arange(4)),
    "gradient_autocorrelation": lambda net, x: probes.gradient_autocorrelation(net, x, 2),
}
every_probe = pytest.mark.parametrize("name", list(PROBES))


def network():
    torch.manual_seed(0)
    return CifarResNet(8), torch.randn(4, 3, 16, 16)


def numbers(found):
    if isinstance(found, dict):
        return list(found.values())
    found = found if isinstance(found, list) else [found]
    return [
        n
        for row in found
        for n in (row if isinstance(row, tuple) else [row])
        if not isinstance(n, str)
    ]


@every_probe
def test_no_float64_is_needed(name):
    net, x = network()
    expected = numbers(PROBES[name](net, x))
    with NoDouble():
        found = numbers(PROBES[name](net, x))
    for mine, exact in zip(found, expected, strict=True):
        assert mine == (
            pytest.approx(exact, rel=1e-3, abs=1e-4) if isinstance(exact, float) else exact
        )


def test_the_cpu_is_asked_when_the_device_refuses():
    device = torch.device("cpu")
    assert precision.most_exact(device) == (device, torch.float64)
    with NoDouble(most=1) as refusing:
        assert precision.most_exact(device) == (device, torch.float64)
        assert refusing.refused == 1
    with NoDouble():
        assert precision.most_exact(device) == (device, torch.float32)


@pytest.mark.parametrize("name", ["receptive_fields", "gradient_autocorrelation"])
def test_a_copy_goes_where_double_is(name, monkeypatch):
    """The model stands on the meta device, say: its copy is where numbers are most exact."""
    net, x = network()
    expected = PROBES[name](net, x)
    asked = []

    def elsewhere(device):
        asked.append(device)
        return torch.device("cpu"), torch.float64

    monkeypatch.setattr(precision, "most_exact", elsewhere)
    assert PROBES[name](net, x) == expected
    assert asked == [x.device]
    assert next(net.parameters()).dtype is torch.float32


def test_a_tensor_moves_before_it_is_converted():
    """MPS cannot make float64, also not on the way out."""

    class OnDevice:
        steps = ()
        device = torch.device("cpu")

        def detach(self):
            return self

        def to(self, what):
            self.steps += (what,)
            return self

    tensor = OnDevice()
    precision.exactly(tensor)
    assert tensor.steps == (torch.device("cpu"), torch.float64)


def test_random_numbers_of_mps_are_put_back(monkeypatch):
    put_back = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "state")
    monkeypatch.setattr(torch.mps, "set_rng_state", put_back.append)
    with probes.preserved(network()[0]):
        assert not put_back
    assert put_back == ["state"]

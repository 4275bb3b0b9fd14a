"""Bad input to probes, the loss landscape and figures: what each answers."""

import bad_input
import matplotlib.pyplot as plt
import pytest
import torch
from bad_input import CHOICE, FROM_ONE, MODULE, NUMBER, WHOLE, Bad, Entry, Odd
from torch import nn

from resnet_lib import landscape, plots, probes, weights

NET = weights.resnet8("digits").eval()
IMAGES, LABELS = torch.rand(4, 1, 8, 8), torch.arange(4)
LAZY = nn.Sequential(nn.LazyLinear(2))
MODEL = [*MODULE, Bad(LAZY, ValueError)]
INPUTS = [Bad(value, TypeError) for value in (None, 3, "x", [], Odd())]
INPUTS += [Bad(IMAGES[:0], ValueError)]
# A shape that the model cannot take is the model's to refuse.
WITH_VALUES = [*INPUTS, Bad(IMAGES.to("meta"), ValueError)]
RUN = {"model": NET, "inputs": IMAGES}
GRADIENTS = RUN | {"targets": LABELS}
KINDS = [Bad(nn.LSTM, ValueError, "kinds")]
WAY = landscape.filter_normalised_direction(NET, torch.Generator().manual_seed(0))
AROUND = {"model": NET, "batches": [(IMAGES, LABELS)]}
DIRECTION = [Bad(value, TypeError) for value in (None, 3, [WAY], Odd())]
DIRECTION += [Bad({}, ValueError), Bad(WAY | {"fc.bias": torch.zeros(3)}, ValueError)]
DIRECTION += [
    Bad(WAY | {"more": torch.zeros(3)}, ValueError),
    Bad(WAY | {"fc.bias": 3}, ValueError),
]
BATCHES = [Bad(iter([]), TypeError), Bad([], ValueError)]
LOOK = {"model": MODULE, "batches": BATCHES, "statistics": CHOICE}


def inside(manager):
    """Enter a context manager and leave it."""

    def call(**arguments):
        with manager(**arguments):
            pass

    call.__name__, call.__qualname__ = manager.__name__, manager.__qualname__
    return call


TABLE = [
    Entry(
        probes.activation_statistics, RUN, {"model": MODEL, "inputs": WITH_VALUES, "kinds": KINDS}
    ),
    Entry(probes.trace_shapes, RUN, {"model": MODEL, "inputs": INPUTS, "kinds": KINDS}),
    Entry(
        probes.layer_gradients,
        GRADIENTS,
        {
            "model": MODEL,
            "inputs": WITH_VALUES,
            "targets": [Bad(LABELS + 99, ValueError)],
        },
    ),
    Entry(probes.gradient_norms, GRADIENTS, {"model": MODEL, "inputs": WITH_VALUES}),
    Entry(
        probes.gradient_autocorrelation,
        RUN | {"lags": 1},
        {"model": MODEL, "inputs": WITH_VALUES, "lags": FROM_ONE},
    ),
    Entry(probes.layer_costs, RUN, {"model": MODEL, "inputs": INPUTS}),
    Entry(probes.saved_bytes, RUN, {"model": MODEL, "inputs": INPUTS}),
    Entry(
        probes.receptive_fields,
        RUN,
        {"model": MODEL, "inputs": [*INPUTS, Bad(IMAGES[0, 0], ValueError)], "kinds": KINDS},
    ),
    Entry(
        probes.least_seconds,
        {"rows": [], "speed": 1.0, "bandwidth": 1.0},
        {"speed": [*NUMBER, Bad(0, ValueError)], "bandwidth": [*NUMBER, Bad(0, ValueError)]},
    ),
    Entry(inside(probes.preserved), {}, {"model": MODULE}),
    Entry(
        landscape.filter_normalised_direction,
        {"generator": torch.Generator()},
        {"model": bad_input.BY_HAND},
    ),
    Entry(
        landscape.hessian_vector_product,
        AROUND | {"direction": WAY},
        LOOK | {"direction": DIRECTION},
    ),
    Entry(
        landscape.hessian_eigenvalues,
        AROUND,
        LOOK
        | {
            "count": [*FROM_ONE, Bad(10**9, ValueError)],
            "tolerance": [*NUMBER, Bad(-0.1, ValueError)],
            "seed": WHOLE,
        },
    ),
    Entry(
        landscape.loss_along,
        AROUND | {"direction": WAY, "steps": [0.0]},
        LOOK | {"direction": DIRECTION},
    ),
    Entry(
        landscape.loss_plane,
        AROUND | {"first": WAY, "second": WAY, "steps": [0.0]},
        LOOK | {"first": DIRECTION, "second": DIRECTION},
    ),
    Entry(plots.shades, {"color": "red", "number": 2}, {"number": FROM_ONE}),
    Entry(plots.shades, {"number": 2}, {"color": [Bad("nonsense", ValueError, "RGBA")]}),
]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {name: value.clone() for name, value in NET.state_dict().items()}
    bad_input.assert_refused(entry, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in NET.state_dict().items())
    assert not NET.training
    assert not plt.get_fignums()

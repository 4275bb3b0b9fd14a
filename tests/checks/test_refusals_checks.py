"""What the checks answer to what is no block, network or function at all."""

import bad_input
import pytest
import torch
from bad_input import Bad, Entry, Odd
from torch import nn

import resnet_checks
from resnet_lib.nets import CifarResNet

# A module is built already, and would be run in place of being made.
NO_MAKER = [Bad(value, TypeError) for value in (None, 3, "block", nn.Linear(1, 1), Odd())]
NO_FUNCTION = [*NO_MAKER, Bad(nn.Linear, TypeError)]
MAKERS = ("basic_block", "bottleneck", "pre_activation_block", "squeeze_excitation_block")
MAKERS += ("network", "residual_formula", "shortcut")
FUNCTIONS = {
    "accumulation": "train",
    "evaluation_loop": "evaluate",
    "fine_tuning": "prepare",
    "pipeline": "predict",
    "training_step": "step",
}
BLOCKS = [Bad(value, ValueError) for value in ((2, 2, 2), (2, 2, 2, 0), (2,) * 5, "vgg16")]
NO_CHECK = {"Report", "Diagnosis", "Finding"}  # what a check returns
NO_CHECK |= {"CHINESE", "speaking"}  # test_phrases.py

TABLE = [Entry(getattr(resnet_checks, name), {}, {"make": NO_MAKER}) for name in MAKERS]
TABLE += [
    Entry(getattr(resnet_checks, name), {}, {argument: NO_FUNCTION})
    for name, argument in FUNCTIONS.items()
]
BATCHES = [Bad(value, TypeError) for value in (None, [[1.0]], Odd())]
BATCHES += [Bad(torch.zeros(0, 3, 8, 8), ValueError)]
BATCHES += [Bad(torch.zeros(2, 3, 8, 8, dtype=torch.int64), ValueError)]
GOOD = {"model": CifarResNet(8), "images": torch.rand(16, 3, 8, 8)}
TABLE += [
    Entry(
        resnet_checks.diagnose,
        GOOD,
        {
            "model": bad_input.MODULE,
            "images": BATCHES,
            "labels": [Bad("3", TypeError), Bad(torch.zeros(3, dtype=torch.int64), ValueError)],
            "purpose": [Bad("nonsense", ValueError)],
        },
    )
]
TABLE += [Entry(resnet_checks.network, {"make": nn.Linear}, {"blocks": BLOCKS})]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_input.assert_refused(entry, tmp_path)


def test_each_check_has_its_rows():
    assert set(resnet_checks.__all__) == bad_input.called(TABLE) | NO_CHECK

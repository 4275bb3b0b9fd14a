"""What the checks answer to what is no block, network or function at all."""

import bad_input
import pytest
from bad_input import Bad, Entry, Odd
from torch import nn

import resnet_checks

# A module is built already, and would be run in place of being made.
NO_MAKER = [Bad(value, TypeError) for value in (None, 3, "block", nn.Linear(1, 1), Odd())]
NO_FUNCTION = [*NO_MAKER, Bad(nn.Linear, TypeError)]
MAKERS = ("basic_block", "bottleneck", "pre_activation_block", "squeeze_excitation_block")
MAKERS += ("network", "residual_formula", "shortcut")
FUNCTIONS = {
    "accumulation": "train",
    "evaluation_loop": "evaluate",
    "training_step": "step",
}
BLOCKS = [Bad(value, ValueError) for value in ((2, 2, 2), (2, 2, 2, 0), (2,) * 5, "vgg16")]
NO_CHECK = {"Report"}  # what a check returns
NO_CHECK |= {"CHINESE", "speaking"}  # test_phrases.py

TABLE = [Entry(getattr(resnet_checks, name), {}, {"make": NO_MAKER}) for name in MAKERS]
TABLE += [
    Entry(getattr(resnet_checks, name), {}, {argument: NO_FUNCTION})
    for name, argument in FUNCTIONS.items()
]
TABLE += [Entry(resnet_checks.network, {"make": nn.Linear}, {"blocks": BLOCKS})]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_input.assert_refused(entry, tmp_path)


def test_each_check_has_its_rows():
    assert set(resnet_checks.__all__) == bad_input.called(TABLE) | NO_CHECK

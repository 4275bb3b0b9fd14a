"""Diagnose the reader's own code: run it, watch it from outside, name the first fault.

A check returns a `Report`. Wrong code never raises; its exceptions become the report's fault.
What is checked is left as it was: parameters, buffers, gradients, mode and torch's random
numbers. What it prints is dropped, since it runs many times.

The checks of blocks speak another language where they are given a table of sentences, as `CHINESE`
is for the basic block: `with checks.speaking(checks.CHINESE): ...`.

The checks of modules take a class or a function that builds the module, whatever its names
inside. They see convolutions, batch norms and linear layers that run through PyTorch's own
functions, as modules or as `F.conv2d`, `F.batch_norm` and `F.linear`. They do not see into
TorchScript, and a layer written by hand from other operations counts as none; compiled code is run
uncompiled. A call of the reader's code that takes longer than ten seconds of processor time is
ended; a maker and a whole network have sixty.

The checks of loops (`training_step`, `evaluation_loop`, `accumulation`) take the function itself,
call it on a small network of their own on the CPU, and compare what it does with the same by hand
in double precision. They do not follow code under `torch.func.vmap`.

`pipeline` takes functions that bring a picture file to the network and to a class, and writes such
files; `fine_tuning` takes a function that prepares a trained network for other classes.

`diagnose` takes a model and a batch, and no code: it says what can be seen from outside, and what
cannot. `resnet_checks.ward` holds trainings with a fault in each, to try it on.
"""

from resnet_checks.block import (
    basic_block,
    bottleneck,
    pre_activation_block,
    squeeze_excitation_block,
)
from resnet_checks.diagnosis import Diagnosis, Finding, diagnose
from resnet_checks.fine_tuning import fine_tuning
from resnet_checks.formula import residual_formula
from resnet_checks.loops.accumulation import accumulation
from resnet_checks.loops.evaluation import evaluation_loop
from resnet_checks.loops.step import training_step
from resnet_checks.networks.whole import network
from resnet_checks.phrases import speaking
from resnet_checks.phrases.chinese import CHINESE
from resnet_checks.pictures.pipeline import pipeline
from resnet_checks.report import Report
from resnet_checks.shortcut_alone import shortcut

__all__ = [
    "CHINESE",
    "Diagnosis",
    "Finding",
    "Report",
    "accumulation",
    "basic_block",
    "bottleneck",
    "diagnose",
    "evaluation_loop",
    "fine_tuning",
    "network",
    "pipeline",
    "pre_activation_block",
    "residual_formula",
    "shortcut",
    "speaking",
    "squeeze_excitation_block",
    "training_step",
]

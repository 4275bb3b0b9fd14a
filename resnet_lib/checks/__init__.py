"""Diagnose the reader's own code: run it, watch it from outside, name the first fault.

A check takes a class or a function that builds the module, whatever its names inside, and
returns a `Report`. A wrong module never raises; its exceptions become the report's fault. What
is checked is left as it was: parameters, buffers, gradients, mode and torch's random numbers.
What it prints is dropped, since it runs many times.

A check sees convolutions, batch norms and linear layers that run through PyTorch's own functions,
as modules or as `F.conv2d`, `F.batch_norm` and `F.linear`. It does not see into TorchScript or
compiled code, and a layer written by hand from other operations counts as none.
"""

from resnet_lib.checks.block import basic_block, bottleneck
from resnet_lib.checks.formula import residual_formula
from resnet_lib.checks.networks.whole import network
from resnet_lib.checks.report import Report
from resnet_lib.checks.shortcut_alone import shortcut

__all__ = ["Report", "basic_block", "bottleneck", "network", "residual_formula", "shortcut"]

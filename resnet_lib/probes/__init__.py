"""Measure what flows through any network, and leave the network as it was.

Each probe runs the model and then puts back what the run changed: batch-norm statistics and
other buffers, train or eval mode, `.grad`, torch's random-number generators. No hook stays
behind, also when the model raises.
"""

from resnet_lib.probes.costs import (
    LayerCost,
    ReceptiveField,
    layer_costs,
    receptive_fields,
    saved_bytes,
)
from resnet_lib.probes.gradients import gradient_autocorrelation, gradient_norms, layer_gradients
from resnet_lib.probes.running import preserved
from resnet_lib.probes.signals import (
    ActivationStatistics,
    LayerShape,
    activation_statistics,
    trace_shapes,
)

__all__ = [
    "ActivationStatistics",
    "LayerCost",
    "LayerShape",
    "ReceptiveField",
    "activation_statistics",
    "gradient_autocorrelation",
    "gradient_norms",
    "layer_costs",
    "layer_gradients",
    "preserved",
    "receptive_fields",
    "saved_bytes",
    "trace_shapes",
]

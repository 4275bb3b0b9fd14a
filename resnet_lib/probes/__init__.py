"""Measure what flows through any network, and leave the network as it was.

Each probe runs the model once and then puts back what the run changed: batch-norm statistics and
other buffers, train or eval mode, `.grad`, torch's random-number generators. No hook stays
behind, also when the model raises. Hooks that the model has run as ever.

What a probe cannot see it says. A compiled model is run as if it were not compiled, and the
wrappers of `torch.compile`, DataParallel and DistributedDataParallel are looked through: layers
have the names that they have inside. Layers that are not called as modules, or that TorchScript
holds, are named in a warning; where nothing at all is to be seen, it is an error. A model of
several inputs gets them as a tuple, `model(*inputs)`, or as a dictionary, `model(**inputs)`.
"""

from resnet_lib.probes.costs import (
    LayerCost,
    ReceptiveField,
    layer_costs,
    receptive_fields,
    saved_bytes,
)
from resnet_lib.probes.gradients import gradient_autocorrelation, gradient_norms, layer_gradients
from resnet_lib.probes.hooks import own_outputs
from resnet_lib.probes.operations import OperationCost, least_seconds, operation_costs
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
    "OperationCost",
    "ReceptiveField",
    "activation_statistics",
    "gradient_autocorrelation",
    "gradient_norms",
    "layer_costs",
    "layer_gradients",
    "least_seconds",
    "operation_costs",
    "own_outputs",
    "preserved",
    "receptive_fields",
    "saved_bytes",
    "trace_shapes",
]

"""The loss around a network's weights: slices along directions, and its curvature.

Any `nn.Module` will do. Each function leaves it as it was: weights, buffers, modes and gradients.
No random number is drawn but from the generator, or with the seed, that is given.
"""

from resnet_lib.landscape.curvature import hessian_eigenvalues, hessian_vector_product
from resnet_lib.landscape.directions import filter_normalised_direction
from resnet_lib.landscape.points import STATISTICS
from resnet_lib.landscape.slices import loss_along, loss_plane

__all__ = [
    "STATISTICS",
    "filter_normalised_direction",
    "hessian_eigenvalues",
    "hessian_vector_product",
    "loss_along",
    "loss_plane",
]

"""The loss's Hessian: its product with a vector, and its largest eigenvalues."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_number, check_whole
from resnet_lib.landscape.points import Batches, Direction, Loss, check_all, losses, modes

if TYPE_CHECKING:
    import numpy as np


def hessian_vector_product(
    model: nn.Module,
    batches: Batches,
    direction: Direction,
    *,
    statistics: str = "batch",
    loss_function: Loss = F.cross_entropy,
) -> Direction:
    """H·d, where H holds the second derivatives of the loss by the weights (Pearlmutter 1994).

    It is the gradient of ⟨g, d⟩ with the loss gradient g; H itself is never made. Only trainable
    weights count; frozen ones get zeros. Arguments and errors are those of `loss_along`.
    """
    check_all(model, batches, statistics, direction=direction)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    leaves = [weights[name].requires_grad_() for name in names]
    sums, images = [torch.zeros_like(leaf) for leaf in leaves], 0
    with torch.inference_mode(False), torch.enable_grad(), modes(model, statistics):
        for number, loss in losses(model, weights, batches, loss_function):
            slopes = _gradients(loss, leaves, create_graph=True)
            pairs = zip(names, slopes, strict=True)
            along = sum((slope * direction[name]).sum() for name, slope in pairs)
            for total, part in zip(sums, _gradients(along, leaves), strict=True):
                total += number * part
            images += number
    zeros = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    return zeros | {name: total / images for name, total in zip(names, sums, strict=True)}


def hessian_eigenvalues(
    model: nn.Module,
    batches: Batches,
    count: int = 1,
    *,
    statistics: str = "batch",
    loss_function: Loss = F.cross_entropy,
    tolerance: float = 0.01,
    seed: int = 0,
) -> list[float]:
    """The largest eigenvalues of the loss's Hessian by the trainable weights, largest first.

    An eigenvalue is the curvature along its eigenvector; the largest is a usual measure of
    sharpness, and changes when weights are scaled (Dinh et al. 2017). SciPy's `eigsh` finds them
    by Lanczos' method, from Hessian-vector products alone: one or two dozen for one eigenvalue.

    Args:
        model, batches, statistics, loss_function: those of `loss_along`.
        count: how many, at least 1 and below the number of trainable weights.
        tolerance: how exact they are to be, as a share; 0 is the number format's own.
        seed: of the random vector from which the method begins.

    Raises:
        TypeError, ValueError: as `loss_along`, or a number is out of range.
        scipy.sparse.linalg.ArpackNoConvergence: the method did not get there.
    """
    import numpy as np
    from scipy.sparse.linalg import LinearOperator, eigsh

    check_all(model, batches, statistics)
    leaves = {name: w for name, w in model.named_parameters() if w.requires_grad}
    size = sum(leaf.numel() for leaf in leaves.values())
    check_whole("count", count, 1, size - 1)
    check_number("tolerance", tolerance, 0)
    check_whole("seed", seed, 0)
    loss = {"statistics": statistics, "loss_function": loss_function}
    zeros = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}

    def product(vector: "np.ndarray") -> "np.ndarray":
        direction = zeros | _split(torch.from_numpy(vector).flatten(), leaves)
        found = hessian_vector_product(model, batches, direction, **loss)
        return torch.cat([found[name].flatten() for name in leaves]).cpu().numpy()

    exact = any(leaf.dtype == torch.float64 for leaf in leaves.values())
    dtype = np.dtype(np.float64 if exact else np.float32)
    start = np.random.default_rng(seed).standard_normal(size).astype(dtype)
    hessian = LinearOperator((size, size), matvec=product, dtype=dtype)
    # SciPy's own number of vectors is 20. Few are outstanding, and so fewer vectors will do.
    how = {"ncv": min(size, 2 * count + 10), "v0": start, "tol": tolerance}
    found = eigsh(hessian, count, which="LA", return_eigenvectors=False, **how)
    return sorted(found.tolist(), reverse=True)


def _split(vector: Tensor, leaves: Direction) -> Direction:
    """One tensor of the vector for each leaf, of its shape and kind."""
    parts = vector.split([leaf.numel() for leaf in leaves.values()])
    pairs = zip(leaves.items(), parts, strict=True)
    return {name: part.view(leaf.shape).to(leaf) for (name, leaf), part in pairs}


def _gradients(value: Tensor, leaves: list[Tensor], **how) -> tuple[Tensor, ...]:
    if not value.requires_grad:  # it is linear: there is no further derivative
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    return torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True, **how)

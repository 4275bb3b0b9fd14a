"""Tell values apart: equal or not, and what is known to turn one value into another."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Far above rounding in single precision, and far below what any of the faults changes.
_TOLERANCE = 1e-4
# Shorter types round more coarsely than that; one operation is off by half an eps at most.
_ROUNDINGS = 4

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": F.relu,
    "ReLU6": F.relu6,
    "leaky ReLU": F.leaky_relu,
    "ELU": F.elu,
    "SELU": F.selu,
    "GELU": F.gelu,
    "GELU, approximated by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "SiLU": F.silu,
    "Mish": F.mish,
    "hard swish": F.hardswish,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "hard sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
}


def random_values(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values that do not depend on, or touch, the global random numbers."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(shape, generator=generator, device="cpu")


def tolerance(*tensors: Tensor) -> float:
    """How far apart, relatively, equal values of these types may be."""
    eps = [torch.finfo(t.dtype).eps for t in tensors if t.is_floating_point()]
    return max([_TOLERANCE, *(_ROUNDINGS * value for value in eps if value > 1e-6)])


def equal(a: Tensor, b: Tensor, within: float | None = None) -> bool:
    """Whether two tensors have one shape and, up to rounding in their types, the same values."""
    if a.shape != b.shape:
        return False
    limit = within or tolerance(a, b)
    a, b = a.detach(), b.detach()
    if a.dtype != b.dtype or a.device != b.device or a.element_size() < 4:
        a, b = wide(a), wide(b)
    return torch.allclose(a, b, rtol=limit, atol=limit)


def wide(tensor: Tensor) -> Tensor:
    """The values in double precision on the CPU."""
    return tensor.detach().to("cpu", torch.float64)


def activations() -> dict[str, Callable[[Tensor], Tensor]]:
    """The known activations by name."""
    return dict(_ACTIVATIONS)


def name_activation(result: Tensor, before: Tensor) -> str | None:
    """The name of the activation that turns `before` into `result`, if it is a known one."""
    if result.shape != before.shape:
        return None
    known = (name for name, f in _ACTIVATIONS.items() if equal(result, f(before)))
    return next(known, None) or _name_leak(result, before)


def _name_leak(result: Tensor, before: Tensor) -> str | None:
    """A leaky ReLU of any slope, or a PReLU: its slopes may be any, and one for each channel."""
    result, before = wide(result), wide(before)
    below = before < 0
    if before.dim() < 2 or not below.any() or not equal(result[~below], before[~below]):
        return None
    channels = zip(result.movedim(1, 0), before.movedim(1, 0), strict=True)
    slopes = [factor_of(r[b < 0], b[b < 0]) for r, b in channels if (b < 0).any()]
    known = [slope for slope in slopes if slope is not None]
    if len(known) < len(slopes) or all(abs(slope + 1) < 1e-3 for slope in known):
        return None  # with a slope of −1 it is the absolute value
    alike = max(known) - min(known) < 1e-3 and 0 < known[0] < 1
    return f"leaky ReLU with slope {known[0]:.3g}" if alike else "PReLU"


def name_pooling(result: Tensor, before: Tensor, step: int) -> str | None:
    """The kind of pooling with stride `step`, average or max, that makes `result`, if any does."""
    for size, edge, ceil in ((step, 0, False), (step, 0, True), (3, 1, False), (1, 0, False)):
        options: dict[str, Any] = {"stride": step, "padding": edge, "ceil_mode": ceil}
        if equal(result, F.avg_pool2d(before, size, **options)):
            return "average"
        if equal(result, F.max_pool2d(before, size, **options)):
            return "max"
    return None


def factor_of(result: Tensor, value: Tensor) -> float | None:
    """The a of result = a·value; None where there is none."""
    if result.shape != value.shape or not value.any():
        return None
    limit, result, value = tolerance(result, value), wide(result), wide(value)
    factor = float((result * value).sum() / (value * value).sum())
    return factor if equal(result, factor * value, limit) else None


def mixture(result: Tensor, first: Tensor, second: Tensor) -> tuple[float, float] | None:
    """The a and b of result = a·first + b·second; None where there are none."""
    limit = tolerance(result, first, second)
    parts = torch.stack([wide(first).flatten(), wide(second).flatten()], dim=1)
    target = wide(result).flatten()
    factors = torch.linalg.lstsq(parts, target[:, None]).solution.flatten()
    a, b = (value if abs(value) > limit else 0.0 for value in factors.tolist())
    return (a, b) if equal(a * parts[:, 0] + b * parts[:, 1], target, limit) else None

"""Tell values apart: equal or not, and which mixture of known values a result is."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_checks.observing import snapshot

# Far above rounding, and far below what any of the faults changes.
_TOLERANCE = 1e-4

_ACTIVATIONS = {
    "ReLU": F.relu,
    "ReLU6": F.relu6,
    "leaky ReLU": F.leaky_relu,
    "ELU": F.elu,
    "GELU": F.gelu,
    "SiLU": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def random_values(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values that do not depend on, or touch, the global random numbers."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(shape, generator=generator, device="cpu")


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have one shape and, up to rounding, the same values."""
    a, b = snapshot(a), snapshot(b)
    if a.shape != b.shape:
        return False
    return bool(((a - b).abs() <= _TOLERANCE * (1 + b.abs())).all())


def activations() -> dict[str, Callable[[Tensor], Tensor]]:
    """The known activations by name."""
    return dict(_ACTIVATIONS)


def name_activation(result: Tensor, before: Tensor) -> str | None:
    """The name of the activation that turns `before` into `result`, if it is a known one."""
    return next((n for n, f in _ACTIVATIONS.items() if equal(result, f(before))), None)


def name_pooling(result: Tensor, before: Tensor, step: int) -> str | None:
    """The name of the pooling with stride `step` that turns `before` into `result`, if any."""
    for size, edge, ceil in ((step, 0, False), (step, 0, True), (3, 1, False), (1, 0, False)):
        options: dict[str, Any] = {"stride": step, "padding": edge, "ceil_mode": ceil}
        if equal(result, F.avg_pool2d(before, size, **options)):
            return "average pooling"
        if equal(result, F.max_pool2d(before, size, **options)):
            return "max pooling"
    return None


def factor_of(result: Tensor, value: Tensor) -> float | None:
    """The a of result = a·value, to three digits; None where there is none."""
    result, value = snapshot(result), snapshot(value)
    if result.shape != value.shape or not value.any():
        return None
    factor = float((result * value).sum() / (value * value).sum())
    return _tidy(factor) if equal(result, factor * value) else None


def mixture(result: Tensor, first: Tensor, second: Tensor) -> tuple[float, float] | None:
    """The a and b of result = a·first + b·second, to three digits; None where there are none."""
    parts = torch.stack([snapshot(first).flatten(), snapshot(second).flatten()], dim=1)
    target = snapshot(result).flatten()
    a, b = torch.linalg.lstsq(parts, target[:, None]).solution.flatten().tolist()
    if not equal(a * parts[:, 0] + b * parts[:, 1], target):
        return None
    return _tidy(a), _tidy(b)


def sum_fault(
    a: float, b: float, branch: str = "F(x)", shortcut: str = "x", whole: str = "{}"
) -> str | None:
    """What is wrong with a·branch + b·shortcut, or None where both are counted once.

    `whole` says what happens to the sum, such as "ReLU({})".
    """
    total = whole.format(_describe_sum(a, b, branch, shortcut))
    if (a, b) == (1, 1):
        return None
    if (a, b) == (0, 0):
        return "The result is zero everywhere."
    if b == 0:
        return f"The addition is missing: the result is {total} alone."
    if a == 0:
        return f"The branch has no part in the result, which is {total} alone."
    if min(a, b) < 0:
        return f"A sign is wrong: the result is {total}."
    if (a, b) == (1, 2):
        return f"The shortcut is counted twice: the result is {total}."
    if (a, b) == (2, 1):
        return f"The branch is counted twice: the result is {total}."
    return f"The sum is weighted: the result is {total}."


def _describe_sum(a: float, b: float, branch: str, shortcut: str) -> str:
    """`2·F(x) − x` and the like; a term with a positive factor comes first."""
    terms = [(factor, name) for factor, name in ((a, branch), (b, shortcut)) if factor]
    terms.sort(key=lambda term: term[0] < 0)
    text = ""
    for factor, name in terms:
        sign = "−" if factor < 0 else "+"
        size = "" if abs(factor) == 1 else f"{abs(factor):g}·"
        lead = f" {sign} " if text else sign.replace("+", "")
        text += f"{lead}{size}{name}"
    return text or "0"


def describe_difference(result: Tensor, expected: Tensor) -> str:
    """How far apart two tensors of one shape are, and where."""
    gap = (snapshot(result) - snapshot(expected)).abs()
    place = [int(i) for i in torch.unravel_index(gap.argmax(), gap.shape)]
    at = f" at index {place}" if place else ""
    return f"the largest difference is {gap.max().item():.1g}{at}"


def _tidy(factor: float) -> float:
    """Round to three digits, so that 0.9999 reads 1 and 2e-5 reads 0."""
    return round(factor, 3) + 0.0  # + 0.0 turns -0.0 into 0.0

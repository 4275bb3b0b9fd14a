"""What is the simplest equation that makes a value of F, s and other known values?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.blueprints import evaluate
from resnet_checks.comparing import activations, equal, mixture, name_activation

_FORMS = (
    "relu(F) + s",
    "relu(relu(F) + s)",
    "relu(F + relu(s))",
    "F + relu(s)",
    "relu(F) + relu(s)",
    "relu(relu(F) + relu(s))",
    "F * s",
    "relu(F * s)",
)


@dataclass(frozen=True)
class Explanation:
    """An equation that was found.

    Attributes:
        form: the equation's right side; "sum" and "relu(sum)" for a·F + b·s, "activation" for one
            of F + s, "other start" for a sum of F and another value.
        fields: what stands in it: factors, the activation, the other value's name.
    """

    form: str
    fields: dict[str, Any] = field(default_factory=dict)


def explain_output(
    result: Tensor, f: Tensor, s: Tensor, others: Mapping[str, Tensor]
) -> Explanation | None:
    """The first equation that fits, the simplest ones first; None where none does.

    Args:
        result: what came out.
        f, s: what the branch and what the shortcut hand on, of the result's shape.
        others: further values by name.
    """
    return next(_explanations(result, f, s, others), None)


def explain_mistake(
    result: Tensor, mistakes: Mapping[str, str], values: Mapping[str, Tensor]
) -> Explanation | None:
    """The first of a blueprint's mistakes that makes the result; None where none does."""
    known = activations() | {"softmax": lambda x: x.softmax(1)}
    for form, equation in mistakes.items():
        for name in known if "activation" in equation else [""]:
            if equal(result, evaluate(equation, {**values, "activation": known.get(name)})):
                return Explanation(form, {"activation": name})
    return None


def _explanations(
    result: Tensor, f: Tensor, s: Tensor, others: Mapping[str, Tensor]
) -> Iterator[Explanation]:
    if factors := mixture(result, f, s):
        yield _sum("F + s", "sum", factors)
    alive = result > 0
    factors = mixture(result[alive], f[alive], s[alive]) if alive.any() else None
    if factors and equal(result, F.relu(factors[0] * f + factors[1] * s)):
        yield _sum("relu(F + s)", "relu(sum)", factors)
    for form in _FORMS:
        if equal(result, evaluate(form, {"F": f, "s": s})):
            yield Explanation(form)
    if activation := name_activation(result, f + s):
        yield Explanation("activation", {"activation": activation})
    for name, value in others.items():
        fits = value.shape == f.shape
        if fits and any(equal(result, total) for total in (F.relu(f + value), f + value)):
            yield Explanation("other start", {"name": name})


def _sum(plain: str, weighted: str, factors: tuple[float, float]) -> Explanation:
    a, b = factors
    exact = max(abs(a - 1), abs(b - 1)) < 1e-4
    return Explanation(plain) if exact else Explanation(weighted, {"a": a, "b": b})

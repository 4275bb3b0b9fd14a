"""Put into words which equation was found where another should be."""

import torch
from torch import Tensor

from resnet_checks.blueprints import Blueprint
from resnet_checks.comparing import wide
from resnet_checks.explaining import Explanation
from resnet_checks.phrases import fault, phrase
from resnet_checks.report import FaultFound

_COUNTED: dict[tuple[float, float], str] = {(1, 2): "sum 1 2", (2, 1): "sum 2 1", (2, 0): "sum 2 0"}


def output_fault(
    blueprint: Blueprint,
    found: Explanation | None,
    s: str,
    gap: str,
    hint: str | None = None,
) -> FaultFound:
    """The fault of an output that is not the blueprint's.

    Args:
        blueprint: what should be.
        found: what is, as far as it is known.
        s: what the reports call the shortcut's part.
        gap: the largest difference, and where it is.
        hint: where to look; None is the end of forward.
    """
    right = in_words(blueprint.out, s)
    if found is None and blueprint.mistakes:
        hint = _at_gate(right)
    hint = phrase("end", right=right) if hint is None else hint or None
    if found is None:
        key = "output" if blueprint.layers else "result"
        return fault(key, right=right, gap=gap, hint=hint)
    if found.form in ("sum", "relu(sum)"):
        whole = "{}" if found.form == "sum" else "ReLU({})"
        return sum_fault(**found.fields, s=s, whole=whole, hint=hint)
    if found.form == "other start":
        return fault("other start", **found.fields, hint=hint)
    order, block = phrase("order", right=right), phrase(blueprint.name)
    key = f"{blueprint.out} ≠ {found.form}"
    names = {"s": s, "order": order, "block": block, "right": right}
    return fault(key, hint=hint, **names, **found.fields)


def mistake_fault(blueprint: Blueprint, found: Explanation, s: str) -> FaultFound:
    """The fault of an output that is one of the blueprint's mistakes."""
    return fault(found.form, hint=_at_gate(in_words(blueprint.out, s)), **found.fields)


def _at_gate(right: str) -> str:
    return phrase("end with gate", right=right)


def sum_fault(a: float, b: float, s: str, hint: str | None, whole: str = "{}") -> FaultFound:
    """What is wrong with a·F(x) + b·s, where not both are 1.

    `whole` says what happens to the sum, such as "ReLU({})".
    """
    a, b = tidy(a), tidy(b)
    total = whole.format(_describe_sum(a, b, "F(x)", s))
    key = "sum weighted"
    if (a, b) == (0, 0):
        key = "sum 0 0"
    elif (a, b) in _COUNTED:
        key = _COUNTED[a, b]
    elif 0 in (a, b):
        key = "sum F alone" if b == 0 else "sum s alone"
    elif min(a, b) < 0:
        key = "sum sign"
    return fault(key, total=total, hint=hint)


def tidy(factor: float) -> float:
    """A factor to three digits, but not one that is next to 1 as 1."""
    if abs(factor - 1) < 1e-4:
        return 1.0
    short = float(f"{factor:.3g}")
    return float(f"{factor:.6g}") if short == 1 else short


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


def in_words(out: str, s: str) -> str:
    """A blueprint's last equation as the reports write it: ReLU(F(x) + x)."""
    return out.replace("relu", "ReLU").replace("F", "F(x)").replace("s", s)


def gap_between(result: Tensor, expected: Tensor) -> str:
    """How far apart two tensors of one shape are at most, and where, in words."""
    gap = (wide(result) - wide(expected)).abs()
    place = [int(i) for i in torch.unravel_index(gap.argmax(), gap.shape)]
    size = f"{gap.max().item():.1g}"
    return phrase("gap at", gap=size, place=place) if place else phrase("gap", gap=size)

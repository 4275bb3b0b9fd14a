"""What the doors of the library ask of arguments: one check for each kind of value.

Each raises an error that names the argument, what is allowed and what came: `TypeError` for a
value of the wrong type, `ValueError` for one that is out of range. PyTorch is imported where it is
needed, so that settings can be checked without it.
"""

from collections.abc import Collection
from math import inf

__all__ = [
    "check_batch",
    "check_choice",
    "check_images",
    "check_number",
    "check_positive",
    "check_whole",
    "refusal",
]


def refusal(name: str, reason: str, kind: type[Exception] = ValueError) -> Exception:
    """The error that refuses an argument, with its parts for a caller that words it anew.

    Its message is the name and the reason; both are attributes too, `argument` and `reason`.
    """
    error = kind(f"{name} {reason}")
    vars(error).update(argument=name, reason=reason)
    return error


def check_positive(**arguments: int) -> None:
    """Refuse the first argument that is no whole number from 1 on.

    Raises:
        TypeError: an argument is not an `int`; True and False are none.
        ValueError: an argument is below 1.
    """
    for name, value in arguments.items():
        check_whole(name, value, 1)


def check_whole(name: str, value: object, low: int, high: float = inf) -> None:
    """Refuse what is no whole number from `low` to `high`.

    Raises:
        TypeError: the value is not an `int`; True and False are none.
        ValueError: it is out of range.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and low <= value <= high:
        return
    allowed = f"of at least {low}" if high == inf else f"from {low} to {high}"
    error = ValueError if is_whole else TypeError
    raise refusal(name, f"must be a whole number {allowed}, got {value!r}", error)


def check_number(
    name: str, value: object, low: float, high: float = inf, *, above: bool = False
) -> None:
    """Refuse what is no finite number from `low` to `high`; `above` shuts out `low` itself.

    Raises:
        TypeError: the value is neither an `int` nor a `float`; True and False are none.
        ValueError: it is out of range, infinite or NaN.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and low <= value <= high and value < inf and not (above and value == low):
        return
    allowed = f"above {low:g}" if above else f"of at least {low:g}"
    if high < inf:
        allowed += f" and at most {high:g}"
    error = ValueError if is_number else TypeError
    raise refusal(name, f"must be a number {allowed}, got {value!r}", error)


def check_choice(name: str, value: object, choices: Collection) -> None:
    """Refuse what is none of the choices.

    Raises:
        ValueError: the value is none of them.
    """
    # One by one: 8.0 equals 8 and is none of the choices, and a list cannot be looked up in a set.
    if not any(isinstance(value, type(choice)) and value == choice for choice in choices):
        raise refusal(name, f"must be one of {', '.join(map(str, choices))}, got {value!r}")


def check_batch(inputs: object) -> None:
    """Refuse what is no batch (N, ...) of at least one sample.

    Raises:
        TypeError: the inputs are no tensor.
        ValueError: they have no dimension, or no sample.
    """
    from torch import Tensor

    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a tensor, got {type(inputs).__name__}")
    if inputs.dim() == 0 or len(inputs) == 0:
        raise ValueError(f"inputs must be a batch of at least 1 sample, got {tuple(inputs.shape)}")


def check_images(images: object) -> None:
    """Refuse what is no batch of images (N, C, H, W), of bytes or fractions.

    Raises:
        TypeError: the images are no tensor.
        ValueError: their shape or number format is another.
    """
    import torch

    if not isinstance(images, torch.Tensor):
        raise TypeError(f"images must be a tensor (N, C, H, W), got {type(images).__name__}")
    if images.dim() != 4 or 0 in images.shape:
        raise ValueError(
            f"images must have four dimensions (N, C, H, W), none 0, got {tuple(images.shape)}"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"images must be uint8 or floating point, got {images.dtype}")

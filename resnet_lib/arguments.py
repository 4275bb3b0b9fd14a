"""What the doors of the library ask of arguments: one check for each kind of value.

Each raises an error that names the argument, what is allowed and what came: `TypeError` for a
value of the wrong type, `ValueError` for one that is out of range. PyTorch is imported where it is
needed, so that settings can be checked without it.
"""

import os
from collections.abc import Collection
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "check_choice",
    "check_classes",
    "check_images",
    "check_labels",
    "check_module",
    "check_multiple",
    "check_number",
    "check_path",
    "check_positive",
    "check_text",
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


def check_multiple(of: int, **arguments: int) -> None:
    """Refuse the first argument that is no whole number from 1 on, or no multiple of `of`.

    Raises:
        TypeError: an argument is not an `int`; True and False are none.
        ValueError: an argument is below 1, or no multiple.
    """
    for name, value in arguments.items():
        check_whole(name, value, 1)
        if value % of:
            raise refusal(name, f"must be a multiple of {of}, got {value}")


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


def check_text(name: str, value: object) -> None:
    """Refuse what is no string.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise refusal(name, f"must be a string, got {value!r}", TypeError)


def check_path(name: str, value: object) -> None:
    """Refuse what is no path: neither a string nor a `pathlib.Path` or the like.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str | os.PathLike):
        raise refusal(name, f"must be a path, got {type(value).__name__}", TypeError)


def check_module(name: str, value: object) -> None:
    """Refuse what is no module of PyTorch; a class of modules is none.

    Raises:
        TypeError: it is none.
    """
    from torch import nn

    if not isinstance(value, nn.Module):
        got = value.__name__ if isinstance(value, type) else type(value).__name__
        what = f"the class {got}" if isinstance(value, type) else got
        raise refusal(name, f"must be a torch.nn.Module, got {what}", TypeError)


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


def check_labels(labels: "Tensor", images: "Tensor") -> None:
    """Refuse labels that are neither classes nor shares of classes, or not as many as images.

    Raises:
        TypeError: the labels are no tensor.
        ValueError: they are neither (N,) int64 nor (N, K) floating point, for N images.
    """
    import torch

    if not isinstance(labels, torch.Tensor):
        raise TypeError(f"labels must be a tensor, got {type(labels).__name__}")
    is_classes = labels.dtype == torch.int64 and labels.dim() == 1
    if not is_classes and not (labels.is_floating_point() and labels.dim() == 2):
        raise ValueError(
            "labels must be classes, torch.int64 of shape (N,), or shares of classes, floating "
            f"point of shape (N, K), got {labels.dtype} {tuple(labels.shape)}"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"images and labels must be equally many, got {len(images)} and {len(labels)}"
        )


def check_classes(name: str, labels: "Tensor", classes: int) -> None:
    """Refuse labels that are no classes of a model's scores; on a GPU this waits for it.

    Raises:
        ValueError: a label is out of range, or the shares are of another number of classes.
    """
    if labels.is_floating_point():
        if labels.shape[1] != classes:
            raise ValueError(
                f"{name} must be shares of the model's {classes} classes (N, {classes}), "
                f"got {tuple(labels.shape)}"
            )
    elif len(labels):
        import torch

        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or high >= classes:
            hint = "; they seem to be counted from 1: subtract 1" if low == 1 else ""
            raise ValueError(
                f"{name} must be classes 0 to {classes - 1}, as the model gives {classes} scores, "
                f"got {low if low < 0 else high}{hint}"
            )

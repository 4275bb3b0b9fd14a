"""What each kind of block should be, as equations: what every layer reads, and what comes out.

An equation's names are x, the layers and, in `out`, F and s: what the branch and what the shortcut
hand to the addition. A new kind of block is a new blueprint; the engine knows none by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import CodeType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_checks.observing import BATCH_NORM, CONVOLUTION, LINEAR

_FUNCTIONS: dict[str, Any] = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "mean": lambda x: x.mean(dim=(2, 3), keepdim=True),
}


@dataclass(frozen=True)
class Layer:
    """One layer of a blueprint.

    Attributes:
        kind: as `observing` names it; a linear layer may also be a 1×1 convolution.
        reads: the equation of its input.
        kernel: height and width of a convolution's kernel.
        width: channels that it puts out, as a share of the block's; None is any number.
        groups: into how many groups a convolution is split.
    """

    kind: str
    reads: str
    kernel: int = 1
    width: float | None = 1
    groups: int = 1


@dataclass(frozen=True)
class Blueprint:
    """One kind of block.

    Attributes:
        name: the key of its name in the phrases.
        layers: the branch's layers by name, in order.
        branch: the equation of F; empty for a shortcut alone.
        out: the equation of what comes out.
        mistakes: equations of what may come out in its place, by the key of what is then said;
            `activation` in one stands for any that is known.
        projection: the shortcut's layers where it projects. The last one's output is s.
        strided: the convolutions that may have the stride, the usual one first.
        projects: "changed" where the shape changes, "always" or "never".
        label: the key of a convolution's name in the phrases.
    """

    name: str
    layers: dict[str, Layer] = field(default_factory=dict)
    branch: str = ""
    out: str = "s"
    mistakes: dict[str, str] = field(default_factory=dict)
    projection: dict[str, Layer] = field(default_factory=dict)
    strided: tuple[str, ...] = ("first",)
    projects: str = "changed"
    label: str = "name of convolution"

    @property
    def convolutions(self) -> dict[str, Layer]:
        """The branch's layers with weights that mix channels, in order."""
        return {name: layer for name, layer in self.layers.items() if layer.kind != BATCH_NORM}


def conv(kernel: int, reads: str, width: float = 1, groups: int = 1) -> Layer:
    return Layer(CONVOLUTION, reads, kernel, width, groups)


def norm(reads: str) -> Layer:
    return Layer(BATCH_NORM, reads)


def dense(reads: str, width: float | None = 1) -> Layer:
    return Layer(LINEAR, reads, width=width)


def evaluate(equation: str, values: Mapping[str, Any]) -> Tensor:
    """The value of an equation's right side, where every name stands for a value or a function."""
    return eval(_compiled(equation), {"__builtins__": {}, **_FUNCTIONS}, values)


@cache
def _compiled(equation: str) -> CodeType:
    return compile(equation, "<blueprint>", "eval")


_PROJECTION = {"projection": conv(1, "x"), "norm_projection": norm("projection")}

BASIC = Blueprint(
    "basic block",
    {
        "first": conv(3, "x"),
        "norm_first": norm("first"),
        "second": conv(3, "relu(norm_first)"),
        "norm_second": norm("second"),
    },
    branch="norm_second",
    out="relu(F + s)",
    projection=_PROJECTION,
)


def bottleneck_of(share: float, groups: int = 1) -> Blueprint:
    """The bottleneck block whose middle is `share` as wide as its output, in `groups` groups."""
    return Blueprint(
        "bottleneck block",
        {
            "first": conv(1, "x", share),
            "norm_first": norm("first"),
            "second": conv(3, "relu(norm_first)", share, groups),
            "norm_second": norm("second"),
            "third": conv(1, "relu(norm_second)"),
            "norm_third": norm("third"),
        },
        branch="norm_third",
        out="relu(F + s)",
        projection=_PROJECTION,
        strided=("second", "first"),
    )


BOTTLENECK = bottleneck_of(1 / 4)
PRE_ACTIVATION = Blueprint(
    "pre-activation block",
    {
        "norm_x": norm("x"),
        "first": conv(3, "relu(norm_x)"),
        "norm_first": norm("first"),
        "second": conv(3, "relu(norm_first)"),
    },
    branch="second",
    out="F + s",
    projection={"projection": conv(1, "relu(norm_x)")},
)
SQUEEZE_EXCITATION = replace(
    BASIC,
    name="squeeze-and-excitation block",
    layers=BASIC.layers
    | {
        "squeeze": dense("mean(norm_second)", None),
        "excite": dense("relu(squeeze)"),
    },
    branch="norm_second * sigmoid(excite)",
    mistakes={
        "gate without sigmoid": "relu(norm_second * excite + s)",
        "gate is activation": "relu(norm_second * activation(excite) + s)",
        "gate unused": "relu(norm_second + s)",
        "gate added": "relu(norm_second + sigmoid(excite) + s)",
        "gate alone": "relu(sigmoid(excite) + s)",
        "gate on shortcut": "relu(norm_second + sigmoid(excite) * s)",
        "gate on sum": "relu((norm_second + s) * sigmoid(excite))",
    },
)
STEM = Blueprint(
    "stem",
    {"first": conv(7, "x"), "norm_first": norm("first")},
    branch="norm_first",
    out="max_pool(relu(F))",
    label="name of stem",
)
SHORTCUTS = {
    "A": Blueprint("shortcut", projects="never"),
    "B": Blueprint("shortcut", projection=_PROJECTION),
    "C": Blueprint("shortcut", projection=_PROJECTION, projects="always"),
}

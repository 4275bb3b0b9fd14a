"""Find the parts of a block in what was observed: the branch, the shortcut, their batch norms."""

from dataclasses import dataclass
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.comparing import equal
from resnet_checks.observing import BATCH_NORM, CONVOLUTION, Call, Run


@dataclass(frozen=True)
class Layout:
    """What a kind of block has on its branch.

    Attributes:
        name: what the reports call the block.
        kernels: sizes of its convolutions' kernels, in order.
        layers: the sentence that the report gives for its layers.
        narrowing: how many times narrower its middle is than its output.
        strided: numbers of the convolutions that may have the stride, the usual one first.
        home: where the stride belongs, in words.
    """

    name: str
    kernels: tuple[int, ...]
    layers: str = ""
    narrowing: int = 1
    strided: tuple[int, ...] = (0,)
    home: str = "the first"


BASIC = Layout(
    "basic block", (3, 3), "two 3×3 convolutions without bias, each with its own batch norm"
)
BOTTLENECK = Layout(
    "bottleneck block",
    (1, 3, 1),
    "1×1, 3×3 and 1×1 convolution without bias, each with its own batch norm; the middle is a "
    "quarter as wide as the output",
    narrowing=4,
    strided=(1, 0),
    home="the 3×3 convolution, or on the first 1×1",
)
SHORTCUT_ALONE = Layout("shortcut", ())


@dataclass(frozen=True)
class Case:
    """What a block is asked for, and the input it is tried on."""

    in_channels: int
    out_channels: int
    stride: int
    name: str = ""
    layout: Layout = BASIC
    batch: int = 3
    height: int = 6
    width: int = 8

    @property
    def arguments(self) -> tuple[int, int, int]:
        return self.in_channels, self.out_channels, self.stride

    @property
    def changes_shape(self) -> bool:
        return self.stride != 1 or self.in_channels != self.out_channels

    @property
    def widths(self) -> list[int]:
        """Channels that each convolution on the branch should put out."""
        middle = self.out_channels // self.layout.narrowing
        return [middle] * (len(self.layout.kernels) - 1) + [self.out_channels]

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.in_channels, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        height, width = -(-self.height // self.stride), -(-self.width // self.stride)
        return self.batch, self.out_channels, height, width


class Parts:
    """The parts of a block in one run. Roles follow from the flow of data, not from names.

    A convolution belongs to the branch when it is in the longest chain of convolutions that
    starts at x; a convolution outside that chain belongs to the shortcut. Where the layout has no
    branch, all of them do.
    """

    def __init__(self, run: Run, case: Case):
        self.run = run
        self.case = case
        self.convolutions = run.of_kind(CONVOLUTION)
        for call in self.convolutions:
            absorb_padding(call)
        chains = self._chains() if case.layout.kernels else []
        self.branch = max(chains, key=self._rank, default=[])
        self.shortcut = [c for c in self.convolutions if c not in self.branch]
        for call in self.shortcut:
            _absorb_subsampling(call, run.x, case.stride)

    def _chains(self) -> list[list[Call]]:
        numbers = {call.number for call in self.convolutions}
        chains: dict[int, list[Call]] = {}
        for call in self.convolutions:
            root = min(call.after & numbers, default=call.number)
            chains.setdefault(root, []).append(call)
        return list(chains.values())

    @staticmethod
    def _rank(chain: list[Call]) -> tuple[int, bool]:
        return len(chain), any(kernel(call) != (1, 1) for call in chain)

    @cached_property
    def named(self) -> list[tuple[str, Call]]:
        """Each convolution with the name that the reports give it."""
        ordinals = ("first", "second", "third", "fourth", "fifth")
        named = [(f"{o} convolution", c) for o, c in zip(ordinals, self.branch, strict=False)]
        return named + [("projection", call) for call in self.shortcut]

    def norm_after(self, convolution: Call) -> Call | None:
        """The batch norm that reads what the convolution puts out."""
        for norm in self.run.of_kind(BATCH_NORM):
            if norm.number > convolution.number and equal(norm.input, convolution.output):
                return norm
        return None

    @property
    def middles(self) -> list[Tensor]:
        """What each convolution but the first should read: ReLU of the batch norm before it."""
        return [F.relu(self.norm_after(call).output) for call in self.branch[:-1]]

    @property
    def branch_output(self) -> Tensor:
        return self.norm_after(self.branch[-1]).output

    @property
    def shortcut_output(self) -> Tensor:
        return self.norm_after(self.shortcut[0]).output if self.shortcut else self.run.x


def absorb_padding(call: Call) -> None:
    """Read a border that was padded before a convolution, as nn.Conv2d does, as its own padding."""
    height, width = kernel(call)
    edge, size = height // 2, min(call.input.shape[2:])
    odd = height == width and height % 2 == 1
    if not odd or edge == 0 or size <= 3 * edge or padding(call) != (0, 0):
        return
    inner = call.input[..., edge:-edge, edge:-edge]
    for mode in ("constant", "reflect", "replicate", "circular"):
        if equal(F.pad(inner, (edge,) * 4, mode), call.input):
            call.input, call.padding_mode = inner, mode
            call.arguments["padding"] = edge
            return


def _absorb_subsampling(call: Call, x: Tensor, step: int) -> None:
    """Read every second value of x, taken before a 1×1 convolution, as its own stride."""
    alone = kernel(call) == (1, 1) and stride(call) == (1, 1)
    if step > 1 and alone and equal(call.input, x[..., ::step, ::step]):
        call.input = x
        call.arguments["stride"] = step


def pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    """A convolution's setting as PyTorch accepts it: one number stands for both directions."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return values * 2 if len(values) == 1 else values


def padding(call: Call) -> tuple[int, ...]:
    """Padding of a convolution in both directions; "same" and "valid" as numbers."""
    value = call.arguments.get("padding", 0)
    if value == "same":
        return tuple((size - 1) // 2 for size in kernel(call))
    return (0, 0) if value == "valid" else pair(value)


def stride(call: Call) -> tuple[int, ...]:
    """Stride of a convolution in both directions."""
    return pair(call.arguments.get("stride", 1))


def kernel(call: Call) -> tuple[int, ...]:
    """Height and width of a convolution's kernel."""
    return tuple(call.weight.shape[2:])

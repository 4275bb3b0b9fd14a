"""Find out which call in a run is which layer of a blueprint."""

from dataclasses import dataclass
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.blueprints import BASIC, Blueprint, Layer, evaluate
from resnet_checks.comparing import equal
from resnet_checks.observing import BATCH_NORM, CONVOLUTION, LINEAR, Call, Run, as_image
from resnet_checks.phrases import phrase


@dataclass(frozen=True)
class Case:
    """What a block is asked for, and the input it is tried on."""

    in_channels: int
    out_channels: int
    stride: int
    name: str = ""
    blueprint: Blueprint = BASIC
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
    def projects(self) -> bool:
        """Whether the shortcut should hold a projection."""
        when = self.blueprint.projects
        return when == "always" or (when == "changed" and self.changes_shape)

    @property
    def widths(self) -> list[int]:
        """Channels that each convolution on the branch should put out, where that is fixed."""
        shares = [layer.width for layer in self.blueprint.convolutions.values()]
        return [int(share * self.out_channels) for share in shares if share is not None]

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.in_channels, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        height, width = -(-self.height // self.stride), -(-self.width // self.stride)
        return self.batch, self.out_channels, height, width


class Roles:
    """The layers of a block in one run. Roles follow from the flow of data, not from names.

    A convolution belongs to the branch when it is in the longest chain of convolutions that
    starts at x; a convolution outside that chain belongs to the shortcut. Where the blueprint has
    no branch, all of them do. A norm is known by what it reads.
    """

    def __init__(self, run: Run, case: Case):
        self.run = run
        self.case = case
        kinds = {CONVOLUTION, *(layer.kind for layer in case.blueprint.convolutions.values())}
        self.convolutions = [call for call in run.calls if call.kind in kinds]
        for call in self.convolutions:
            absorb_padding(call)
        chains = self._chains() if case.blueprint.layers else []
        self.branch = max(chains, key=_rank, default=[])
        self.shortcut = [call for call in self.convolutions if call not in self.branch]
        for call in (*self.branch[:1], *self.shortcut):
            _absorb_subsampling(call, run.x, case.stride)

    def _chains(self) -> list[list[Call]]:
        numbers = {call.number for call in self.convolutions}
        chains: dict[int, list[Call]] = {}
        for call in self.convolutions:
            root = min(call.after & numbers, default=call.number)
            chains.setdefault(root, []).append(call)
        return list(chains.values())

    @cached_property
    def named(self) -> list[tuple[str, Call]]:
        """Each convolution with the name that the reports give it."""
        ordinals, counts = phrase("ordinals").split(), dict.fromkeys((CONVOLUTION, LINEAR), 0)
        kinds = [layer.kind for layer in self.case.blueprint.convolutions.values()]
        named = []
        for place, call in enumerate(self.branch):
            kind = kinds[place] if place < len(kinds) else call.kind
            ordinal = ordinals[min(counts[kind], len(ordinals) - 1)]
            key = self.case.blueprint.label if kind == CONVOLUTION else f"name of {kind}"
            named.append((phrase(key, ordinal=ordinal), call))
            counts[kind] += 1
        return named + [(phrase("projection"), call) for call in self.shortcut]

    @cached_property
    def equations(self) -> dict[str, Layer]:
        """The layers that there should be: the branch's, and the projection's where there is one.

        Only one convolution on the shortcut can be a projection.
        """
        blueprint = self.case.blueprint
        return blueprint.layers | (blueprint.projection if self.shortcut else {})

    @cached_property
    def calls(self) -> dict[str, Call]:
        """The call of each layer that was found, by the blueprint's names."""
        return self._found[0]

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """x, and what each layer that was found puts out."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[dict[str, Call], dict[str, Tensor]]:
        blueprint = self.case.blueprint
        calls = dict(zip(blueprint.convolutions, self.branch, strict=False))
        if self.shortcut and blueprint.projection:
            calls["projection"] = self.shortcut[0]
        values = {"x": self.run.x}
        for name, layer in self.equations.items():
            if layer.kind == BATCH_NORM and (norm := self.norm_on(values.get(layer.reads))):
                calls[name] = norm
            if name in calls:
                values[name] = as_image(calls[name].output)
        return calls, values

    def norm_on(self, value: Tensor | None) -> Call | None:
        """The first batch norm that reads the value."""
        norms = self.run.of_kind(BATCH_NORM)
        found = (norm for norm in norms if value is not None and equal(norm.input, value))
        return next(found, None)

    def label(self, name: str) -> str:
        """What the reports call a layer of the blueprint."""
        layer = self.equations[name]
        if layer.kind != BATCH_NORM:
            return next(label for label, call in self.named if call is self.calls[name])
        if layer.reads == "x":
            return phrase("norm of x")
        return phrase("norm of", name=self.label(layer.reads))

    def ordinal(self, name: str) -> str:
        """Which of the branch's convolutions it is, in words."""
        return phrase("ordinals").split()[list(self.case.blueprint.convolutions).index(name)]

    @property
    def norms(self) -> dict[str, Layer]:
        """The batch norms that there should be."""
        return {n: layer for n, layer in self.equations.items() if layer.kind == BATCH_NORM}

    @property
    def known_values(self) -> list[Tensor]:
        """x, and what each layer that ran puts out."""
        return [self.run.x, *(call.output for call in self.run.calls)]

    @property
    def branch_output(self) -> Tensor:
        return evaluate(self.case.blueprint.branch, self.values)

    @property
    def shortcut_output(self) -> Tensor:
        last = list(self.case.blueprint.projection)[-1] if self.shortcut else "x"
        return self.values[last]

    @property
    def right_output(self) -> Tensor:
        """What the blueprint makes of the reader's own layers."""
        values = {"s": self.shortcut_output}
        if self.case.blueprint.branch:
            values["F"] = self.branch_output
        return evaluate(self.case.blueprint.out, values)


def _rank(chain: list[Call]) -> tuple[int, bool]:
    return len(chain), any(kernel(call) != (1, 1) for call in chain)


def absorb_padding(call: Call) -> None:
    """Read a border that was padded before a convolution, as nn.Conv2d does, as its own padding."""
    height, width = kernel(call)
    edge, size = height // 2, min(call.input.shape[2:], default=0)
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
    """Height and width of a convolution's kernel; a linear layer is a 1×1 convolution."""
    return tuple(call.weight.shape[2:]) or (1, 1)

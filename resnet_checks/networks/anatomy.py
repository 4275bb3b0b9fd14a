"""Find the parts of a whole network in what was observed: stem, blocks, classifier."""

from dataclasses import dataclass, replace
from functools import cached_property

from resnet_checks.blueprints import BASIC, BOTTLENECK, STEM, Blueprint, bottleneck_of
from resnet_checks.observing import CONVOLUTION, LINEAR, Call, Run
from resnet_checks.roles import Case, Roles, absorb_padding, kernel

_AT_STEM = -1

_WIDE = bottleneck_of(1 / 2)
# The blocks of each stage, and what they are. He et al. 2015, Table 1; Xie et al. 2017, Table 1;
# Zagoruyko and Komodakis 2016, as torchvision has them.
NETWORKS = {
    "resnet18": ((2, 2, 2, 2), BASIC),
    "resnet34": ((3, 4, 6, 3), BASIC),
    "resnet50": ((3, 4, 6, 3), BOTTLENECK),
    "resnet101": ((3, 4, 23, 3), BOTTLENECK),
    "resnet152": ((3, 8, 36, 3), BOTTLENECK),
    "resnext50_32x4d": ((3, 4, 6, 3), bottleneck_of(1 / 2, groups=32)),
    "resnext101_32x8d": ((3, 4, 23, 3), bottleneck_of(1, groups=32)),
    "wide_resnet50_2": ((3, 4, 6, 3), _WIDE),
    "wide_resnet101_2": ((3, 4, 23, 3), _WIDE),
}


@dataclass(frozen=True)
class Plan:
    """What the network should be, and the images it is tried on."""

    blocks: tuple[int, ...]
    blueprint: Blueprint = BASIC
    num_classes: int = 7  # a number that nobody writes down for lack of an argument
    batch: int = 2
    height: int = 64
    width: int = 96

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.batch, 3, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.batch, self.num_classes

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels that the blocks of each stage put out."""
        expansion = 4 if len(self.blueprint.convolutions) == 3 else 1
        return tuple(expansion * width for width in (64, 128, 256, 512))

    @property
    def depth(self) -> int:
        """Convolutions on the main path."""
        return 1 + len(self.blueprint.convolutions) * len(self.cases)

    @property
    def stem(self) -> Case:
        size = {"batch": self.batch, "height": self.height, "width": self.width}
        return Case(3, 64, 2, "stem", STEM, **size)

    @cached_property
    def cases(self) -> list[Case]:
        """What each block should be, in order."""
        cases, before = [], (self.batch, 64, -(-self.height // 4), -(-self.width // 4))
        for stage, (width, number) in enumerate(zip(self.widths, self.blocks, strict=True), 1):
            for block in range(1, number + 1):
                batch, channels, high, wide = before
                size = {"batch": batch, "height": high, "width": wide}
                step, name = 2 if stage > 1 and block == 1 else 1, f"stage {stage}, block {block}"
                cases.append(Case(channels, width, step, name, self.blueprint, **size))
                before = cases[-1].output_shape
        return cases


class Anatomy:
    """The parts of a network in one run. Roles follow from the flow of data, not from names.

    The main path is the longest chain of convolutions, each of which depends on the one before.
    Its first is the stem, and as many as the blueprint has each make a block. A convolution beside
    that path belongs to the block whose input it depends on, and a norm to the block of the last
    convolution before it.
    """

    def __init__(self, run: Run, plan: Plan):
        self.run = run
        self.plan = plan
        self.each = len(plan.blueprint.convolutions)
        self.convolutions = run.of_kind(CONVOLUTION)
        for call in self.convolutions:
            absorb_padding(call)
        self.main = _longest_chain(self.convolutions)
        self.linear = run.of_kind(LINEAR)

    @cached_property
    def _owners(self) -> dict[int, int]:
        """The number of each convolution's block, by the number of its call."""
        owners = {call.number: (i - 1) // self.each for i, call in enumerate(self.main)}
        main = set(owners)
        for call in self.convolutions:
            place = (len(call.after & main) - 1) // self.each
            owners.setdefault(call.number, max(_AT_STEM, place))
        return owners

    def owner(self, call: Call) -> int:
        """The number of the block that a layer belongs to; -1 for the stem."""
        if call.number in self._owners:
            return self._owners[call.number]
        before = [self._owners[n] for n in call.after if n in self._owners]
        return max(before, default=_AT_STEM)

    def place(self, call: Call) -> str:
        """Where a layer stands, in words."""
        number = self.owner(call)
        if call.kind == LINEAR:
            return "the classifier"
        return "the stem" if number == _AT_STEM else self.plan.cases[number].name

    @cached_property
    def _members(self) -> dict[int, list[Call]]:
        """The layers of each block, but the classifier."""
        members: dict[int, list[Call]] = {}
        for call in self.run.calls:
            if call.input.dim() == 4 and call.kind != LINEAR:
                members.setdefault(self.owner(call), []).append(call)
        return members

    def _part(self, number: int, x, case: Case) -> Roles:
        return Roles(Run(x, x, self._input_of(number + 1), None, self._members[number]), case)

    @cached_property
    def stem(self) -> Roles:
        return self._part(_AT_STEM, self.run.x, self.plan.stem)

    @cached_property
    def blocks(self) -> list[Roles]:
        """The parts of each block that was seen, also of one whose run broke off.

        A block's output is what the next one reads. For the last block it is not known here.
        """
        numbered = enumerate(self.plan.cases)
        seen = ((number, self._input_of(number), case) for number, case in numbered)
        return [self._part(number, x, case) for number, x, case in seen if x is not None]

    def _input_of(self, number: int):
        place = 1 + self.each * number
        return self.main[place].input if place < len(self.main) else None

    @property
    def everything(self) -> list[Roles]:
        """The stem, whose convolution is the first one here, and the blocks."""
        case = replace(self.plan.stem, blueprint=replace(STEM, label="name of convolution"))
        return [Roles(self.stem.run, case), *self.blocks]


def _longest_chain(calls: list[Call]) -> list[Call]:
    """The longest chain of calls that depend on each other; 1×1 convolutions count a bit less."""
    chains: dict[int, tuple[float, list[Call]]] = {}
    for call in calls:
        before = (chains[number] for number in call.after if number in chains)
        length, chain = max(before, key=lambda entry: entry[0], default=(0.0, []))
        own = 0.999 if kernel(call) == (1, 1) else 1.0
        chains[call.number] = (length + own, [*chain, call])
    return max(chains.values(), key=lambda entry: entry[0], default=(0.0, []))[1]

"""Find the parts of a whole network in what was observed: stem, blocks, classifier."""

from dataclasses import dataclass
from functools import cached_property

from resnet_checks.observing import CONVOLUTION, LINEAR, Call, Run
from resnet_checks.parts import Case, Layout, Parts, absorb_padding, kernel

WIDTHS = (64, 128, 256, 512)
_STEM = Layout("stem", (7,))
_AT_STEM = -1


@dataclass(frozen=True)
class Plan:
    """What the network should be, and the images it is tried on."""

    blocks: tuple[int, ...]
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
    def stem(self) -> Case:
        size = {"batch": self.batch, "height": self.height, "width": self.width}
        return Case(3, 64, 2, "stem", _STEM, **size)

    @cached_property
    def cases(self) -> list[Case]:
        """What each block should be, in order."""
        cases, before = [], (self.batch, 64, self.height // 4, self.width // 4)
        for stage, (width, number) in enumerate(zip(WIDTHS, self.blocks, strict=True), 1):
            for block in range(1, number + 1):
                batch, channels, high, wide = before
                size = {"batch": batch, "height": high, "width": wide}
                step = 2 if stage > 1 and block == 1 else 1
                case = Case(channels, width, step, f"stage {stage}, block {block}", **size)
                cases.append(case)
                before = case.output_shape
        return cases


class Anatomy:
    """The parts of a network in one run. Roles follow from the flow of data, not from names.

    The main path is the longest chain of convolutions, each of which depends on the one before.
    Its first is the stem, and two each make a block. A convolution beside that path belongs to the
    block whose input it depends on, and a norm to the block of the last convolution before it.
    """

    def __init__(self, run: Run, plan: Plan):
        self.run = run
        self.plan = plan
        self.convolutions = run.of_kind(CONVOLUTION)
        for call in self.convolutions:
            absorb_padding(call)
        self.main = _longest_chain(self.convolutions)
        self.linear = run.of_kind(LINEAR)

    @cached_property
    def _owners(self) -> dict[int, int]:
        """The number of each convolution's block, by the number of its call."""
        owners = {call.number: (i - 1) // 2 for i, call in enumerate(self.main)}
        main = set(owners)
        for call in self.convolutions:
            owners.setdefault(call.number, max(_AT_STEM, (len(call.after & main) - 1) // 2))
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

    def _within(self, number: int) -> list[Call]:
        images = [call for call in self.run.calls if call.input.dim() == 4]
        return [c for c in images if c.kind != LINEAR and self.owner(c) == number]

    @cached_property
    def stem(self) -> Parts:
        image = self.run.x
        run = Run(image, image, self._input_of(0), None, self._within(_AT_STEM))
        return Parts(run, self.plan.stem)

    @cached_property
    def blocks(self) -> list[Parts]:
        """The parts of each block that was seen, also of one whose run broke off.

        A block's output is what the next one reads. For the last block it is not known here.
        """
        parts = []
        for number, case in enumerate(self.plan.cases):
            x = self._input_of(number)
            if x is not None:
                run = Run(x, x, self._input_of(number + 1), None, self._within(number))
                parts.append(Parts(run, case))
        return parts

    def _input_of(self, number: int):
        place = 1 + 2 * number
        return self.main[place].input if place < len(self.main) else None

    @property
    def everything(self) -> list[Parts]:
        return [self.stem, *self.blocks]


def _longest_chain(calls: list[Call]) -> list[Call]:
    """The longest chain of calls that depend on each other; 1×1 convolutions count a bit less."""
    chains: dict[int, tuple[float, list[Call]]] = {}
    for call in calls:
        before = (chains[number] for number in call.after if number in chains)
        length, chain = max(before, key=lambda entry: entry[0], default=(0.0, []))
        own = 0.999 if kernel(call) == (1, 1) else 1.0
        chains[call.number] = (length + own, [*chain, call])
    return max(chains.values(), key=lambda entry: entry[0], default=(0.0, []))[1]

"""A right basic block under names of its own, and two ways to plant a fault in it."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


def conv(c_in: int, c_out: int, stride: int = 1, k: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(
        c_in, c_out, k, **{"stride": stride, "padding": k // 2, "bias": False} | options
    )


def norm(c_in: int, c_out: int, stride: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(c_out)


def point(c_in: int, c_out: int, stride: int) -> nn.Conv2d:
    return conv(c_in, c_out, stride, 1)


class Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int = 1):
        super().__init__()
        self.a, self.na = conv(c_in, c_out, stride), nn.BatchNorm2d(c_out)
        self.b, self.nb = conv(c_out, c_out), nn.BatchNorm2d(c_out)
        self.way = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.way = nn.Sequential(conv(c_in, c_out, stride, 1), nn.BatchNorm2d(c_out))

    def half(self, x: Tensor) -> Tensor:
        return F.relu(self.na(self.a(x)))

    def branch(self, x: Tensor) -> Tensor:
        return self.nb(self.b(self.half(x)))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.way(x))


def forward(function: Callable[[Block, Tensor], Tensor]) -> type[Block]:
    """The block with another forward pass."""
    return type("Planted", (Block,), {"forward": function})


def layers(change: Callable[[Block, int, int, int], object]) -> type[Block]:
    """The block with layers changed after it is built, by `change(block, c_in, c_out, stride)`."""

    class Planted(Block):
        def __init__(self, c_in: int, c_out: int, stride: int = 1):
            super().__init__(c_in, c_out, stride)
            change(self, c_in, c_out, stride)

    return Planted


def replaced(**makers: Callable[[int, int, int], nn.Module]) -> type[Block]:
    """The block with the named layers made by `maker(c_in, c_out, stride)`."""

    def change(block: Block, *arguments: int) -> None:
        for name, maker in makers.items():
            setattr(block, name, maker(*arguments))

    return layers(change)


def way(*makers: Callable[[int, int, int], nn.Module], always: bool = False) -> type[Block]:
    """The block with the given layers on the shortcut, where the shape changes or always."""

    def change(block: Block, c_in: int, c_out: int, stride: int) -> None:
        if always or len(block.way):
            block.way = nn.Sequential(*(maker(c_in, c_out, stride) for maker in makers))

    return layers(change)


WIDTHS = (64, 128, 256, 512)


class Net(nn.Module):
    """A right network with basic blocks, under names of its own."""

    def __init__(self, classes: int, blocks: tuple[int, ...] = (2, 1, 1, 1), block=Block):
        super().__init__()
        self.start, self.nstart = conv(3, 64, 2, 7), nn.BatchNorm2d(64)
        self.shrink = nn.MaxPool2d(3, 2, 1)
        self.body, before = nn.ModuleList(), 64
        for width, number in zip(WIDTHS, blocks, strict=True):
            for i in range(number):
                self.body.append(block(before, width, 2 if width > 64 and i == 0 else 1))
                before = width
        self.out = nn.Linear(512, classes)

    def stem(self, x: Tensor) -> Tensor:
        return self.shrink(F.relu(self.nstart(self.start(x))))

    def trunk(self, x: Tensor) -> Tensor:
        for block in self.body:
            x = block(x)
        return x

    def head(self, x: Tensor) -> Tensor:
        return self.out(x.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(self.stem(x)))


def net(
    change: Callable[[Net], object] = lambda net: None, block=Block, **methods: Callable
) -> Callable[[int], Net]:
    """A maker of the network with other methods, and changed after it is built."""
    kind = type("PlantedNet", (Net,), methods)

    def make(classes: int) -> Net:
        made = kind(classes, block=block)
        change(made)
        return made

    return make

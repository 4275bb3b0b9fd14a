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

"""A residual network with a switch on each branch and each shortcut."""

import re
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_images, check_module
from resnet_lib.blocks import BasicBlock, Bottleneck

__all__ = ["Signals", "Switched", "branch_of", "residual_blocks"]


class Signals(NamedTuple):
    """What meets in a block before its switches, and what leaves it; each (N, C, H, W).

    Attributes:
        shortcut: the block's input, as the shortcut carries it.
        branch: F(x), what the convolutions make of the input.
        output: ReLU of the sum of what is switched on.
    """

    shortcut: Tensor
    branch: Tensor
    output: Tensor


class Switched(nn.Module):
    """A residual network whose blocks compute ReLU(b·F(x) + s·shortcut(x)), with b and s given.

    With all switches at 1 it gives the network's scores to the bit. A switch at 0 is a lesion, as
    Veit et al. 2016, section 4.1, cut branches out. Values between are allowed, and gradients go
    through. It holds the network's own modules, not copies. `names` are those of the blocks.

    Shapes: images (N, C, H, W), skips and branches (blocks,), to scores (N, num_classes) and a list
    with the `Signals` of each block.

    Args:
        model: a network of `BasicBlock` or `Bottleneck` with the modules conv1, bn1, perhaps
            maxpool, layer1, layer2, ..., fc, as `nets.ResNet` and `nets.CifarResNet`.

    Raises:
        TypeError: the model has no such modules, or its blocks have no shortcuts; in a call, the
            images are none.
        ValueError: in a call, there is not one switch of each kind for each block.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        blocks = residual_blocks(model)
        self.names = tuple(blocks)
        self.conv1, self.bn1, self.fc = model.conv1, model.bn1, model.fc
        none = nn.Identity().train(model.training)
        self.maxpool = getattr(model, "maxpool", none)
        self.blocks = nn.ModuleList(blocks.values())
        # What is new here gets the model's mode; its own parts keep theirs.
        self.training = self.blocks.training = model.training

    def forward(
        self, images: Tensor, skips: Tensor, branches: Tensor
    ) -> tuple[Tensor, list[Signals]]:
        check_images(images)
        for name, given in (("skips", skips), ("branches", branches)):
            if given.shape != (len(self.blocks),):
                one = f"one number for each of {len(self.blocks)} blocks"
                raise ValueError(f"{name} must be {one}, got {tuple(given.shape)}")
        x = self.maxpool(F.relu(self.bn1(self.conv1(images))))
        signals = []
        for number, block in enumerate(self.blocks):
            carried, made = block.downsample(x), branch_of(block, x)
            x = F.relu(branches[number] * made + skips[number] * carried)
            signals.append(Signals(carried, made, x))
        return self.fc(x.mean(dim=(2, 3))), signals


def residual_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The blocks of a residual network in the order in which they run, by their names.

    Raises:
        TypeError: the model is none that `Switched` takes.
    """
    check_module("model", model)
    parts = dict(model.named_children())
    if not {"conv1", "bn1", "layer1", "fc"} <= parts.keys():
        named = ", ".join(parts) or "no modules"
        raise TypeError(f"model must have conv1, bn1, layer1, ..., fc, got {named}")
    stages = [name for name in parts if re.fullmatch(r"layer\d", name)]
    blocks = {f"{s}.{n}": block for s in stages for n, block in parts[s].named_children()}
    for name, block in blocks.items():
        if not isinstance(block, BasicBlock | Bottleneck) or not block.residual:
            raise TypeError(f"model must have blocks with shortcuts, but {name} has none")
    return blocks


def branch_of(block: nn.Module, x: Tensor) -> Tensor:
    """F(x) of a `BasicBlock` or `Bottleneck`: its convolutions and batch norms, ReLU between them.

    Shapes: (N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉).
    """
    last = 3 if isinstance(block, Bottleneck) else 2
    for number in range(1, last + 1):
        x = getattr(block, f"bn{number}")(getattr(block, f"conv{number}")(x))
        x = F.relu(x) if number < last else x
    return x

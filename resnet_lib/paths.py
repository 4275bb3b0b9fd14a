"""The paths through a residual network: gradients along them, and networks that lack some.

A block multiplies a gradient by ReLU' · (shortcut + F'). With n blocks the product has 2ⁿ terms
when it is multiplied out: one for each path, which in every block takes the shortcut or the branch
(Veit et al. 2016, section 3). Together they are the gradient.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_images, check_labels
from resnet_lib.blocks import BasicBlock, Bottleneck, make_shortcut
from resnet_lib.switches import Switched, branch_of

__all__ = [
    "BlockPass",
    "Passes",
    "gradient_along",
    "gradient_by_length",
    "pass_blocks",
    "shortcut_of",
    "through_block",
    "without_blocks",
]


class BlockPass(NamedTuple):
    """What a batch left in one block; each (N, C, H, W), with the graph from `x`.

    Attributes:
        x: the block's input.
        shortcut: what the shortcut makes of it.
        branch: F(x).
    """

    x: Tensor
    shortcut: Tensor
    branch: Tensor


class Passes(NamedTuple):
    """A forward pass, cut between the blocks.

    Attributes:
        blocks: what each block saw and made.
        gradient: that of the loss at the last block's output, (N, C, H, W).
    """

    blocks: list[BlockPass]
    gradient: Tensor


def pass_blocks(model: nn.Module, images: Tensor, labels: Tensor) -> Passes:
    """Run a residual network forward and keep what the paths need on the way back.

    The loss is the cross-entropy, summed over the images, so that each image has its own gradient.
    Nothing of the model changes.

    Shapes: images (N, C, H, W), labels (N,) or, as shares, (N, classes).

    Raises:
        TypeError: the model is none that `switches.Switched` takes, or the images are none.
        ValueError: the model is in train mode, where batch norm couples the images; or images and
            labels do not fit.
    """
    check_images(images)
    check_labels(labels, images)
    switched = Switched(model)
    if any(module.training for module in switched.modules()):
        raise ValueError("model must be in eval mode, got one in train mode")
    blocks = []
    with torch.enable_grad():
        x = F.relu(switched.bn1(switched.conv1(images)))
        x = switched.maxpool(x)
        for block in switched.blocks:
            x = x.detach().requires_grad_()
            blocks.append(BlockPass(x, block.downsample(x), branch_of(block, x)))
            x = F.relu(blocks[-1].shortcut + blocks[-1].branch)
        x = x.detach().requires_grad_()
        scores = switched.fc(x.mean(dim=(2, 3)))
        loss = F.cross_entropy(scores, labels, reduction="sum")
        return Passes(blocks, torch.autograd.grad(loss, x)[0])


def through_block(block: BlockPass, gradient: Tensor, turn: int) -> Tensor:
    """Bring a gradient back through the ReLU of one block, and its shortcut (0) or branch (1).

    Shapes: (N, out_channels, H/s, W/s) to (N, in_channels, H, W).
    """
    way = block.branch if turn else block.shortcut
    gradient = gradient * (block.shortcut + block.branch > 0)
    return torch.autograd.grad(way, block.x, gradient, retain_graph=True)[0]


def gradient_along(passes: Passes, path: Sequence[int]) -> Tensor:
    """The gradient at the first block's input along one path.

    The path has for each block, from the first to the last, 1 (branch) or 0 (shortcut).

    Shape: (N, C, H, W).

    Raises:
        ValueError: the path is not one 0 or 1 for each block.
    """
    number = len(passes.blocks)
    if len(path) != number or not set(path) <= {0, 1}:
        raise ValueError(f"path must be one 0 or 1 for each of {number} blocks, got {path}")
    gradient = passes.gradient
    for block, turn in zip(reversed(passes.blocks), reversed(path), strict=True):
        gradient = through_block(block, gradient, turn)
    return gradient


def gradient_by_length(passes: Passes) -> Tensor:
    """The gradient at the first block's input, by the number k of branches it came through.

    It adds up all paths of a length at once, and exactly: one gradient for each k travels back, in
    about n²/2 steps for n blocks. (Veit et al. draw paths at random and measure those.)

    Shape: (n + 1, N, C, H, W), k from 0 to n; the sum over k is the gradient.
    """
    found = [passes.gradient]
    for block in reversed(passes.blocks):
        same = [through_block(block, gradient, 0) for gradient in found]
        longer = [through_block(block, gradient, 1) for gradient in found]
        none = torch.zeros_like(same[0])
        pairs = zip([*same, none], [none, *longer], strict=True)
        found = [one + other for one, other in pairs]
    return torch.stack(found)


def without_blocks(model: nn.Module, *names: str) -> nn.Module:
    """A copy of the network in which only the shortcuts of the named blocks are left.

    That is the lesion of Veit et al. 2016, section 4.1: half of all paths go with each block. In a
    plain twin a block has no shortcut, and option A's takes its place: the block is bridged.

    Raises:
        ValueError: a name is not that of a `BasicBlock` or `Bottleneck` in the model.
    """
    model = copy.deepcopy(model)
    kinds = BasicBlock | Bottleneck
    blocks = {name: m for name, m in model.named_modules() if isinstance(m, kinds)}
    for name in names:
        if name not in blocks:
            raise ValueError(f"names must be of {', '.join(blocks)}, got {name!r}")
        # What comes out of a block is never negative; a projection's output may be.
        bridge = nn.Sequential(shortcut_of(blocks[name]), nn.ReLU())
        model.set_submodule(name, bridge.train(blocks[name].training))
    return model


def shortcut_of(block: nn.Module) -> nn.Module:
    """The shortcut of a `BasicBlock` or `Bottleneck`; for a plain one, that of option A.

    Raises:
        ValueError: the block is plain and has fewer channels behind it than in front.
    """
    if block.residual:
        return block.get_submodule("downsample")
    convs = [m for m in block.children() if isinstance(m, nn.Conv2d)]
    channels = convs[0].in_channels, convs[-1].out_channels
    return make_shortcut(*channels, max(conv.stride[0] for conv in convs), "A")

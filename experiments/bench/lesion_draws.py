"""What experiments/lesions.py draws: what to delete, what to swap, paths."""

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.lesion_subjects import STAGES
from resnet_lib.paths import Passes, through_block, without_blocks

Pair = tuple[str, int, int]


def different(draw: Callable[[], list], draws: int) -> list[list]:
    """So many draws, each another one; fewer where no more turn up."""
    found: list[list] = []
    for _ in range(100 * draws):  # a small network has fewer pairs of blocks than draws
        one = draw()
        if one not in found and len(found) < draws:
            found.append(one)
    return found


def subset(parts: list, number: int, dice: random.Random) -> list:
    """So many of the parts, in their order."""
    return [parts[place] for place in sorted(dice.sample(range(len(parts)), number))]


def pairs_of(stage: str, places: list[int]) -> list[tuple[int, int]]:
    """All pairs of places of a stage whose blocks keep the shape."""
    first = 0 if stage == "layer1" else 1
    return [(a, b) for a in places[first:] for b in places[first:] if a < b]


def most_swaps(model: nn.Module) -> int:
    """How many swaps there can be of which none touches another's blocks."""
    return sum((len(getattr(model, stage)) - (stage != "layer1")) // 2 for stage in STAGES)


def swaps(model: nn.Module, number: int, dice: random.Random) -> list[Pair]:
    """So many pairs of blocks, none of them twice: no swap undoes another."""
    places = {stage: list(range(len(getattr(model, stage)))) for stage in STAGES}
    pairs = [(s, a, b) for s in STAGES for a, b in pairs_of(s, places[s])]
    dice.shuffle(pairs)
    chosen: list[Pair] = []
    for stage, a, b in pairs:
        touched = {(s, place) for s, *both in chosen for place in both}
        if len(chosen) < number and not touched & {(stage, a), (stage, b)}:
            chosen.append((stage, a, b))
    return sorted(chosen)


def reordered(model: nn.Module, pairs: list[Pair]) -> nn.Module:
    """The network with these pairs of blocks swapped."""
    other = without_blocks(model)
    for stage, a, b in pairs:
        blocks = list(getattr(other, stage))
        blocks[a], blocks[b] = blocks[b], blocks[a]
        setattr(other, stage, nn.Sequential(*blocks))
    return other


def own_paths(passes: Passes, turns: Tensor) -> Tensor:
    """The gradient at the first block's input, of each image along a path of its own.

    Shapes: turns (N, blocks), 1 for a branch and 0 for a shortcut; to (N, C, H, W).
    """
    gradient = passes.gradient
    for block, turn in zip(reversed(passes.blocks), reversed(turns.unbind(dim=1)), strict=True):
        branch = turn[:, None, None, None].to(gradient)
        shortcut = through_block(block, gradient * (1 - branch), 0)
        gradient = shortcut + through_block(block, gradient * branch, 1)
    return gradient


def turns_of(images: int, blocks: int, length: int, dice: random.Random) -> Tensor:
    """A random path of one length for each image; (N, blocks)."""
    turns = torch.zeros(images, blocks)
    for row in turns:
        row[dice.sample(range(blocks), length)] = 1
    return turns

"""Channels taken out of a network's blocks."""

import copy

import torch
from torch import Tensor, nn

from resnet_lib.arguments import check_choice, check_module, check_number
from resnet_lib.blocks import BasicBlock, Bottleneck

CRITERIA = ("l1", "gamma", "random")
"""What a channel is judged by; see `prune_channels`."""


def prune_channels(
    model: nn.Module, share: float, by: str = "l1", generator: torch.Generator | None = None
) -> nn.Module:
    """A copy of a network whose blocks have lost a share of their inner channels.

    Inner channels are those between a block's convolutions: one goes with its filter, its batch
    norm and the weights of the next convolution that read it. A block's input and output keep all
    theirs, for they belong to the shortcut and with it to all blocks of a stage.

    Batch norm keeps the whole network's running statistics, which do not fit the cut one: estimate
    them anew before it is judged, with `torch.optim.swa_utils.update_bn` for instance.

    The widths depend on `share` alone. So weights of a pruned network load, strictly, into the
    same network pruned by the same share.

    Args:
        model: a network of `BasicBlock` or `Bottleneck`.
        share: share of each block's inner channels to remove, from 0 to below 1; rounded, and at
            least one channel stays.
        by: which go first. "l1": filters with the smallest sum of absolute weights (Li et al.
            2017). "gamma": those with the smallest factor in batch norm (Liu et al. 2017).
            "random": any.
        generator: what "random" draws from; None: torch's global one.

    Raises:
        TypeError: `share` is no number, or the model has no such blocks.
        ValueError: `share` is out of range, or there is no such criterion.
    """
    check_module("model", model)
    check_number("share", share, 0)
    if share >= 1:
        raise ValueError(f"share must be at least 0 and below 1, got {share!r}")
    check_choice("by", by, CRITERIA)
    pruned = copy.deepcopy(model)
    blocks = [part for part in pruned.modules() if isinstance(part, BasicBlock | Bottleneck)]
    if not blocks:
        raise TypeError(f"model must have BasicBlock or Bottleneck, got {type(model).__name__}")
    for block in blocks:
        _prune(block, 1, share, by, generator)
        if isinstance(block, Bottleneck):
            _prune(block, 2, share, by, generator)
    return pruned


def _prune(
    block: nn.Module, number: int, share: float, by: str, generator: torch.Generator | None
) -> None:
    """Remove channels between the block's convolution of that number and the next one."""
    conv, bn = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
    scores = {
        "l1": lambda: conv.weight.abs().sum(dim=(1, 2, 3)),
        "gamma": lambda: bn.weight.abs(),
        "random": lambda: torch.rand(conv.out_channels, generator=generator),
    }[by]()
    kept = max(1, round((1 - share) * conv.out_channels))
    channels = scores.detach().topk(kept).indices.sort().values.to(conv.weight.device)
    following = getattr(block, f"conv{number + 1}")
    setattr(block, f"conv{number}", _with_channels(conv, outputs=channels))
    setattr(block, f"bn{number}", _with_channels(bn, outputs=channels))
    setattr(block, f"conv{number + 1}", _with_channels(following, inputs=channels))


def _with_channels(
    layer: nn.Module, outputs: Tensor | None = None, inputs: Tensor | None = None
) -> nn.Module:
    """The layer with these of its outputs, or these of its inputs."""
    smaller = copy.deepcopy(layer)
    dim, channels = (0, outputs) if inputs is None else (1, inputs)
    for name, old in [*layer.named_parameters(), *layer.named_buffers()]:
        if old.dim() > dim:  # not the count of batches
            new = old.detach().index_select(dim, channels)
            if isinstance(old, nn.Parameter):
                new = nn.Parameter(new, old.requires_grad)
            setattr(smaller, name, new)
    names = ("out_channels", "num_features") if dim == 0 else ("in_channels",)
    for name in names:
        if hasattr(smaller, name):
            setattr(smaller, name, len(channels))
    return smaller

"""Batch norm folded into the convolution in front of it."""

import copy

import torch
from torch import fx, nn


@torch.no_grad()
def folded(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that computes what `conv` and then `bn` do in eval mode.

    In eval mode batch norm is γ·(z − μ)/√(σ² + ε) + β with constants, so it scales and shifts each
    channel of z = w∗x + b. The scale s = γ/√(σ² + ε) goes into the weights, the rest into the bias:
    s·w and s·(b − μ) + β.

    Raises:
        ValueError: `bn` is in train mode or keeps no running statistics; then they are not
            constants.
    """
    if bn.training or bn.running_mean is None:
        reason = "is in train mode" if bn.training else "keeps no running statistics"
        raise ValueError(f"bn must be in eval mode, with running statistics, but it {reason}")
    gamma, beta = (bn.weight, bn.bias) if bn.affine else (1.0, 0.0)
    before = 0.0 if conv.bias is None else conv.bias
    scale = gamma * (bn.running_var + bn.eps).rsqrt()
    fused = copy.deepcopy(conv)
    fused.weight = nn.Parameter(scale[:, None, None, None] * conv.weight, False)
    fused.bias = nn.Parameter(scale * (before - bn.running_mean) + beta, False)
    return fused


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy of a network in which every batch norm that can be is folded, for inference.

    A batch norm is folded where it is the only one to read a convolution; `torch.fx` follows the
    data to see that. An identity stands in its place, so modules keep their names. The copy is not
    to be trained: it has lost its normalisation, and folded weights take no gradient.

    Args:
        model: a network in eval mode.

    Raises:
        ValueError: a batch norm to be folded is in train mode or keeps no running statistics.
        TypeError: `torch.fx` cannot follow the network, because its path depends on its input.
    """
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:
        raise TypeError(f"model must be one that torch.fx can follow; it says: {error}") from error
    parts = dict(model.named_modules(remove_duplicate=False))
    calls = [node for node in graph.nodes if node.op == "call_module"]
    uses = [parts[node.target] for node in calls]
    fused = copy.deepcopy(model)
    for node in calls:
        bn = parts[node.target]
        before = node.all_input_nodes[0] if isinstance(bn, nn.BatchNorm2d) else None
        if before is None or before.op != "call_module":
            continue
        conv = parts[before.target]
        alone = len(before.users) == uses.count(conv) == uses.count(bn) == 1
        if isinstance(conv, nn.Conv2d) and alone:
            fused.set_submodule(before.target, folded(conv, bn))
            fused.set_submodule(node.target, nn.Identity())
    return fused

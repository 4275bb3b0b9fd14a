"""The classifier at the end of a network: dropout in front of it, or another in its place."""

import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_module, check_positive


class DropoutLinear(nn.Linear):
    """A linear layer that drops each of its inputs with probability `share`, in train mode only.

    It takes over the parameters of another linear layer. One layer, not `Dropout` and `Linear` in
    a row, because the parameters' names then stay as they are.
    """

    def __init__(self, linear: nn.Linear, share: float):
        nn.Module.__init__(self)  # nn.Linear's would draw new weights
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.share = share
        self.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, self.share, self.training))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, share={self.share}"


def add_dropout(model: nn.Module, share: float, head: str = "fc") -> nn.Module:
    """Put dropout (Srivastava et al. 2014) in front of a network's classifier, in place.

    What is not dropped is divided by 1 - share in train mode, and nothing happens in eval mode.
    The classifier keeps its parameters under their names: state dicts load as before, strictly,
    and an optimiser that holds the parameters goes on. Its hooks are not taken over. A second call
    replaces the share. He et al. 2015 use no dropout. Returns the same model.

    Args:
        model: the network.
        share: probability with which an input of the classifier is dropped, from 0 to below 1.
        head: the classifier's name within the model, with dots where it lies deeper.

    Raises:
        TypeError: `share` is no number, or `head` no string.
        ValueError: `share` is out of range, or `head` names no linear layer of the model.
    """
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise TypeError(f"share must be a number, got {share!r}")
    if not 0 <= share < 1:
        raise ValueError(f"share must be at least 0 and below 1, got {share!r}")
    linear = _linear(model, head)
    parent, _, name = head.rpartition(".")
    setattr(model.get_submodule(parent), name, DropoutLinear(linear, float(share)))
    return model


def replace_head(model: nn.Module, num_classes: int, head: str = "fc") -> nn.Module:
    """Put a new linear layer in the place of a network's classifier, for other classes.

    Its weights are drawn from torch's global generator, as `nn.Linear` does; all other weights
    stay. It lies on the old one's device, with its number format and mode. Dropout in front of the
    old one is gone. Returns the same model.

    Args:
        model: the network.
        num_classes: outputs of the new classifier.
        head: the classifier's name within the model, with dots where it lies deeper.

    Raises:
        TypeError: `num_classes` is no whole number, or `head` no string.
        ValueError: `num_classes` is below 1, or `head` names no linear layer of the model.
    """
    check_positive(num_classes=num_classes)
    old = _linear(model, head)
    how = {"device": old.weight.device, "dtype": old.weight.dtype}
    new = nn.Linear(old.in_features, num_classes, old.bias is not None, **how)
    parent, _, name = head.rpartition(".")
    setattr(model.get_submodule(parent), name, new.train(old.training))
    return model


def _linear(model: nn.Module, head: str) -> nn.Linear:
    if not isinstance(head, str):
        raise TypeError(f"head must be a name, as 'fc', got {head!r}")
    check_module("model", model)
    linear = {name: m for name, m in model.named_modules() if name and isinstance(m, nn.Linear)}
    if head not in linear:
        known = ", ".join(linear) or "none"
        raise ValueError(f"head must name a linear layer of the model ({known}), got {head!r}")
    return linear[head]

"""Parts of a network that stay as they are while the rest is trained."""

from torch import nn


def freeze(model: nn.Module, *parts: str) -> nn.Module:
    """Take parts of a network out of the training, in place: no gradients, and eval mode.

    The mode matters where a part has batch norm. In train mode its running statistics move with
    every batch, frozen or not, and it normalises by the batch. `model.train()` sets it back to
    train mode: freeze after it. `train.fit` leaves it in eval mode. Returns the same model.

    Args:
        model: the network.
        parts: names of modules within it, as "layer1"; none stands for the whole network.

    Raises:
        TypeError: a part is no string.
        ValueError: a part is no module of the model.
    """
    known = dict(model.named_modules())
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"parts must be names, as 'layer1', got {part!r}")
        if part not in known or not part:
            children = ", ".join(name for name, _ in model.named_children())
            raise ValueError(f"parts must be modules of it ({children}), got {part!r}")
    for part in parts or ("",):
        known[part].requires_grad_(False).eval()
    return model

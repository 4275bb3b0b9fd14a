"""How a network's weights begin."""

from torch import nn

from resnet_lib.blocks import BasicBlock, Bottleneck


def he_init(model: nn.Module) -> nn.Module:
    """Draw every convolution's weights as He et al. 2015 (arXiv:1502.01852, eq. 14) do, in place.

    Weights come from a normal distribution of variance 2 / fan_out, with fan_out =
    k² · out_channels: the backward form, which torchvision uses. Returns the same model.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def zero_gamma(model: nn.Module) -> nn.Module:
    """Set the scale of each block's last batch norm to 0, in place: every branch begins as F = 0.

    Goyal et al. 2017 (arXiv:1706.02677), section 5.1; torchvision's `zero_init_residual`. A block
    then computes ReLU(shortcut(x)) until training moves γ. Returns the same model.

    Raises:
        ValueError: no block of `resnet_lib.blocks` is in the model, a block has no additions (in
            a plain twin the zeros would cut the only path), or a block's last batch norm is gone
            or has no γ.
    """
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock | Bottleneck)]
    if not blocks:
        raise ValueError("model must hold a BasicBlock or a Bottleneck, got none")
    if not all(block.residual for block in blocks):
        raise ValueError(
            "model must be residual: in its plain twin γ = 0 would cut the only path, "
            "got a block with residual=False"
        )
    last = [block.bn3 if isinstance(block, Bottleneck) else block.bn2 for block in blocks]
    for norm in last:
        if not isinstance(norm, nn.BatchNorm2d) or norm.weight is None:
            raise ValueError(f"each block must end with a batch norm that has γ, got {norm}")
    for norm in last:
        nn.init.zeros_(norm.weight)
    return model

"""The network as a run needs it: on its device, in its layout, with modes to train in."""

import torch
from torch import nn

from resnet_lib.train.config import TrainConfig
from resnet_lib.train.processes import World

__all__ = ["infinite_buffers", "prepared", "training_modes"]


def training_modes(model: nn.Module) -> dict[nn.Module, bool]:
    """Each module's mode in training: its own.

    A network that is wholly in eval mode is put into train mode, apart from its frozen parts.
    """
    modes = {module: module.training for module in model.modules()}
    if any(modes.values()):
        return modes
    frozen = {inner for part in modes if _is_frozen(part) for inner in part.modules()}
    return {module: module not in frozen for module in modes}


def _is_frozen(part: nn.Module) -> bool:
    wanted = [parameter.requires_grad for parameter in part.parameters()]
    return bool(wanted) and not any(wanted)


def infinite_buffers(model: nn.Module) -> set[str]:
    """Names of the buffers that are not finite before the run, as a mask of attention is."""
    return {
        name
        for name, value in model.named_buffers()
        if value.is_floating_point() and not value.isfinite().all()
    }


def prepared(model: nn.Module, config: TrainConfig, world: World) -> nn.Module:
    """The model on its device, in its layout, with synchronised batch norms where asked for."""
    if config.sync_batch_norm:
        if world.device.type != "cuda":
            raise ValueError(
                f"sync_batch_norm needs GPUs (PyTorch has it there only), got {world.device.type}"
            )
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.to(world.device)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)
    return model

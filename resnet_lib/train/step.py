"""One update of the weights."""

import contextlib

from torch import Tensor, nn

from resnet_lib.train.counting import count
from resnet_lib.train.precision import autocast, widened
from resnet_lib.train.processes import moved
from resnet_lib.train.state import TrainState

__all__ = ["training_step"]


def training_step(state: TrainState, images: Tensor, labels: Tensor) -> None:
    """Update the weights once, with the gradient of one batch's mean loss.

    The batch goes through the network in `micro_batches` parts, whose gradients add up. Each part
    counts by its number of samples, so the last one may be shorter.
    """
    config, world, k = state.config, state.world, state.config.micro_batches
    images, labels = moved(images, labels, world.device, config.channels_last)
    state.optimizer.zero_grad()
    parts = list(zip(images.chunk(k), labels.chunk(k), strict=True))
    for number, (inputs, targets) in enumerate(parts, start=1):
        # Several processes average their gradients once, after the last part.
        alone = world.size == 1 or number == len(parts)
        with contextlib.nullcontext() if alone else state.net.no_sync():
            with autocast(world.device, config.precision):
                scores = state.net(inputs)  # (n, K)
            loss = state.objective(widened(scores), targets)
            state.scaler.scale(loss * (len(inputs) / len(images))).backward()
        count(state.sums, loss * len(inputs), scores, targets)
    if config.clip_norm is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.end_step()

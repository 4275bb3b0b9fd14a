"""Evaluation: averages over samples, and the network left as it was."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.train.counting import count, new_sums
from resnet_lib.train.precision import DTYPES, autocast, widened
from resnet_lib.train.processes import World, device_of, moved

__all__ = ["Evaluation", "eval_mode", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns: averages over samples.

    Attributes:
        loss: cross-entropy in nats, without label smoothing.
        accuracy: share of right answers, of 1.
        samples: how many there were.
    """

    loss: float
    accuracy: float
    samples: int


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    precision: str = "fp32",
    channels_last: bool = False,
    world: World | None = None,
) -> Evaluation:
    """Loss and accuracy over all samples of `batches`, in eval mode.

    The loss is averaged over samples, not over batches, so a short last batch counts for what it
    holds. With several processes each brings its own batches, and all get the same result.

    Args:
        model: gives (N, K) scores for (N, C, H, W) images. It stays on its device, and each of
            its layers keeps its mode.
        batches: images and int64 labels.
        precision: number format, one of `PRECISIONS`.
        channels_last: whether to lay the images out with their channels side by side.
        world: the processes; None: alone, on the model's device.

    Raises:
        ValueError: there is no sample, or `precision` is unknown.
    """
    if precision not in DTYPES:
        raise ValueError(f"precision must be one of {', '.join(DTYPES)}, got {precision!r}")
    world = world or World(device_of(model))
    sums = new_sums(world.device)
    with eval_mode(model), torch.no_grad():
        for images, labels in batches:
            images, labels = moved(images, labels, world.device, channels_last)
            with autocast(world.device, precision):
                scores = model(images)  # (N, K)
            loss = F.cross_entropy(widened(scores), labels, reduction="sum")
            count(sums, loss, scores, labels)
    loss, right, samples = world.sum(sums).tolist()
    if not samples:
        raise ValueError("batches must hold at least one sample, got none")
    return Evaluation(loss / samples, right / samples, int(samples))


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; layers that were frozen in eval mode before stay so after."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode

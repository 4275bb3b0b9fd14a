"""The loss at one point of the weights, and what the functions of this package ask for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from torch.func import functional_call

from resnet_lib.arguments import check_choice, check_module, refusal

STATISTICS = ("batch", "running")
"""What batch norm may normalise by: each batch's own mean and variance, or the running ones."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)

Direction = dict[str, Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def modes(model: nn.Module, statistics: str) -> Iterator[None]:
    """Eval mode for a while, with batch norm in train mode where each batch is to count."""
    before = {module: module.training for module in model.modules()}
    model.eval()
    for module in before:
        if statistics == "batch" and isinstance(module, NORMS):
            module.train()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def losses(
    model: nn.Module, weights: Direction, batches: Batches, loss_function: Loss
) -> Iterator[tuple[int, Tensor]]:
    """For each batch, its number of images and its loss at these weights.

    The model's own weights are not touched, and neither are its running statistics: batch norm
    writes to copies.

    Raises:
        ValueError: there is no image.
    """
    empty = True
    for images, labels in batches:
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        outputs = functional_call(model, (weights, buffers), (images,))
        yield len(images), loss_function(outputs, labels)
        empty = False
    if empty:
        raise refusal("batches", "must hold at least one image, got none")


def check_all(model: nn.Module, batches: Batches, statistics: str, **directions: Direction) -> None:
    """Refuse arguments that the functions of this package cannot work with.

    Raises:
        TypeError: the model is no module, a direction no dictionary, or `batches` can be gone
            through only once.
        ValueError: `statistics` is unknown, or a direction is none of this model.
    """
    check_module("model", model)
    check_choice("statistics", statistics, STATISTICS)
    if isinstance(batches, Iterator):
        reason = "must be a list or the like, to be gone through again and again, got an iterator"
        raise refusal("batches", reason, TypeError)
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    for argument, direction in directions.items():
        if not isinstance(direction, Mapping):
            reason = f"must hold a tensor for each parameter, got {type(direction).__name__}"
            raise refusal(argument, reason, TypeError)
        for name in shapes.keys() | direction.keys():
            wanted, got = shapes.get(name), getattr(direction.get(name), "shape", None)
            if wanted != got:
                shown = [value and tuple(value) for value in (wanted, got)]
                reason = "must hold a tensor for each parameter of the model, of its shape"
                raise refusal(argument, f"{reason}: {name} is {shown[0]} there, got {shown[1]}")

"""The forward signal: what each layer puts out, and in which shape."""

from typing import NamedTuple

from torch import Tensor, nn

from resnet_lib.probes.running import observe, preserved


class ActivationStatistics(NamedTuple):
    """What one layer put out: its mean, standard deviation and share of exact zeros (0 to 1)."""

    layer: str
    kind: str
    mean: float
    std: float
    zeros: float


class LayerShape(NamedTuple):
    """One call of one layer: shapes of its input and output, and the parameters it owns."""

    layer: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int


def activation_statistics(
    model: nn.Module, inputs: Tensor, kinds: type | tuple[type, ...] | None = None
) -> list[ActivationStatistics]:
    """Mean, standard deviation and share of zeros of each layer's output, in order of the calls.

    Args:
        model: any module; it runs in the mode it is in.
        inputs: a batch (N, ...) on the model's device.
        kinds: classes of the modules to report; by default every module without children.
            Of a layer that returns several tensors, the first is reported.

    Raises:
        ValueError: the batch is empty.
    """

    def record(name: str, module: nn.Module, _: object, output: Tensor) -> ActivationStatistics:
        values = output.detach().double()
        return ActivationStatistics(
            name,
            type(module).__name__,
            values.mean().item(),
            values.std(correction=0).item(),
            (values == 0).double().mean().item(),
        )

    return observe(model, inputs, kinds, record)


def trace_shapes(
    model: nn.Module, inputs: Tensor, kinds: type | tuple[type, ...] | None = None
) -> list[LayerShape]:
    """Shapes at each layer and its parameter count, in order of the calls, in eval mode.

    Args:
        model: any module.
        inputs: a batch (N, ...) on the model's device.
        kinds: classes of the modules to report; by default every module without children.
            Of a layer that takes or returns several tensors, the first is reported; the input
            shape of a layer that takes none is ().

    Raises:
        ValueError: the batch is empty.
    """

    def record(name: str, module: nn.Module, given: Tensor | None, output: Tensor) -> LayerShape:
        parameters = sum(p.numel() for p in module.parameters())
        kind, shape = type(module).__name__, () if given is None else tuple(given.shape)
        return LayerShape(name, kind, shape, tuple(output.shape), parameters)

    with preserved(model):
        return observe(model.eval(), inputs, kinds, record)

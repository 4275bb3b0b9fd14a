"""The forward signal: what each layer puts out, and in which shape."""

from typing import NamedTuple

from torch import Tensor, nn

from resnet_lib.probes.inputs import check_values
from resnet_lib.probes.precision import exactly
from resnet_lib.probes.running import preserved, unwrapped
from resnet_lib.probes.watching import observe


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

    They are taken in double precision, on the CPU where the device has none.

    Args:
        model: any module; it runs in the mode it is in.
        inputs: a batch (N, ...) on the model's device; a tuple or dictionary of several inputs.
        kinds: classes of the modules to report; by default every module without children.
            Of a layer that returns several tensors, the first is reported.

    Raises:
        TypeError: the model is no module, or the inputs hold no tensor.
        ValueError: the batch is empty or on the meta device, the model has no module of these
            kinds, or none of them can be seen; a warning names those that were not.
    """
    model = unwrapped(model)
    check_values(model, inputs)

    def record(name: str, module: nn.Module, _: object, output: Tensor) -> ActivationStatistics:
        values = exactly(output)
        return ActivationStatistics(
            name,
            type(module).__name__,
            values.mean().item(),
            values.std(correction=0).item(),
            (values == 0).to(values.dtype).mean().item(),
        )

    return observe(model, inputs, kinds, record)


def trace_shapes(
    model: nn.Module, inputs: Tensor, kinds: type | tuple[type, ...] | None = None
) -> list[LayerShape]:
    """Shapes at each layer and its parameter count, in order of the calls, in eval mode.

    Args:
        model: any module.
        inputs: a batch (N, ...) on the model's device, which may be the meta device; a tuple or
            dictionary of several inputs.
        kinds: classes of the modules to report; by default every module without children.
            Of a layer that takes or returns several tensors, the first is reported; the input
            shape of a layer that takes none is ().

    Raises:
        TypeError: the model is no module, or the inputs hold no tensor.
        ValueError: the batch is empty, the model has no module of these kinds, or none of them
            can be seen; a warning names those that were not.
    """
    model = unwrapped(model)
    with preserved(model):
        return observe(model.eval(), inputs, kinds, layer_shape)


def layer_shape(name: str, module: nn.Module, given: Tensor | None, output: Tensor) -> LayerShape:
    """The row of one call."""
    kind, shape = type(module).__name__, () if given is None else tuple(given.shape)
    return LayerShape(
        name, kind, shape, tuple(output.shape), sum(p.numel() for p in module.parameters())
    )

"""Measure what flows through any network, and leave the network as it was.

Each probe runs the model once and then puts back what the run changed: batch-norm statistics
and other buffers, train or eval mode, `.grad`, torch's random-number generators. No hook stays
behind, also when the model raises.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "ActivationStatistics",
    "LayerShape",
    "activation_statistics",
    "gradient_norms",
    "preserved",
    "trace_shapes",
]


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


@contextmanager
def preserved(model: nn.Module) -> Iterator[nn.Module]:
    """Run a `with` body, then restore the model's buffers, modes and gradients, and the RNGs.

    The body works on copies of the buffers and finds no gradients, so that a backward pass that
    is still to come finds what it saved. Parameters are not copied: the body must not train them.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(m, name, b) for m in model.modules() for name, b in m.named_buffers(recurse=False)]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    copies: dict[int, Tensor] = {}  # by identity: a buffer that modules share stays shared
    # With several GPUs, fork_rng warns unless they are named.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else None
    with torch.random.fork_rng(devices=devices):
        try:
            for module, name, buffer in buffers:
                module._buffers[name] = copies.setdefault(id(buffer), buffer.detach().clone())
            for parameter, _ in gradients:
                parameter.grad = None
            yield model
        finally:
            for module, training in modes:
                module.training = training
            for module, name, buffer in buffers:
                module._buffers[name] = buffer
            for parameter, gradient in gradients:
                parameter.grad = gradient


def gradient_norms(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss_function: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> dict[str, float]:
    """Euclidean norm of the loss gradient for each layer's weights, in order of definition.

    A layer is a module that owns weights of two or more dimensions (convolution, linear, ...);
    biases and the scales of batch norm are left out, and so are frozen weights. A weight that
    the loss does not depend on has norm 0. The model runs in the mode it is in. Norms are summed
    in double precision: squares of small float32 gradients would fall below float32's range and
    print as 0.

    Args:
        model: any module that maps `inputs` to what the loss takes.
        inputs: a batch (N, ...) on the model's device.
        targets: N class indices, or what `loss_function` takes.
        loss_function: maps (outputs, targets) to a scalar.

    Raises:
        TypeError: the inputs are no tensor, or the default loss meets outputs that are none.
        ValueError: the batch is empty, the numbers of inputs and targets differ, a class index
            is out of the default loss's range, or no layer has a trainable weight.
    """
    _check_batch(inputs)
    if len(targets) != len(inputs):
        raise ValueError(
            f"targets must have one entry per input ({len(inputs)}), got {len(targets)}"
        )
    weights = [
        (name, weight)
        for name, module in model.named_modules()
        for weight in module.parameters(recurse=False)
        if weight.requires_grad and weight.dim() >= 2
    ]
    if not weights:
        raise ValueError("model must have a trainable weight of two or more dimensions, got none")
    with torch.inference_mode(False), torch.enable_grad(), preserved(model):
        targets = _usable_by_autograd(targets)
        outputs = model(_usable_by_autograd(inputs))
        if loss_function is F.cross_entropy:
            _check_classes(targets, outputs)
        loss = loss_function(outputs, targets)
        gradients = _gradients(loss, [weight for _, weight in weights])
    norms: dict[str, float] = {}
    for (name, _), gradient in zip(weights, gradients, strict=True):
        norm = torch.linalg.vector_norm(gradient.to_dense().abs(), dtype=torch.float64).item()
        norms[name] = math.hypot(norms.get(name, 0.0), norm)
    return norms


def _usable_by_autograd(value):
    """A copy of a tensor made in inference mode, which autograd refuses to save."""
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


def _gradients(loss: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    if not loss.requires_grad:
        return tuple(torch.zeros_like(weight) for weight in weights)
    return torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)


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

    return _observe(model, inputs, kinds, record)


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
        return _observe(model.eval(), inputs, kinds, record)


def _observe(model: nn.Module, inputs: Tensor, kinds, record: Callable) -> list:
    """Run the model once without gradients and collect `record(...)` of each chosen call."""
    _check_batch(inputs)
    rows = []

    def hook(name: str) -> Callable:
        def observe(module, given, named, output):
            given, output = _first_tensor((given, named)), _first_tensor(output)
            if output is not None:
                rows.append(record(name, module, given, output))

        return observe

    with preserved(model), torch.no_grad(), ExitStack() as hooks:
        for name, module in model.named_modules():
            if _is_layer(name, module) if kinds is None else isinstance(module, kinds):
                handle = module.register_forward_hook(hook(name), with_kwargs=True)
                hooks.callback(handle.remove)
        model(inputs)
    return rows


def _is_layer(name: str, module: nn.Module) -> bool:
    """No children; a parametrization (spectral norm, ...) is part of its layer, not one itself."""
    children = [child for child, _ in module.named_children() if child != "parametrizations"]
    return not children and "parametrizations" not in name.split(".")


def _first_tensor(value) -> Tensor | None:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((t for t in map(_first_tensor, value) if t is not None), None)
    return value if isinstance(value, Tensor) else None


def _check_batch(inputs: Tensor) -> None:
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a tensor, got {type(inputs).__name__}")
    if inputs.dim() == 0 or len(inputs) == 0:
        raise ValueError(f"inputs must be a batch of at least 1 sample, got {tuple(inputs.shape)}")


def _check_classes(targets: Tensor, outputs: Tensor) -> None:
    if not isinstance(outputs, Tensor):
        raise TypeError(
            "loss_function must be given for a model whose output is no tensor, "
            f"got {type(outputs).__name__}"
        )
    if targets.is_floating_point() or outputs.dim() < 2:
        return
    classes = outputs.shape[1]
    wrong = targets[(targets < 0) | (targets >= classes)]
    if len(wrong):
        raise ValueError(f"targets must be classes 0 to {classes - 1}, got {wrong[0].item()}")

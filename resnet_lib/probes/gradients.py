"""Gradients: how large they are at each layer, and how alike at neighbouring inputs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib.arguments import check_classes, check_whole
from resnet_lib.probes.inputs import check_inputs, check_values, run, usable_by_autograd
from resnet_lib.probes.precision import exact_copies, exactly
from resnet_lib.probes.running import undisturbed, unwrapped


def layer_gradients(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss_function: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> dict[str, Tensor]:
    """Loss gradient of each layer's weights, as one vector each, in order of definition.

    A layer is a module that owns weights of two or more dimensions (convolution, linear, ...);
    biases and the scales of batch norm are left out, and so are frozen weights. A weight that
    the loss does not depend on has a gradient of zeros. The model runs in the mode it is in, and
    in its own precision. The vectors are given in double precision: the squares of small float32
    gradients fall below float32's range, and a norm or a cosine of them would print as 0. Where
    the device has no double precision (Apple's MPS), they are on the CPU.

    Args:
        model: any module that maps `inputs` to what the loss takes.
        inputs: a batch (N, ...) on the model's device; a tuple or dictionary of several inputs.
        targets: N class indices, or what `loss_function` takes.
        loss_function: maps (outputs, targets) to a scalar.

    Raises:
        TypeError: the model is no module, the inputs hold no tensor, or the default loss meets
            outputs that are none.
        ValueError: the batch is empty or on the meta device, the numbers of inputs and targets
            differ, a class index is out of the default loss's range, or no layer has a trainable
            weight.
    """
    model, batch = unwrapped(model), check_inputs(inputs)
    check_values(model, inputs)
    if len(targets) != len(batch):
        raise ValueError(
            f"targets must have one entry per input ({len(batch)}), got {len(targets)}"
        )
    weights = [
        (name, weight)
        for name, module in model.named_modules()
        for weight in module.parameters(recurse=False)
        if weight.requires_grad and weight.dim() >= 2
    ]
    if not weights:
        raise ValueError("model must have a trainable weight of two or more dimensions, got none")
    with torch.inference_mode(False), torch.enable_grad(), undisturbed(model):
        targets = usable_by_autograd(targets)
        outputs = run(model, usable_by_autograd(inputs))
        if loss_function is F.cross_entropy:
            _check_classes(targets, outputs)
        loss = loss_function(outputs, targets)
        gradients = _gradients(loss, [weight for _, weight in weights])
    found: dict[str, list[Tensor]] = {}
    for (name, _), gradient in zip(weights, gradients, strict=True):
        found.setdefault(name, []).append(_real_vector(gradient))
    return {name: torch.cat(vectors) for name, vectors in found.items()}


def gradient_norms(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss_function: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> dict[str, float]:
    """Euclidean norm of the loss gradient for each layer's weights, in order of definition.

    Arguments, errors and what counts as a layer are those of `layer_gradients`.
    """
    gradients = layer_gradients(model, inputs, targets, loss_function)
    return {name: gradient.norm().item() for name, gradient in gradients.items()}


def gradient_autocorrelation(model: nn.Module, inputs: Tensor, lags: int = 15) -> list[float]:
    """How alike the input gradients are at inputs some steps apart (Balduzzi et al. 2017, Fig. 1).

    The inputs lie in order along a path. With g_t the gradient of the summed outputs with respect
    to input t, and d_t = g_t minus the mean of all g, entry k is Σ_t ⟨d_t, d_{t+k}⟩ / Σ_t ⟨d_t,
    d_t⟩: 1 at lag 0, near 0 where gradients are noise. Gradients are taken in double precision,
    on a copy of the model, in the mode it is in: in train mode batch norm normalises over the
    path, and its statistics take part in the gradient. The copy is on the CPU where the device
    has no double precision (Apple's MPS).

    Args:
        model: any module.
        inputs: T inputs (T, ...) in order along a path, on the model's device; of several inputs
            in a tuple or dictionary the first tensor is the path.
        lags: the largest lag, at least 1 and below T.

    Returns:
        The autocorrelations of lags 0 to `lags`, between -1 and 1.

    Raises:
        TypeError: the model is no module, the inputs hold no tensor, the outputs are none, or
            lags is no whole number.
        ValueError: lags does not fit the number of inputs, the gradient is the same everywhere,
            or model or inputs are on the meta device.
    """
    model, steps = unwrapped(model), len(check_inputs(inputs))
    check_whole("lags", lags, 1, steps - 1)
    check_values(model, inputs)
    with torch.inference_mode(False), torch.enable_grad(), undisturbed(model):
        copied, inputs, path = exact_copies(model, inputs)
        outputs = run(copied, inputs)
        if not isinstance(outputs, Tensor):
            raise TypeError(f"model must return a tensor, got {type(outputs).__name__}")
        gradient = _gradients(outputs.sum(), [path])[0]
    gradient = gradient.reshape(steps, -1)  # (T, values per input)
    deviation = gradient - gradient.mean(dim=0)
    total = deviation.square().sum()
    if total <= 1e-20 * gradient.square().sum():
        raise ValueError("inputs must have gradients that differ, got the same one everywhere")
    return [
        ((deviation[: steps - lag] * deviation[lag:]).sum() / total).item()
        for lag in range(lags + 1)
    ]


def _gradients(loss: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
    if not loss.requires_grad:
        return tuple(torch.zeros_like(weight) for weight in weights)
    return torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)


def _real_vector(gradient: Tensor) -> Tensor:
    """One row of doubles; a complex number counts as two."""
    gradient = gradient.to_dense()
    if gradient.is_complex():
        gradient = torch.view_as_real(gradient)
    return exactly(gradient.flatten())


def _check_classes(targets: Tensor, outputs: Tensor) -> None:
    if not isinstance(outputs, Tensor):
        raise TypeError(
            "loss_function must be given for a model whose output is no tensor, "
            f"got {type(outputs).__name__}"
        )
    if not targets.is_floating_point() and outputs.dim() >= 2:
        check_classes("targets", targets, outputs.shape[1])

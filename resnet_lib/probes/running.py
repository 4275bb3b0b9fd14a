"""Run a model once and leave no trace: what every probe stands on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from resnet_lib.arguments import check_batch


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


def observe(
    model: nn.Module, inputs: Tensor, kinds, record: Callable, *, gradients: bool = False
) -> list:
    """Run the model once and collect `record(name, module, input, output)` of each chosen call.

    Args:
        model: any module; it runs in the mode it is in.
        inputs: a batch (N, ...).
        kinds: classes of the modules to watch; None for every module without children.
        record: makes one entry of the list.
        gradients: True records the run for a backward pass.

    Raises:
        TypeError: the inputs are no tensor.
        ValueError: the batch is empty.
    """
    check_batch(inputs)
    rows = []

    def hook(name: str) -> Callable:
        def note(module, given, named, output):
            given, output = first_tensor((given, named)), first_tensor(output)
            if output is not None:
                rows.append(record(name, module, given, output))

        return note

    with preserved(model), torch.set_grad_enabled(gradients), ExitStack() as hooks:
        for name, module in model.named_modules():
            if is_layer(name, module) if kinds is None else isinstance(module, kinds):
                handle = module.register_forward_hook(hook(name), with_kwargs=True)
                hooks.callback(handle.remove)
        model(inputs)
    return rows


def is_layer(name: str, module: nn.Module) -> bool:
    """No children; a parametrization (spectral norm, ...) is part of its layer, not one itself."""
    children = [child for child, _ in module.named_children() if child != "parametrizations"]
    return not children and "parametrizations" not in name.split(".")


def first_tensor(value) -> Tensor | None:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((t for t in map(first_tensor, value) if t is not None), None)
    return value if isinstance(value, Tensor) else None


def usable_by_autograd(value):
    """A copy of a tensor made in inference mode, which autograd refuses to save."""
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value

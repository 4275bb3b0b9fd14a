"""What a model is given and gives back: a tensor, or several in tuples and dictionaries."""

import copy
from collections.abc import Callable
from dataclasses import is_dataclass

from torch import Tensor, nn


def check_inputs(inputs: object) -> Tensor:
    """Refuse what is no batch; return the batch, or the first tensor of several inputs.

    Raises:
        TypeError: the inputs are neither a tensor nor a tuple or dictionary with one.
        ValueError: that tensor has no dimension, or no sample.
    """
    first = first_tensor(inputs) if isinstance(inputs, Tensor | tuple | dict) else None
    if first is None:
        raise TypeError(
            "inputs must be a tensor, or a tuple or dict of a model's several inputs, "
            f"got {type(inputs).__name__}"
        )
    if first.dim() == 0 or len(first) == 0:
        raise ValueError(f"inputs must be a batch of at least 1 sample, got {tuple(first.shape)}")
    return first


def check_values(model: nn.Module, inputs: object) -> None:
    """Refuse what is on the meta device, where there is nothing to measure but shapes.

    Raises:
        ValueError: a parameter, a buffer or an input is there.
    """
    found = [*model.parameters(), *model.buffers()]
    change_tensors(inputs, found.append)
    if any(tensor.is_meta for tensor in found):
        raise ValueError(
            "model and inputs must hold values for this probe, got the meta device, which has "
            "only shapes; trace_shapes, layer_costs and saved_bytes need no more"
        )


def run(model: nn.Module, inputs: object) -> object:
    """Call the model: a tuple holds its positional arguments, a dictionary those by name."""
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def first_tensor(value: object) -> Tensor | None:
    """The first tensor within tuples, lists, dictionaries and dataclasses; None without one."""
    if is_dataclass(value) and not isinstance(value, dict):
        value = vars(value)
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((t for t in map(first_tensor, value) if t is not None), None)
    return value if isinstance(value, Tensor) else None


def change_tensors(value: object, change: Callable[[Tensor], object]) -> object:
    """The same tuples, lists and dictionaries, with `change` of each tensor in its place."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        changed = copy.copy(value)
        for key, part in value.items():
            changed[key] = change_tensors(part, change)
        return changed
    if isinstance(value, tuple | list):
        parts = [change_tensors(part, change) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def usable_by_autograd(value: object) -> object:
    """Copies of tensors made in inference mode, which autograd refuses to save."""
    return change_tensors(value, lambda tensor: tensor.clone() if tensor.is_inference() else tensor)

"""Would the reader's block train? Its parameters are registered, and gradients reach them all."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from resnet_checks.comparing import describe_difference, equal, random_values
from resnet_checks.observing import Call, Run
from resnet_checks.parts import Parts
from resnet_checks.report import FaultFound
from resnet_checks.running import attempt

DETACHED = "Look for detach, .data or no_grad."


def check_registered(module: nn.Module, parts: Parts) -> None:
    """Every layer that ran is one that `module.parameters()` finds."""
    registered = {id(p) for p in module.parameters()}
    for name, convolution in parts.named:
        layers = {name: convolution, f"batch norm after the {name}": parts.norm_after(convolution)}
        for layer, call in layers.items():
            if id(call.weight) not in registered:
                raise _unregistered(module, layer)


def _unregistered(module: nn.Module, layer: str) -> FaultFound:
    if any(is_parametrized(part) for part in module.modules()):
        return FaultFound(
            f"The weight of the {layer} is computed anew in each run, as weight_norm does.",
            "Here each layer's weight is a parameter itself.",
        )
    return FaultFound(
        f"The parameters of the {layer} are not registered in the module: they would not train, "
        "and not move to a GPU.",
        _registration_hint(module),
    )


def _registration_hint(module: nn.Module) -> str:
    if _hides_layers(module):
        return (
            "A Python list, tuple or dict hides layers. Assign them to self directly, or use "
            "nn.Sequential or nn.ModuleList."
        )
    return (
        "Assign the layer to an attribute of self in the constructor. A weight of your own is an "
        "nn.Parameter."
    )


def _hides_layers(module: nn.Module) -> bool:
    attributes = [vars(m).items() for m in module.modules()]
    values = [value for items in attributes for name, value in items if name != "_modules"]
    values = [list(value.values()) if isinstance(value, dict) else value for value in values]
    groups = [v for v in values if isinstance(v, list | tuple)]
    return any(isinstance(entry, nn.Module) for group in groups for entry in group)


def check_gradient(module: nn.Module, parts: Parts, x: Tensor) -> None:
    """The gradient at x is that of the formula, through the branch and through the shortcut."""
    branch, shortcut = formula(parts)

    def gradient(function: Callable[[Tensor], Tensor]) -> Tensor:
        return gradient_at(function, x, parts.case.output_shape)

    found = attempt("A training step", lambda: gradient(module))
    expected = gradient(lambda x: F.relu(branch(x) + shortcut(x)))
    name = "projection" if parts.shortcut else "shortcut"
    if equal(found, gradient(lambda x: F.relu(branch(x) + shortcut(x).detach()))):
        raise FaultFound(f"No gradient passes through the {name}.", DETACHED)
    if equal(found, gradient(lambda x: F.relu(branch(x).detach() + shortcut(x)))):
        raise FaultFound("No gradient passes through the branch, so it would not train.", DETACHED)
    compare_gradients(found, expected)


def compare_gradients(found: Tensor, expected: Tensor) -> None:
    """Raise a fault unless the gradient at x is the expected one."""
    if not found.any() and expected.any():
        raise FaultFound("No gradient reaches x at all.", DETACHED)
    if not equal(found, expected):
        gap = describe_difference(found, expected)
        raise FaultFound(f"The gradient at x is not that of the formula: {gap}.")


def gradient_at(function: Callable[[Tensor], Tensor], x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Gradient at x of a weighted sum of function(x), which has the shape; zero if none arrives."""
    leaf = x.clone().requires_grad_()
    result = function(leaf.clone())
    if not result.requires_grad:
        return torch.zeros_like(leaf)
    weights = random_values(*shape, seed=3).to(x)
    return torch.autograd.grad(result, leaf, weights, allow_unused=True, materialize_grads=True)[0]


def formula(parts: Parts) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Branch and shortcut put together from the reader's own layers."""

    def branch(x: Tensor) -> Tensor:
        for convolution in parts.branch[:-1]:
            x = F.relu(_normed(parts, convolution, x))
        return _normed(parts, parts.branch[-1], x)

    def shortcut(x: Tensor) -> Tensor:
        return _normed(parts, parts.shortcut[0], x) if parts.shortcut else x

    return branch, shortcut


def _normed(parts: Parts, convolution: Call, x: Tensor) -> Tensor:
    return parts.norm_after(convolution).again(convolution.again(x))


def _is_used(run: Run, parameter: Tensor) -> bool:
    return any(parameter is value for call in run.calls for value in call.arguments.values())


def check_parameters(module: nn.Module, run: Run, whole: str = "block") -> int:
    """The number of parameters: those of the layers that run, and no more."""
    extra = [name for name, p in module.named_parameters() if not _is_used(run, p)]
    total = sum(p.numel() for p in module.parameters())
    if extra:
        number = sum(p.numel() for n, p in module.named_parameters() if n in extra)
        raise FaultFound(
            f"The {whole} has {total} parameters. {number} of them belong to no convolution and no "
            f"batch norm that runs: `{'`, `'.join(extra[:3])}`{', ...' if extra[3:] else ''}.",
            "Is a layer created that the forward pass does not use?",
        )
    return total

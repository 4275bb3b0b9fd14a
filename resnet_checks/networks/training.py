"""Would the whole network train? Its gradients reach every layer, through every shortcut."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from resnet_checks.comparing import random_values
from resnet_checks.networks.anatomy import Anatomy
from resnet_checks.report import FaultFound
from resnet_checks.running import attempt
from resnet_checks.training import compute

_DETACHED = "Look for detach, .data or no_grad."

# Rounding grows on the way through a deep network, but stays far below this.
_TOLERANCE = 1e-2


def check_gradient(module: nn.Module, anatomy: Anatomy, x: Tensor) -> None:
    """The gradient at the stem's weight is that of the formula, and every layer gets one."""
    weight = anatomy.main[0].weight

    def gradient(function: Callable[[Tensor], Tensor]) -> Tensor:
        return _gradients(function, [weight], x, anatomy)[0]

    def fits(cut: set[tuple[str, int]]) -> bool:
        expected = gradient(_network(anatomy, cut))
        return bool((found - expected).norm() <= _TOLERANCE * expected.norm())

    with _all_trainable(module):
        found = attempt("A training step", lambda: gradient(module))
        if fits(set()):
            _check_arrives(module, anatomy, x)
            return
        for cut, words in _cuts(anatomy):
            if fits(cut):
                raise FaultFound(f"No gradient passes through {words}.", _DETACHED)
        _check_arrives(module, anatomy, x)
        raise FaultFound("The gradient is not that of the network's formula.", _DETACHED)


def _network(anatomy: Anatomy, cut: set[tuple[str, int]]) -> Callable[[Tensor], Tensor]:
    """The network put together from the reader's own layers, with some ways cut for gradients."""

    def forward(x: Tensor) -> Tensor:
        x = compute(anatomy.stem, x)
        for number, roles in enumerate(anatomy.blocks):
            x = compute(roles, x, next((part for part, at in cut if at == number), ""))
        return anatomy.linear[0].again(x.mean(dim=(2, 3)))

    return forward


def _cuts(anatomy: Anatomy) -> Iterator[tuple[set[tuple[str, int]], str]]:
    blocks = list(enumerate(anatomy.blocks))
    projected = {("s", number) for number, roles in blocks if roles.shortcut}
    every = {("s", number) for number, _ in blocks}
    yield every, "the shortcuts"
    yield projected, "the projections"
    yield every - projected, "the shortcuts where the shapes agree"
    yield {("F", number) for number, _ in blocks}, "the branches"
    for number, roles in blocks:
        name = "projection" if roles.shortcut else "shortcut"
        yield {("s", number)}, f"the {name} in {roles.case.name}"
        yield {("F", number)}, f"the branch in {roles.case.name}"


@contextmanager
def _all_trainable(module: nn.Module) -> Iterator[None]:
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def _check_arrives(module: nn.Module, anatomy: Anatomy, x: Tensor) -> None:
    parameters = list(module.parameters())
    gradients = _gradients(module, parameters, x, anatomy)
    missing = {id(p) for p, g in zip(parameters, gradients, strict=True) if not g.any()}
    if not missing:
        return
    layers = [call for call in anatomy.run.calls if call.weight is not None]
    cut = [call for call in layers if id(call.weight) in missing]
    if not cut:
        raise FaultFound(f"No gradient reaches {len(missing)} of the parameters.", _DETACHED)
    if cut == layers:
        raise FaultFound("No gradient reaches any parameter: the output is cut off.", _DETACHED)
    places = list(dict.fromkeys(anatomy.place(call) for call in cut))
    listed = places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}"
    if len(places) > 3:
        listed = f"{places[0]} to {places[-1]}"
    raise FaultFound(
        f"No gradient reaches the layers in {listed}: they would not train.", _DETACHED
    )


def _gradients(
    function: Callable[[Tensor], Tensor], parameters: list[Tensor], x: Tensor, anatomy: Anatomy
) -> tuple[Tensor, ...]:
    """Gradients of a weighted sum of the scores; zero where none arrives."""
    scores = function(x.clone())
    if not scores.requires_grad:
        return tuple(torch.zeros_like(parameter) for parameter in parameters)
    weights = random_values(*anatomy.plan.output_shape, seed=4).to(x)
    return torch.autograd.grad(
        scores, parameters, weights, allow_unused=True, materialize_grads=True
    )

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
    weight, weights = (
        anatomy.main[0].weight,
        random_values(*anatomy.plan.output_shape, seed=4).to(x),
    )

    def fits(cut: set[tuple[str, int]]) -> bool:
        scores = _network(anatomy, cut)(x)
        (expected,) = torch.autograd.grad(scores, [weight], weights, materialize_grads=True)
        return bool((found - expected).norm() <= _TOLERANCE * expected.norm())

    with _all_trainable(module):
        arrived = attempt("A training step", lambda: _arrived(module, x, weights))
        found = arrived.get(id(weight), torch.zeros_like(weight))
        if fits(set()):
            _check_arrives(module, anatomy, arrived)
            return
        for cut, words in _cuts(anatomy):
            if fits(cut):
                raise FaultFound(f"No gradient passes through {words}.", _DETACHED)
        _check_arrives(module, anatomy, arrived)
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


def _arrived(module: nn.Module, x: Tensor, weights: Tensor) -> dict[int, Tensor]:
    """What `backward()` leaves, as in training, by the parameter's id; nothing where it is zero."""
    for parameter in module.parameters():
        parameter.grad = None
    # The image asks for a gradient too: checkpoints of the older kind pass none on without.
    scores = module(x.clone().requires_grad_())
    if scores.requires_grad:
        (scores * weights).sum().backward()
    gradients = [(id(p), p.grad) for p in module.parameters()]
    return {number: gradient for number, gradient in gradients if gradient is not None}


def _check_arrives(module: nn.Module, anatomy: Anatomy, arrived: dict[int, Tensor]) -> None:
    reached = {number for number, gradient in arrived.items() if gradient.any()}
    missing = {id(p) for p in module.parameters()} - reached
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

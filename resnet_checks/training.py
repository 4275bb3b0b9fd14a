"""Would the reader's block train? Parameters are registered, and gradients reach them all."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from resnet_checks.blueprints import evaluate
from resnet_checks.comparing import equal, random_values, tolerance
from resnet_checks.observing import LINEAR, Call, Run, address, as_image
from resnet_checks.phrases import fault, phrase
from resnet_checks.roles import Roles
from resnet_checks.running import attempt
from resnet_checks.wording import gap_between


def check_registered(module: nn.Module, roles: Roles) -> None:
    """Every layer that ran is one that `module.parameters()` finds."""
    registered = {address(p): p for p in module.parameters()}
    for name in roles.equations:
        for value in ("weight", "bias"):
            tensor = roles.calls[name].arguments.get(value)
            if tensor is not None:
                _check_tensor(module, roles.label(name), tensor, registered)


def _check_tensor(
    module: nn.Module, layer: str, tensor: Tensor, registered: dict[int, nn.Parameter]
) -> None:
    parameter = registered.get(address(tensor))
    if parameter is tensor:
        return
    if parameter is not None and not tensor.requires_grad and parameter.requires_grad:
        raise fault("detached weight", layer=layer)
    parametrized = any(is_parametrized(part) for part in module.modules())
    # With a graph, it was computed from something that can be trained.
    if parameter is None and (parametrized or not tensor.is_leaf):
        raise fault("computed weight", layer=layer)
    if parameter is None:
        hint = phrase("hidden" if _hides_layers(module) else "not assigned")
        raise fault("unregistered", layer=layer, hint=hint)


def _hides_layers(module: nn.Module) -> bool:
    attributes = [vars(m).items() for m in module.modules()]
    values = [value for items in attributes for name, value in items if name != "_modules"]
    values = [list(value.values()) if isinstance(value, dict) else value for value in values]
    groups = [v for v in values if isinstance(v, list | tuple)]
    return any(isinstance(entry, nn.Module) for group in groups for entry in group)


def check_statistics(module: nn.Module, roles: Roles, training: bool) -> None:
    """Running statistics are the module's own, and move towards the batch's in train mode alone.

    In eval mode they stay.
    """
    buffers = {address(buffer) for buffer in module.buffers()}
    for name in roles.norms:
        call, norm = roles.calls[name], roles.label(name)
        running = {key: call.arguments[key] for key in call.before}
        if any(address(buffer) not in buffers for buffer in running.values()):
            raise fault("statistics lost", norm=norm)
        if len(running) == 2 and _swapped(module, running, call.before):
            raise fault("statistics swapped", norm=norm)
        for key, before in call.before.items():
            if training:
                _check_moved(norm, running[key], before, _of_batch(call, key))
            elif not equal(running[key].detach().cpu(), before):
                raise fault("statistics in eval", norm=norm)


def _swapped(module: nn.Module, running: dict[str, Tensor], before: dict[str, Tensor]) -> bool:
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    variances = [address(n.running_var) for n in norms if n.running_var is not None]
    new = not before["running_var"].any() and bool((before["running_mean"] == 1).all())
    return new or address(running["running_mean"]) in variances


def _of_batch(call: Call, key: str) -> Tensor:
    values = call.input.double().transpose(0, 1).flatten(1)
    return values.mean(1) if key == "running_mean" else values.var(1)


def _check_moved(norm: str, after: Tensor, before: Tensor, batch: Tensor) -> None:
    """A running statistic goes a share of the way from its old value to the batch's."""
    moved, way = after.detach().cpu().double() - before, batch - before
    share = float((moved * way).sum() / (way * way).sum())
    if share < 1e-6:
        raise fault("statistics still", norm=norm)
    if not equal(moved, share * way, tolerance(after, before, batch)) or share > 1.001:
        raise fault("statistics wrong", norm=norm)


def check_gradient(roles: Roles, formula: Callable[[Tensor], Tensor] | None = None) -> None:
    """The gradient at x is that of the equations, through the branch and through the shortcut.

    `formula` stands in for the equations where the blueprint leaves a choice.
    """
    run = roles.run
    weights = random_values(*run.output.shape, seed=3).to(run.leaf.device, run.result.dtype)
    found = attempt(phrase("training step"), lambda: backward(run.result, run.leaf, weights))

    def right(cut: str = "") -> Tensor:
        leaf = run.leaf.detach().clone().requires_grad_()
        result = formula(leaf) if formula else compute(roles, leaf, cut)
        return backward(result, leaf, weights)

    if _agree(found, expected := right(), run):
        return
    if roles.case.blueprint.branch:
        name = phrase("projection" if roles.shortcut else "shortcut")
        if _agree(found, right(cut="s"), run):
            raise fault("no gradient", name=name)
        if _agree(found, right(cut="F"), run):
            raise fault("no gradient branch")
    if not found.any() and expected.any():
        raise fault("no gradient at x")
    raise fault("gradient", gap=gap_between(found, expected))


def _agree(found: Tensor, expected: Tensor, run: Run) -> bool:
    """Whether two gradients agree, up to rounding on the way through the run's layers."""
    limit = tolerance(found, expected, *(call.output for call in run.calls))
    if limit > 1e-3:  # in a short type, rounding adds up
        return bool((found - expected).norm() <= 4 * limit * expected.norm())
    return equal(found, expected)


def backward(result: Tensor, leaf: Tensor, weights: Tensor) -> Tensor:
    """Gradient at the leaf of a weighted sum of the result; zero if none arrives."""
    if result.requires_grad:
        (result * weights).sum().backward()
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def compute(roles: Roles, x: Tensor, cut: str = "") -> Tensor:
    """What the blueprint's equations make of x with the reader's own layers.

    `cut` is the part whose gradient is cut off, F or s.
    """
    blueprint, values = roles.case.blueprint, {"x": x}
    for name, layer in roles.equations.items():
        call, given = roles.calls[name], evaluate(layer.reads, values)
        values[name] = as_image(call.again(given.flatten(1) if call.kind == LINEAR else given))
    parts = {"s": values[list(blueprint.projection)[-1]] if roles.shortcut else x}
    if blueprint.branch:
        parts["F"] = evaluate(blueprint.branch, values)
    return evaluate(blueprint.out, parts | ({cut: parts[cut].detach()} if cut else {}))


def check_parameters(module: nn.Module, run: Run, whole: str = "block") -> int:
    """The number of parameters: those of the layers that run, and no more."""
    used = {address(v) for c in run.calls for v in c.arguments.values() if isinstance(v, Tensor)}
    sizes = {name: p.numel() for name, p in module.named_parameters()}
    extra = [name for name, p in module.named_parameters() if address(p) not in used]
    total = sum(sizes.values())
    if extra:
        names = f"`{'`, `'.join(extra[:3])}`{', ...' if extra[3:] else ''}"
        number = sum(sizes[name] for name in extra)
        raise fault(
            "extra parameters", whole=phrase(whole), total=total, number=number, names=names
        )
    return total

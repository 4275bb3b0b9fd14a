"""See the calls of a model's layers, and say which layers were not to be seen."""

import warnings
from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import nn

from resnet_lib.probes.inputs import check_inputs, first_tensor, run
from resnet_lib.probes.running import undisturbed

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
"""What holds layers or weights, and is never called."""

MOST_NAMED = 8


def observe(
    model: nn.Module, inputs: object, kinds, record: Callable, *, gradients: bool = False
) -> list:
    """Run the model once and collect `record(name, module, input, output)` of each chosen call.

    Args:
        model: any module; it runs in the mode it is in.
        inputs: a batch (N, ...), or a tuple or dictionary of several inputs.
        kinds: classes of the modules to watch; None for every layer.
        record: makes one entry of the list.
        gradients: True records the run for a backward pass.

    Raises:
        TypeError: the inputs are none.
        ValueError: the batch is empty, or no module of these kinds is there or was called.
    """
    check_inputs(inputs)
    watched = layers(model) if kinds is None else _of_kinds(model, kinds)
    unseen = dict.fromkeys(watched, "never called as a module")
    rows = []

    def hook(name: str) -> Callable:
        def note(module, given, named, output):
            given, output = first_tensor((given, named)), first_tensor(output)
            if output is None:
                unseen.update({name: "returns no tensor"} if name in unseen else {})
                return
            unseen.pop(name, None)
            rows.append(record(name, module, given, output))

        return note

    with undisturbed(model), torch.set_grad_enabled(gradients), ExitStack() as hooks:
        for name, module in watched.items():
            if not isinstance(module, torch.jit.ScriptModule):
                handle = module.register_forward_hook(hook(name), with_kwargs=True)
                hooks.callback(handle.remove)
        run(model, inputs)
    _say(unseen, rows, watched)
    return rows


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """The modules without children, by name, in order of definition.

    Attention is one layer: it reads the weights of its last one and does not call it. So is what
    TorchScript holds, and a layer with its parametrizations (spectral norm, ...).
    """
    found: dict[str, nn.Module] = {}
    whole: list[str] = []  # what the names of modules within a layer begin with
    for name, module in model.named_modules():
        if name.startswith(tuple(whole)) or "parametrizations" in name.split("."):
            continue
        children = [child for child, _ in module.named_children() if child != "parametrizations"]
        if isinstance(module, nn.MultiheadAttention | torch.jit.ScriptModule):
            whole.append(f"{name}." if name else "")
        elif children or isinstance(module, CONTAINERS):
            continue
        found[name] = module
    return found


def _of_kinds(model: nn.Module, kinds) -> dict[str, nn.Module]:
    found = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    if not found:
        names = ", ".join(
            kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else [kinds])
        )
        scripted = any(isinstance(module, torch.jit.ScriptModule) for module in model.modules())
        hidden = "; what TorchScript holds has other kinds" if scripted else ""
        raise ValueError(f"model must hold a module of kinds ({names}), got none{hidden}")
    return found


def _say(unseen: dict[str, str], rows: list, watched: dict[str, nn.Module]) -> None:
    for name in unseen:
        if isinstance(watched[name], torch.jit.ScriptModule):
            unseen[name] = "inside TorchScript, which calls no hooks"
    parts = []
    for reason in sorted(set(unseen.values())):
        parts.append(f"{reason}: {named([name for name in unseen if unseen[name] == reason])}")
    if unseen and not rows:
        raise ValueError(
            f"model must call its layers to be probed, got none seen ({'; '.join(parts)})"
        )
    if unseen:
        warnings.warn(f"these layers have no row. {'; '.join(parts)}", stacklevel=4)


def named(names: list[str]) -> str:
    """The names, or the first of many and how many more there are."""
    shown = [name or "the model itself" for name in names[:MOST_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")

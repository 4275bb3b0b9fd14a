"""Room for hooks of your own: no module's output is written over."""

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from resnet_lib.probes.inputs import change_tensors
from resnet_lib.probes.running import eager, unwrapped


class _HandsOnACopy:
    """Put in front of a module's class: hooks get the output itself, the network a copy of it."""

    def __call__(self, *given, **named):
        return change_tensors(super().__call__(*given, **named), torch.Tensor.clone)


@functools.cache
def _copying(kind: type) -> type:
    return type(kind.__name__, (_HandsOnACopy, kind), {"__module__": kind.__module__})


@contextmanager
def own_outputs(model: nn.Module) -> Iterator[nn.Module]:
    """Within the `with` body each module's output stays as the module made it.

    Networks save memory by writing over tensors (`F.relu(x, inplace=True)`, `out += shortcut`).
    A hook that keeps an output then finds something else in it later, and a backward hook fails
    ("Output 0 of BackwardHookFunction is a view and is being modified inplace"). Here every module
    hands on a copy of its output, after its hooks have run, and modules that have an attribute
    `inplace` do not use it. Values and gradients are the same; the copies take time and memory,
    which is why it is no setting of the networks. A compiled model runs uncompiled. For example::

        with probes.own_outputs(model):
            handle = model.bn1.register_full_backward_hook(hook)
            model(images).sum().backward()

    A module that overwrites its own input outside of `nn.ReLU` and its like still does.

    Raises:
        TypeError: the model is no module.
        ValueError: a part of it is TorchScript, which hands on what it likes.
    """
    modules = list(dict.fromkeys(unwrapped(model).modules()))
    if any(isinstance(module, torch.jit.ScriptModule) for module in modules):
        raise ValueError("model must be in Python for hooks of your own, got TorchScript")
    with ExitStack() as after:
        after.enter_context(eager())
        for module in modules:
            after.callback(setattr, module, "__class__", type(module))
            module.__class__ = _copying(type(module))
            if getattr(module, "inplace", None) is True:
                after.callback(setattr, module, "inplace", True)
                module.inplace = False
        yield model

"""Run a model once and leave no trace: what every probe stands on."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy

from resnet_lib.arguments import check_module


@contextmanager
def preserved(model: nn.Module) -> Iterator[nn.Module]:
    """Run a `with` body, then restore the model's buffers, modes and gradients, and the RNGs.

    The body works on copies of the buffers and finds no gradients, so that a backward pass that
    is still to come finds what it saved. Parameters are not copied: the body must not train them.

    Raises:
        TypeError: the model is no module.
    """
    check_module("model", model)
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(m, name, b) for m in model.modules() for name, b in m.named_buffers(recurse=False)]
    gradients = [(p, p.grad) for p in model.parameters() if p.is_leaf]
    copies: dict[int, Tensor] = {}  # by identity: a buffer that modules share stays shared
    with _forked_generators():
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


@contextmanager
def _forked_generators() -> Iterator[None]:
    # With several GPUs, fork_rng warns unless they are named. It does not know MPS.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else None
    with ExitStack() as after:
        if torch.backends.mps.is_available():
            after.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        after.enter_context(torch.random.fork_rng(devices=devices))
        yield


@contextmanager
def eager() -> Iterator[None]:
    """Within the `with` body a model runs layer by layer, so that its hooks are called.

    A compiled model runs as if it were not compiled, and attention takes no fast path.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as after:
        after.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        if "torch._dynamo" in sys.modules:  # without it nothing is compiled; importing it is slow
            after.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """What each probe runs a model in: layer by layer, and nothing stays changed."""
    with preserved(model), eager():
        yield


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside the wrappers of `torch.compile` and of data parallelism.

    Raises:
        TypeError: the model is no module.
        ValueError: some of its layers have no weights yet, or run in several copies.
    """
    while isinstance(model, nn.Module):
        if isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod
        elif isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        else:
            break
    check_module("model", model)
    if any(map(is_lazy, [*model.parameters(), *model.buffers()])):
        raise ValueError(
            "model must have its weights before it is probed, got lazy layers: call it once"
        )
    for name, module in model.named_modules():
        if isinstance(module, DataParallel) and len(module.device_ids) > 1:
            raise ValueError(
                "model must run in one copy to be probed, "
                f"got DataParallel over {len(module.device_ids)} devices at {name!r}"
            )
    return model

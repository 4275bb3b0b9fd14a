"""Does a block hand its input on beside its branch? With all its weights at zero, it still does."""

from collections.abc import Container
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from resnet_checks.diagnosis.findings import Fact, Finding, Remarks, Unseen
from resnet_lib import probes

__all__ = ["handed_on", "look_at_shortcuts"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def look_at_shortcuts(model: nn.Module, images: Tensor, residual: bool | None) -> Remarks:
    """How many blocks hand their input on, and whether that is as it was said to be."""
    told = handed_on(model, images)
    known = [name for name, follows in told.items() if follows is not None]
    if not known:
        yield Unseen("whether shortcuts carry anything: no block was found where that can be told")
        return
    lost = [name for name in known if not told[name]]
    text = f"with their weights at zero, {len(known) - len(lost)} of {len(known)} blocks"
    rest = len(told) - len(known)
    more = f"; {rest} more may have a projection, and cannot be told" if rest else ""
    if residual and lost:
        names = ", ".join(lost[:4]) + (", ..." if len(lost) > 4 else "")
        yield Finding("shortcut", f"{text} hand their input on: none comes through {names}{more}")
    else:
        yield Fact(f"{text} hand their input on{more}")


def handed_on(model: nn.Module, images: Tensor) -> dict[str, bool | None]:
    """For each block, whether its output follows its input when all its weights are zero.

    A block is a module with two convolutions or more, of which one looks at more than a point, and
    no smaller module like it inside; it is called with one tensor and gives one back. With its
    weights at zero the branch puts out a constant, and so does a projection. So it is None where
    nothing comes through and there may be one: the shape changes, or two of its convolutions are
    given the same. It is None, too, where the block's input is the same for all images.
    """
    images = images[:16]
    blocks = dict(_blocks(model))
    given = _inputs(model, images, blocks)
    with probes.preserved(model), torch.no_grad():
        model.eval()
        return {
            name: _follows(block, given[block], [given[one] for one in _convolutions(block, given)])
            for name, block in blocks.items()
            if block in given
        }


def _inputs(model: nn.Module, images: Tensor, blocks: dict) -> dict[nn.Module, Tensor]:
    """What each block, and each convolution in it, was given first."""
    found: dict[nn.Module, Tensor] = {}

    def hook(module, given):
        if len(given) == 1 and isinstance(given[0], Tensor):
            found.setdefault(module, given[0].clone())

    watched = [m for block in blocks.values() for m in (block, *_convolutions(block))]
    handles = [module.register_forward_pre_hook(hook) for module in watched]
    try:
        with probes.preserved(model), torch.no_grad():
            model.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _convolutions(block: nn.Module, among: Container | None = None) -> list[nn.Module]:
    found = [module for module in block.modules() if isinstance(module, CONVOLUTIONS)]
    return [module for module in found if among is None or module in among]


def _blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    found = {name: module for name, module in model.named_modules() if name and _is_block(module)}
    return [
        (name, module)
        for name, module in found.items()
        if not any(other.startswith(f"{name}.") for other in found)
    ]


def _is_block(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential | nn.ModuleList | torch.jit.ScriptModule):
        return False
    sizes = [max(m.kernel_size) for m in module.modules() if isinstance(m, CONVOLUTIONS)]
    return len(sizes) >= 2 and max(sizes) > 1


def _follows(block: nn.Module, x: Tensor, convolved: list[Tensor]) -> bool | None:
    zeros = {name: torch.zeros_like(p) for name, p in block.named_parameters()}
    out = functional_call(block, zeros, (x.clone(),))
    if not isinstance(out, Tensor) or not _varies(x) or not out.isfinite().all():
        return None
    parallel = any(torch.equal(a, b) for a, b in combinations(convolved, 2))
    return True if _varies(out) else None if parallel or out.shape != x.shape else False


def _varies(x: Tensor) -> bool:
    return bool((x != x[:1]).any())

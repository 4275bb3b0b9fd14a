"""What a network costs: parameters, multiply-adds and memory; and how far each layer sees."""

import warnings
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from resnet_lib.probes.inputs import check_inputs, check_values, run, usable_by_autograd
from resnet_lib.probes.precision import exact_copies
from resnet_lib.probes.running import preserved, undisturbed, unwrapped
from resnet_lib.probes.signals import layer_shape
from resnet_lib.probes.watching import layers, named, observe

WITHOUT_MULTIPLY_ADDS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)
"""Layers whose weights may have two dimensions and are no factors of a matrix product."""


class LayerCost(NamedTuple):
    """One call of one layer: its shapes, parameters, multiply-adds and bytes of output."""

    layer: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int


class ReceptiveField(NamedTuple):
    """Height and width in pixels of the part of the input that one output position can see."""

    layer: str
    kind: str
    height: int
    width: int


def layer_costs(model: nn.Module, inputs: Tensor) -> list[LayerCost]:
    """Cost of each call of each layer, in order of the calls, in eval mode.

    A layer is a module without children. What a model computes outside its layers (an addition,
    `F.relu`) is in no row. Multiply-adds are those of convolutions and matrix products, as torch's
    `FlopCounterMode` counts them, halved; they grow with the batch, parameters do not. A batch on
    the meta device costs no arithmetic. A warning names layers with weights whose arithmetic the
    counter does not know (an LSTM on the CPU).

    Args:
        model: any module.
        inputs: a batch (N, ...) on the model's device, which may be the meta device; a tuple or
            dictionary of several inputs.

    Raises:
        TypeError: the model is no module, or the inputs hold no tensor.
        ValueError: the batch is empty, or none of the layers can be seen; a warning names those
            that were not.
    """
    model = unwrapped(model)
    check_inputs(inputs)
    counter = FlopCounterMode(display=False)
    started: dict[nn.Module, int] = {}

    def start(module: nn.Module, _: object) -> None:
        started[module] = counter.get_total_flops()

    def record(name: str, module: nn.Module, given: Tensor | None, output: Tensor) -> LayerCost:
        flops = counter.get_total_flops() - started[module]
        size = output.numel() * output.element_size()
        return LayerCost(*layer_shape(name, module, given, output), flops // 2, size)

    # In inference mode the counter fails at a layer that returns its own weight.
    with torch.inference_mode(False), preserved(model), counter, ExitStack() as hooks:
        for module in layers(model).values():
            if not isinstance(module, torch.jit.ScriptModule):
                hooks.callback(module.register_forward_pre_hook(start).remove)
        rows = observe(model.eval(), usable_by_autograd(inputs), None, record)
    _say_what_is_not_counted(model, rows)
    return rows


def _say_what_is_not_counted(model: nn.Module, rows: list[LayerCost]) -> None:
    """Warn of layers that have matrices, and no multiply-adds to show for them."""
    not_counted = {
        row.layer: None
        for row in rows
        if not row.multiply_adds
        and not isinstance(model.get_submodule(row.layer), WITHOUT_MULTIPLY_ADDS)
        and any(weight.dim() >= 2 for weight in model.get_submodule(row.layer).parameters())
    }
    if not_counted:
        warnings.warn(
            f"the multiply-adds of these layers are not counted: {named(list(not_counted))}",
            stacklevel=3,
        )


def saved_bytes(model: nn.Module, inputs: Tensor) -> int:
    """Bytes of activations that autograd keeps from the forward pass for the backward pass.

    Measured, not estimated: each piece of memory that an operation saves is counted once, with
    the batch itself and without parameters and buffers. The model runs in the mode it is in, and
    uncompiled: what a compiled model would keep can be less.

    Args:
        model: any module.
        inputs: a batch (N, ...) on the model's device, which may be the meta device; a tuple or
            dictionary of several inputs.

    Raises:
        TypeError: the model is no module, or the inputs hold no tensor.
        ValueError: the batch is empty.
    """
    model = unwrapped(model)
    check_inputs(inputs)
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage  # held here, so that no address is used twice
        return tensor

    with torch.inference_mode(False), torch.enable_grad(), undisturbed(model):
        own = [*model.parameters(), *model.buffers()]
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            outputs = run(model, usable_by_autograd(inputs))
        del outputs
    for tensor in own:
        saved.pop(tensor.untyped_storage()._cdata, None)
    return sum(storage.nbytes() for storage in saved.values())


def receptive_fields(
    model: nn.Module, inputs: Tensor, kinds: type | tuple[type, ...] | None = None
) -> list[ReceptiveField]:
    """How much of the input the middle position of each layer's output depends on.

    Measured by gradients, in eval mode and in double precision, on a copy of the model: the box
    around all pixels that have a gradient, over the whole batch. It ends at the border of the
    image, so an image must be large to show a deep layer's whole field. A layer without
    positions (a classifier) sees what all its inputs see. The copy is on the CPU where the device
    has no double precision (Apple's MPS).

    Args:
        model: any module of images.
        inputs: a batch (N, C, H, W) on the model's device; more images leave fewer ReLUs closed.
            Of several inputs in a tuple or dictionary the first tensor is the batch.
        kinds: classes of the modules to report; by default every module without children.

    Raises:
        TypeError: the model is no module, or the inputs hold no tensor.
        ValueError: the batch is empty, not of four dimensions or on the meta device, the model
            has no module of these kinds, or none of them can be seen; a warning names those that
            were not.
    """
    model, images = unwrapped(model), check_inputs(inputs)
    if images.dim() != 4:
        raise ValueError(f"inputs must have the shape (N, C, H, W), got {tuple(images.shape)}")
    check_values(model, inputs)
    with torch.inference_mode(False), torch.enable_grad(), undisturbed(model):
        copied, inputs, images = exact_copies(model, inputs)
        middles = observe(copied.eval(), inputs, kinds, _middle, gradients=True)
        return [
            ReceptiveField(name, kind, *_extent(middle, images)) for name, kind, middle in middles
        ]


def _middle(name: str, module: nn.Module, _: object, output: Tensor) -> tuple[str, str, Tensor]:
    """One number that depends on all channels at the middle position."""
    if output.dim() == 4:
        output = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    weights = torch.randn(output.shape, device="cpu").to(output)
    return name, type(module).__name__, (output * weights).sum()


def _extent(middle: Tensor, images: Tensor) -> tuple[int, int]:
    if not middle.requires_grad:
        return 0, 0
    gradient = torch.autograd.grad(
        middle, images, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]
    seen = (gradient != 0).any(dim=(0, 1))  # (H, W)
    extents = []
    for dim in (1, 0):
        places = seen.any(dim=dim).nonzero().flatten()
        extents.append(int(places[-1] - places[0]) + 1 if len(places) else 0)
    return extents[0], extents[1]

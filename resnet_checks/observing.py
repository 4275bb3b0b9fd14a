"""Watch a module run: which layers it calls, what goes into each and what comes out.

Layers are seen at PyTorch's own functions, so it makes no difference whether the reader wrote
`nn.Conv2d` or `F.conv2d`, and what the attributes are called.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from resnet_checks.limits import WRONG_CODE, limited
from resnet_checks.phrases import phrase
from resnet_checks.report import FaultFound

CONVOLUTION = "convolution"
BATCH_NORM = "batch norm"
LINEAR = "linear layer"

# What kind of layer a function is, and the names of its arguments by position.
_LAYERS = {
    torch.conv2d: (CONVOLUTION, "input weight bias stride padding dilation groups"),
    torch.convolution: (
        CONVOLUTION,
        "input weight bias stride padding dilation transposed output_padding groups",
    ),
    F.batch_norm: (
        BATCH_NORM,
        "input running_mean running_var weight bias training momentum eps",
    ),
    torch.batch_norm: (
        BATCH_NORM,
        "input weight bias running_mean running_var training momentum eps cudnn_enabled",
    ),
    F.linear: (LINEAR, "input weight bias"),
    F.group_norm: ("group norm", "input num_groups weight bias eps"),
    F.layer_norm: ("layer norm", "input normalized_shape weight bias eps"),
    F.instance_norm: (
        "instance norm",
        "input running_mean running_var weight bias use_input_stats momentum eps",
    ),
}


@dataclass(eq=False)
class Call:
    """One call of one layer. Input, output and running statistics are copies made at the moment."""

    kind: str
    function: Callable[..., Tensor]
    arguments: dict[str, Any]
    input: Tensor
    output: Tensor
    number: int
    after: frozenset[int]  # numbers of the calls that the input depends on
    before: dict[str, Tensor]  # running statistics before the call
    autocast: torch.dtype | None = None  # the type that it ran in under autocast
    padding_mode: str = "constant"  # what a border consists of, as F.pad names it

    def again(self, x: Tensor) -> Tensor:
        """The same layer, with the same weights, on another input."""
        if self.autocast is None:
            return self.function(x, **self.arguments)
        with torch.autocast(x.device.type, self.autocast):
            return self.function(x, **self.arguments)

    @property
    def weight(self) -> Tensor | None:
        return self.arguments.get("weight")


@dataclass
class Run:
    """One run of a module: its input before and after, its output or error, its layers' calls."""

    x: Tensor
    x_after: Tensor
    output: Any
    error: BaseException | None
    calls: list[Call] = field(default_factory=list)
    failed: Call | None = None  # the layer in which the run broke off, with no output
    leaf: Tensor | None = None  # what x was copied from, for the gradient
    result: Any = None  # the output with its graph

    def of_kind(self, kind: str) -> list[Call]:
        return [call for call in self.calls if call.kind == kind]

    @property
    def norms(self) -> list[Call]:
        return [call for call in self.calls if call.kind.endswith("norm")]


def observe(module: Callable, x: Tensor, seed: int = 0, seconds: float | None = None) -> Run:
    """Run `module` on a copy of `x`, as in training: x comes from an earlier layer, with gradients.

    An error ends up in the result.
    """
    leaf = x.clone().requires_grad_()
    given, result, error = leaf.clone(), None, None
    seed_cpu(seed)
    with _Observer() as observer:
        try:
            with limited(phrase("forward pass"), seconds):
                result = module(given)
        except FaultFound:
            raise
        except WRONG_CODE as raised:
            error = raised
    output = copied(result) if isinstance(result, Tensor) and is_plain(result) else result
    calls, failed = observer.calls, observer.failed if error else None
    return Run(copied(x), copied(given), output, error, calls, failed, leaf, result)


def as_image(values: Tensor) -> Tensor:
    """Values of one number per channel as an image with one position; images as they are.

    A row alone is that of a batch of one.
    """
    if values.dim() == 1:
        values = values[None]
    return values[:, :, None, None] if values.dim() == 2 else values


def seed_cpu(seed: int) -> None:
    """Seed the CPU's random numbers alone: the others take much longer, in each of many runs."""
    torch.default_generator.manual_seed(seed)


def copied(tensor: Tensor) -> Tensor:
    """A copy on the CPU that later in-place changes do not reach."""
    return tensor.detach().to("cpu", copy=True)


def snapshot(tensor: Tensor) -> Tensor:
    """A copy that later in-place changes do not reach, in double precision on the CPU."""
    return tensor.detach().to("cpu", torch.float64, copy=True)


def is_plain(tensor: Tensor) -> bool:
    """Whether the tensor has values in rows and columns: not nested, sparse or on meta."""
    return not (tensor.is_meta or tensor.is_nested) and tensor.layout == torch.strided


class _Observer(TorchFunctionMode):
    """Notes each layer's call, and which earlier calls every tensor depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.failed: Call | None = None
        # Keyed by memory and not by tensor: views and in-place results share their memory.
        self._sources: dict[int, frozenset[int]] = {}
        # Memory that is freed could be handed out again under the same address.
        self._kept_alive: list[Tensor] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        sources = self._sources_of((args, kwargs))
        kind, names = _LAYERS.get(function, (None, ""))
        arguments = dict(zip(names.split(), args, strict=False)) | kwargs
        given = arguments.pop("input", None)
        is_layer = kind is not None and isinstance(given, Tensor) and is_plain(given)
        is_layer = is_layer and not arguments.get("transposed")
        if is_layer:
            self.failed = self._begun(kind, function, arguments, given, sources)
        result = function(*args, **kwargs)
        if is_layer:
            call, self.failed = self.failed, None
            call.output = copied(result)
            self.calls.append(call)
            sources = sources | {call.number}
        for tensor in _tensors(result):
            self._kept_alive.append(tensor)
            self._sources[address(tensor)] = sources
        return result

    def _begun(self, kind, function, arguments, given, sources) -> Call:
        """A call that is about to be made, with copies of what it may overwrite."""
        before = {n: copied(v) for n, v in arguments.items() if _is_running(n, v)}
        device, read = given.device.type, copied(given)
        call = Call(kind, function, arguments, read, read, len(self.calls), sources, before)
        if torch.is_autocast_enabled(device):
            call.autocast = torch.get_autocast_dtype(device)
        return call

    def _sources_of(self, value) -> frozenset[int]:
        found = [self._sources.get(address(t), frozenset()) for t in _tensors(value)]
        return frozenset().union(*found)


def _is_running(name: str, value: Any) -> bool:
    return name in ("running_mean", "running_var") and isinstance(value, Tensor)


def address(tensor: Tensor) -> int:
    """Where the tensor's memory begins: views and detached tensors share it."""
    return tensor.untyped_storage().data_ptr() if is_plain(tensor) else id(tensor)


def _tensors(value) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _tensors(entry)

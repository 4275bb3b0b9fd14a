"""Watch a loop at work: its forward passes, backward passes and updates, in their order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from resnet_checks.limits import WRONG_CODE, limited
from resnet_checks.loops.events import Backward, Event, Forward, OtherStep, State, Step, Trace
from resnet_checks.loops.probe import CLASSES, Probe
from resnet_checks.observing import snapshot
from resnet_checks.phrases import phrase

# Of scores, they find the best class along dim 1, and the best image along dim 0.
_CHOICES = dict.fromkeys((torch.argmax, Tensor.argmax), "argmax")
_CHOICES |= dict.fromkeys((torch.max, Tensor.max), "max")


@dataclass(eq=False)
class Recorder(TorchFunctionMode):
    """Notes the events of the model and of the optimizer while it is entered."""

    model: Probe
    optimizer: Optimizer | None = None
    events: list[Event] = field(default_factory=list)
    log_probabilities: bool = False  # whether cross_entropy was given them
    over_images: str | None = None
    shares: int | None = None

    def __post_init__(self) -> None:
        super().__init__()
        self.parameters = list(self.model.parameters())
        self._going_back = False

    def __deepcopy__(self, memo: dict) -> "Recorder | None":
        """A copy of the model is watched too, but where it trains: its updates are lost."""
        return self if self.optimizer is None else None

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is F.cross_entropy:
            self._note_loss(*args[:2])
        if function in _CHOICES:
            self._note_choice(_CHOICES[function], *args, **kwargs)
        if function is not Tensor.backward or self._going_back:
            return function(*args, **kwargs)
        self.events.append(Backward())
        self._going_back = True
        try:
            return function(*args, **kwargs)
        finally:
            self._going_back = False

    def note_forward(self, model: nn.Module, images: Any) -> None:
        modes = {name: part.training for name, part in model.named_modules()}
        autocast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        dtype = getattr(images, "dtype", None)
        self.events.append(Forward(_copied(images), dtype, modes, autocast))

    def note_scores(self, scores: Tensor) -> None:
        """The outcome of the forward pass that was noted last."""
        passes = [event for event in self.events if isinstance(event, Forward)]
        passes[-1].tracked = scores.requires_grad

    def note_step(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> tuple | None:
        """A hook that all optimizers call before a step. A closure runs within the step."""
        if optimizer is not self.optimizer:
            self.events.append(OtherStep())
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._add_step()
            return None

        def noting() -> Any:
            loss = closure()
            self._add_step()
            return loss

        return (args[0], noting), {}

    def note_arrival(self, parameter: Tensor) -> None:
        """A hook for each parameter whose gradient was added to."""
        if not self.events or not isinstance(self.events[-1], Backward):
            self.events.append(Backward())
        self.events[-1].arrived = True

    def _add_step(self) -> None:
        self.events.append(Step(flat(self.parameters), flat_gradient(self.parameters)))

    def _note_loss(self, scores: Any = None, labels: Any = None) -> None:
        try:
            sums = scores.exp().sum(dim=1)
            self.log_probabilities |= bool(((sums - 1).abs() < 1e-6).all())
            if labels.dim() == 2 and labels.shape[1] != CLASSES:
                self.shares = labels.shape[1]
        except Exception:  # whatever it was given, the call itself says what is wrong
            return

    def _note_choice(self, name: str, values: Any, dim: Any = None, *_: Any, **__: Any) -> None:
        is_scores = isinstance(values, Tensor) and values.dim() == 2
        if is_scores and values.shape[1] == CLASSES and dim in (0, -2):
            self.over_images = name

    def state(self) -> State:
        optimizer, model = self.optimizer, self.model
        groups = optimizer.param_groups if optimizer else []
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return State(
            flat(self.parameters),
            flat_gradient(self.parameters),
            any(gradient.requires_grad for gradient in gradients),
            {name: snapshot(buffer) for name, buffer in model.named_buffers()},
            {name: part.training for name, part in model.named_modules()},
            tuple(p.requires_grad for p in self.parameters),
            tuple(id(p) for p in model.parameters()),
            tuple({k: v for k, v in group.items() if k != "params"} for group in groups),
        )

    def call(self, function: Callable, batches: list[tuple[Tensor, Tensor]], *args) -> Trace:
        """Call the function and note what happens. `batches` are those among its arguments."""
        copies = [(images.clone(), labels.clone()) for images, labels in batches]
        self.events, self.over_images, self.shares = [], None, None
        before = self.state()
        result, error = None, None
        with torch.enable_grad(), limited(phrase("call")):
            try:
                with self:
                    result = function(*args)
            except WRONG_CODE as raised:
                error = raised
            off = not torch.is_grad_enabled()
        altered = not all(map(_same, batches, copies))
        changed = {"altered": altered, "emptied": len(batches) != len(copies)}
        noted = {"over_images": self.over_images, "shares": self.shares, "gradients_off": off}
        after = self.state()
        return Trace(copies, before, after, self.events, result, error, **changed, **noted)


@contextmanager
def recorded(model: Probe, optimizer: Optimizer | None = None) -> Iterator[Recorder]:
    """A recorder of the model and the optimizer; its hooks are removed at the end."""
    recorder = Recorder(model, optimizer)
    with ExitStack() as hooks:
        model.recorder = recorder
        hooks.callback(setattr, model, "recorder", None)
        hooks.callback(register_optimizer_step_pre_hook(recorder.note_step).remove)
        for parameter in recorder.parameters:
            handle = parameter.register_post_accumulate_grad_hook(recorder.note_arrival)
            hooks.callback(handle.remove)
        yield recorder


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All values in one row, as a copy in double precision."""
    return torch.cat([snapshot(tensor).flatten() for tensor in tensors])


def flat_gradient(parameters: Iterable[Tensor]) -> Tensor:
    """All gradients in one row; zero where there is none."""
    return flat(torch.zeros_like(p) if p.grad is None else p.grad for p in parameters)


def _copied(images: Any) -> Tensor | None:
    """A copy, or None for what is no tensor."""
    try:
        return snapshot(images)
    except Exception:
        return None


def _same(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor]) -> bool:
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, two, strict=True))

"""What is noted of one call of the reader's function."""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor


@dataclass(eq=False)
class Forward:
    """A forward pass: what the model was given, and how it stood."""

    images: Tensor | None
    dtype: Any  # of the images, as they were given
    modes: dict[str, bool]  # of each part by name, True in train mode
    autocast: torch.dtype | None  # the type that it ran in under autocast
    tracked: bool = False  # whether the scores can be differentiated

    @property
    def size(self) -> int:
        return len(self.images) if self.images is not None and self.images.dim() else 0


@dataclass(eq=False)
class Backward:
    """A backward pass, and whether it reached a parameter."""

    arrived: bool = False


@dataclass(eq=False)
class Step:
    """An update by the optimizer that was given: parameters and gradient it starts from."""

    parameters: Tensor
    gradient: Tensor


@dataclass(eq=False)
class OtherStep:
    """An update by an optimizer that was not given."""


Event = Forward | Backward | Step | OtherStep
Kind = TypeVar("Kind", Forward, Backward, Step, OtherStep)


@dataclass(frozen=True, eq=False)
class State:
    """The model and the optimizer at one moment; parameters and gradient in one row each."""

    parameters: Tensor
    gradient: Tensor
    graph: bool  # whether the gradients carry a graph of their own
    buffers: dict[str, Tensor]
    modes: dict[str, bool]
    trainable: tuple[bool, ...]
    identities: tuple[int, ...]
    settings: tuple[dict[str, Any], ...]


@dataclass(eq=False)
class Trace:
    """One call of the reader's function: before, in between, after."""

    batches: list[tuple[Tensor, Tensor]]  # as they were before the call
    before: State
    after: State
    events: list[Event]
    result: Any = None
    error: Exception | None = None
    altered: bool = False  # whether images or labels were changed in place
    emptied: bool = False  # whether their list has lost or gained any
    gradients_off: bool = False  # whether the call left gradients switched off
    over_images: str | None = None  # what took the best image in place of the best class
    shares: int | None = None  # classes in one-hot labels that do not fit the scores

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

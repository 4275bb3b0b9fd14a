"""States of the random number generators that a run draws from."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["generators", "kept", "set_generators"]


def generators(device: torch.device, loader: Any = None) -> dict[str, Tensor]:
    """The states of torch's generators, and of those that belong to a loader."""
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        found["mps"] = torch.mps.get_rng_state()
    own = enumerate(_of_the_loader(loader))
    return found | {f"loader {number}": one.get_state() for number, one in own}


def set_generators(states: dict[str, Tensor], device: torch.device, loader: Any = None) -> None:
    """Take up what `generators` gave."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    if "mps" in states and device.type == "mps":
        torch.mps.set_rng_state(states["mps"])
    for number, one in enumerate(_of_the_loader(loader)):
        if f"loader {number}" in states:
            one.set_state(states[f"loader {number}"])


@contextmanager
def kept(device: torch.device, loader: Any = None) -> Iterator[None]:
    """What is drawn inside changes nothing outside."""
    before = generators(device, loader)
    try:
        yield
    finally:
        set_generators(before, device, loader)


def _of_the_loader(loader: Any) -> Iterable[torch.Generator]:
    """The generators that a DataLoader and its samplers were given, each once."""
    inner = getattr(loader, "batch_sampler", None)
    places = (loader, getattr(loader, "sampler", None), inner, getattr(inner, "sampler", None))
    found = (getattr(place, "generator", None) for place in places)
    return {id(one): one for one in found if isinstance(one, torch.Generator)}.values()

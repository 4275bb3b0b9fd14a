"""State dicts, from wherever they lie."""

from collections.abc import Iterator, Mapping
from enum import Enum
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from resnet_lib.weights.formats import open_file

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

DEEPEST = 3  # how deep a state dict is looked for in dictionaries


class NestedWeights(ValueError):
    """A file or mapping holds state dicts, and none of them was named.

    Attributes:
        found: where they lie, as `entry` names them, and they themselves.
    """

    def __init__(self, message: str, found: dict[str, dict[str, Tensor]]):
        super().__init__(message)
        self.found = found


def read_weights(
    source: "str | Path | Mapping[str, Tensor] | WeightsEnum", entry: str = ""
) -> dict[str, Tensor]:
    """State dict from a file, a mapping, or torchvision's weights; tensors lie on the CPU.

    Args:
        source: a `.safetensors` file; a file that `torch.save` wrote (it is read without running
            code from it); a mapping of names to tensors; or an entry of a torchvision weights
            enum, which torchvision downloads once and keeps.
        entry: where the state dict lies within the source, if that holds more: "state_dict" for
            example, or "model.state_dict" if it lies in an entry of an entry.

    Raises:
        TypeError: the source is none of these.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or something else, there is no such entry, or what it
            names is no state dict. The message says what was found, and what to do.
        OSError: torchvision's weights are not on this machine and cannot be downloaded. The
            message says what to fetch and where to put it.
    """
    if not isinstance(entry, str):
        raise TypeError(f"entry must be a name, as 'state_dict', got {entry!r}")
    # torchvision's WeightsEnum, without the import: that takes longer than torch's own.
    if isinstance(source, Enum) and hasattr(source, "get_state_dict"):
        what, found = _download(source)
    elif isinstance(source, str | Path):
        what = str(Path(source))
        found = _open(source)
    elif isinstance(source, Mapping):
        what, found = "source", source
    else:
        raise TypeError(
            "source must be a path, a state dict or an entry of a torchvision weights enum, "
            f"got {type(source).__name__}"
        )
    if entry:
        inner = dict(_entries(found))
        if entry not in inner:
            known = ", ".join(map(repr, inner)) or "none"
            raise ValueError(f"entry must be one of {known}, got {entry!r}")
        what, found = f"entry {entry!r}", inner[entry]
    return _state_dict(found, what)


def _open(source: str | Path) -> object:
    path = Path(source)
    if path.is_file():
        return open_file(path)
    name = str(source)
    if name == "DEFAULT" or name.startswith("IMAGENET1K_") or "_Weights." in name:
        enum, _, entry = name.removeprefix("torchvision.models.").rpartition(".")
        raise FileNotFoundError(
            f"source names no file: {name}. torchvision's weights are no string, but an entry of "
            f"an enum{'' if enum else ', for ResNet-18'}: "
            f"torchvision.models.{enum or 'ResNet18_Weights'}.{entry}"
        )
    raise FileNotFoundError(f"source names no file: {path}")


def _download(entry: "WeightsEnum") -> tuple[str, object]:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    place = folder / entry.url.rsplit("/", 1)[-1]
    try:
        # torchvision checks the hash of a fresh download, but not of a file that lies there.
        return str(place), entry.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise OSError(
            f"{entry} is not on this machine and could not be downloaded ({reason}). "
            f"Fetch {entry.url} where there is a network and put it into {folder}."
        ) from None
    except Exception as error:  # an unpickler meets damage with any error at all
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        reason = reason if isinstance(error, RuntimeError) else "not what torch.save writes"
        raise ValueError(f"{place} is damaged ({reason}). Delete it and try again.") from None


def _entries(found: object, depth: int = 0) -> Iterator[tuple[str, Mapping]]:
    """Mappings within a mapping, by the names that lead to them, with dots between."""
    if not isinstance(found, Mapping) or depth == DEEPEST:
        return
    for name, value in found.items():
        if isinstance(name, str) and isinstance(value, Mapping):
            yield name, value
            yield from ((f"{name}.{inner}", one) for inner, one in _entries(value, depth + 1))


def _state_dict(found: object, what: str) -> dict[str, Tensor]:
    """The same mapping, checked to hold names and tensors only."""
    if not isinstance(found, Mapping):
        raise ValueError(f"{what} must be a state dict, got {type(found).__name__}")
    unnamed = [repr(name) for name in found if not isinstance(name, str)]
    if unnamed:
        raise ValueError(f"{what} must have strings for names, got {listed(unnamed)}")
    others = [name for name, value in found.items() if not isinstance(value, Tensor)]
    if not others:
        return dict(found)
    message = f"{what} has entries that are no tensors: {listed(others)}."
    inner = {name: dict(one) for name, one in _entries(found) if _is_state_dict(one)}
    if inner:
        ways = " or ".join(f"entry={name!r}" for name in inner)
        raise NestedWeights(f"{message} A state dict lies in it: {ways}.", inner)
    if any(type(found[name]).__module__ == "numpy" for name in others):
        message += (
            " NumPy arrays become tensors with {name: torch.as_tensor(array) for name, array in "
            "source.items()}."
        )
    raise ValueError(message)


def _is_state_dict(found: Mapping) -> bool:
    return bool(found) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    )


def listed(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

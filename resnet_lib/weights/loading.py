"""Trained weights into a network: all of them, or an error that says what does not fit."""

import pickle
from collections.abc import Mapping, Sequence, Set
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

__all__ = ["load_weights", "read_weights"]


def load_weights(
    model: nn.Module,
    source: str | Path | Mapping[str, Tensor] | WeightsEnum,
    leave_out: Sequence[str] = (),
) -> list[str]:
    """Load a state dict into a model, every name and shape of it, or nothing at all.

    Only the counters of batches that batch norms keep may be missing, as in old files. A network
    and its plain twin have the same names and shapes, so the weights of one fit the other, and are
    of no use there.

    Args:
        model: the network; it is changed only when everything fits.
        source: what `read_weights` takes.
        leave_out: parts of the model that keep their weights, named as in its state dict: "fc"
            stands for fc.weight and fc.bias. That is how a head of another size is allowed.

    Returns:
        The names that were left out, of the model and of the source; empty without `leave_out`.

    Raises:
        TypeError, ValueError, OSError: the source cannot be read, see `read_weights`.
        TypeError: `leave_out` is no list of names.
        ValueError: names or shapes of model and source differ outside of `leave_out`, a tensor
            holds whole numbers where the model has fractions, one is sparse or on the meta
            device, or a part that is to be left out is in neither. The model is then as it was.
    """
    _check_names(leave_out)
    given, own = read_weights(source), model.state_dict()
    left_out = [
        name
        for name in dict.fromkeys([*own, *given])
        if any(_is_in(name, part) for part in leave_out)
    ]
    for part in leave_out:
        if not any(_is_in(name, part) for name in left_out):
            raise ValueError(f"leave_out names {part!r}, which is in neither model nor source")
    kept = {name: tensor for name, tensor in given.items() if name not in left_out}
    faults = _faults({n: t for n, t in own.items() if n not in left_out}, kept)
    if faults:
        raise ValueError("source does not fit the model. " + " ".join(faults))
    model.load_state_dict(own | kept, strict=True)
    return left_out


def read_weights(source: str | Path | Mapping[str, Tensor] | WeightsEnum) -> dict[str, Tensor]:
    """State dict from a file, a mapping, or torchvision's weights; tensors lie on the CPU.

    Args:
        source: a `.safetensors` file; a file that `torch.save` wrote of a state dict (it is read
            without running code from it); a mapping of names to tensors; or an entry of a
            torchvision weights enum, which torchvision downloads once and keeps.

    Raises:
        TypeError: the source is none of these.
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or no state dict.
        OSError: torchvision's weights are not on this machine and cannot be downloaded. The
            message says what to fetch and where to put it.
    """
    if isinstance(source, WeightsEnum):
        return _download(source)
    if isinstance(source, str | Path):
        return _read_file(Path(source))
    if isinstance(source, Mapping):
        return _state_dict(source, "source")
    raise TypeError(
        "source must be a path, a state dict or an entry of a torchvision weights enum, "
        f"got {type(source).__name__}"
    )


def _check_names(leave_out: Sequence[str]) -> None:
    if isinstance(leave_out, str):
        raise TypeError(f"leave_out must be a list of names, as [{leave_out!r}], got a string")
    # A generator would be used up by the first look at it.
    if not isinstance(leave_out, Sequence | Set) or not all(isinstance(n, str) for n in leave_out):
        raise TypeError(f"leave_out must be a list of names, as ['fc'], got {leave_out!r}")


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def _download(entry: WeightsEnum) -> dict[str, Tensor]:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    place = folder / entry.url.rsplit("/", 1)[-1]
    try:
        # torchvision checks the hash of a fresh download, but not of a file that lies there.
        found = entry.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise OSError(
            f"{entry} is not on this machine and could not be downloaded ({reason}). "
            f"Fetch {entry.url} where there is a network and put it into {folder}."
        ) from None
    except Exception as error:  # an unpickler meets damage with any error at all
        raise ValueError(
            f"{place} is damaged ({_short(error)}). Delete it and try again."
        ) from None
    return _state_dict(found, str(place))


def _read_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"source names no file: {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # an unpickler meets damage with any error at all
        if isinstance(error, pickle.UnpicklingError) and "Unsupported global" in str(error):
            raise ValueError(
                f"{path} holds Python objects, not only tensors, and is not opened, because that "
                "could run code from it. Save model.state_dict() in its place."
            ) from None
        raise ValueError(
            f"{path} is truncated or no file of weights ({_short(error)}). Fetch it again."
        ) from None
    return _state_dict(found, str(path))


def _short(error: Exception) -> str:
    from safetensors import SafetensorError

    if not isinstance(error, SafetensorError | RuntimeError | EOFError):
        return "not what torch.save writes"
    return (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]


def _state_dict(found: object, what: str) -> dict[str, Tensor]:
    """The same mapping, checked to hold names and tensors only."""
    if not isinstance(found, Mapping):
        raise ValueError(f"{what} must be a state dict, got {type(found).__name__}")
    unnamed = [repr(name) for name in found if not isinstance(name, str)]
    if unnamed:
        raise ValueError(f"{what} must have strings for names, got {_listed(unnamed)}")
    others = [name for name, value in found.items() if not isinstance(value, Tensor)]
    if others:
        inner = [name for name in others if isinstance(found.get(name), Mapping)]
        hint = f" The state dict may be the entry {inner[0]!r}." if inner else ""
        raise ValueError(f"{what} has entries that are no tensors: {_listed(others)}.{hint}")
    return dict(found)


def _faults(own: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    # PyTorch before 0.4.1 saved batch norms without their counter, torchvision's first files too.
    missing = [n for n in own if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in own]
    both = [n for n in own if n in given]
    faults = []
    if missing:
        faults.append(f"The source lacks {_listed(missing)}.")
    if unknown:
        faults.append(f"The model lacks {_listed(unknown)}.")
    if missing and unknown and set(missing) <= {n.removeprefix("module.") for n in unknown}:
        faults.append(
            "The prefix module. was left there by DataParallel: remove it from the names."
        )
    shapes = [n for n in both if own[n].shape != given[n].shape]
    if shapes:
        pairs = [f"{n} {tuple(own[n].shape)} and {tuple(given[n].shape)}" for n in shapes]
        faults.append(f"Shapes differ, in model and source: {_listed(pairs)}.")
        head = sorted({name.rpartition(".")[0] or name for name in shapes})
        if len(head) == 1 and not (missing or unknown):
            faults.append(f"leave_out={head!r} loads the rest and keeps the model's own {head[0]}.")
    kinds = [n for n in both if own[n].is_floating_point() != given[n].is_floating_point()]
    if kinds:
        faults.append(f"Whole numbers stand where the other has fractions: {_listed(kinds)}.")
    # load_state_dict would stop at these halfway.
    odd = [n for n in both if not all(_has_values(tensor[n]) for tensor in (own, given))]
    if odd:
        faults.append(f"Sparse or on the meta device, without values to copy: {_listed(odd)}.")
    return faults


def _has_values(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

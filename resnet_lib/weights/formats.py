"""A file of weights: opened without running code in it, or named as what it is instead."""

import argparse
import errno
import pathlib
import pickle
import pickletools
import types
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

# What a file of something else begins with, in lower case, and what to say of it.
PAGE = "a web page, not the file: a message, or the page about it. Fetch the file itself"
JSON = "a JSON text, perhaps the list of several files of weights. Name one of those"
OTHERS = {
    b"<!doctype html": PAGE,
    b"<html": PAGE,
    b"<?xml": "an XML text, perhaps a server's message. Fetch the file itself",
    b"version https://git-lfs": "a pointer of Git LFS: the repository came without its large "
    "files. Fetch them with git lfs pull",
    b"\x89hdf": "an HDF5 file, as Keras writes them. Convert it where Keras is installed",
    b"\x1f\x8b": "packed with gzip. Unpack it first",
    b"gguf": "a GGUF file, made for language models",
    b'{"': JSON,
    b"{\n": JSON,
}
# Trainings leave their settings in such objects; building one runs no code of the file.
PLAIN_DATA = [argparse.Namespace, types.SimpleNamespace, pathlib.PosixPath]


def numpy_data() -> list:
    """What `torch.serialization.safe_globals` has to allow so that NumPy's numbers and arrays load.

    Building them runs no code of the file. `load_weights` and `read_weights` do not allow them by
    themselves, because NumPy does not promise to withstand files that are made to harm it::

        with torch.serialization.safe_globals(weights.numpy_data()):
            weights.load_weights(model, source)
    """
    inner = (np._core if hasattr(np, "_core") else np.core).multiarray  # type: ignore[attr-defined]
    functions = [
        (getattr(inner, name), f"numpy.{package}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for package in ("_core", "core")
    ]
    kinds = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdFDSU"}
    return [*functions, np.ndarray, np.dtype, *kinds]


def open_file(path: Path) -> object:
    """What a file holds.

    Raises:
        ValueError: the file is damaged or something else; the message says what, and what to do.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise ValueError(f"{path} is empty. Fetch it again.")
    if is_safetensors(start):
        return _open_safetensors(path)
    for beginning, what in OTHERS.items():
        if start.lstrip().lower().startswith(beginning):
            raise ValueError(f"{path} is {what}.")
    if start.startswith(b"PK"):
        _check_archive(path)
    return _open_pickle(path)


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins so is one: eight bytes with a length, then JSON of that length."""
    return start[5:9] == b"\0\0\0{"


def _open_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except OSError:
        raise
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, str(error)) from None


def _open_pickle(path: Path) -> object:
    try:
        # As a file, for by its name newer versions of PyTorch take a path for safetensors.
        with path.open("rb") as file, safe_globals(PLAIN_DATA):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler meets damage with any error at all
        # What is damaged may name a place before the file's beginning, which the system refuses.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        held = _beside_tensors(path) if isinstance(error, pickle.UnpicklingError) else None
        if held is not None:
            raise ValueError(f"{path} {_not_opened(path, held)}") from None
        is_torchs = isinstance(error, RuntimeError | EOFError)
        reason = (str(error) or type(error).__name__) if is_torchs else "not what torch.save writes"
        raise _damaged(path, reason) from None


def _beside_tensors(path: Path) -> list[str] | None:
    """Names of what the first pickle in a file holds beside tensors; None if it is damaged.

    Of a file in the form before PyTorch 1.6 the names are not told.
    """
    try:
        if zipfile.is_zipfile(path):
            return get_unsafe_globals_in_checkpoint(path) or None
        with path.open("rb") as file:
            for _ in pickletools.genops(file):  # reads, and builds nothing
                pass
    except Exception:  # damage can look like anything
        return None
    return []


def _damaged(path: Path, reason: str) -> ValueError:
    reason = reason.splitlines()[0].split(". ")[0]
    return ValueError(f"{path} is truncated or no file of weights ({reason}). Fetch it again.")


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that `torch.save` did not write."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # damage; torch.load will meet it too
        return
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        what = (
            "a TorchScript archive: a program, with its weights. If you trust its source: "
            f"load_weights(model, torch.jit.load({str(path)!r}, map_location='cpu').state_dict())"
        )
    elif "archive_format" in inner:
        what = (
            "an exported program, with its weights. If you trust its source: "
            f"load_weights(model, torch.export.load({str(path)!r}).state_dict)"
        )
    elif names and all(name.endswith(".npy") for name in names):
        what = (
            "an archive of NumPy arrays: load_weights(model, {name: torch.as_tensor(array) for "
            f"name, array in numpy.load({str(path)!r}).items()}})"
        )
    elif "data.pkl" in inner or not names:
        return
    else:
        what = f"a zip archive with {', '.join(names[:3])} in it. Unpack it first"
    raise ValueError(f"{path} is {what}.")


def _not_opened(path: Path, unsafe: list[str]) -> str:
    """Why a pickle with such things beside tensors is not opened, and what can be done about it."""
    # A whole model is known by its own class; PyTorch's layers are in each.
    names = sorted(unsafe, key=lambda name: (name.startswith(("torch.", "builtins.")), name))
    held = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "") or "Python objects"
    begin = f"holds {held}, not only tensors, and is not opened, because that could run code."
    if names and all(name.startswith("numpy.") for name in names):
        return (
            f"{begin} These are numbers or arrays of NumPy, which may be allowed: with "
            "torch.serialization.safe_globals(weights.numpy_data()): load_weights(...)"
        )
    return (
        f"{begin} Ask for a file of model.state_dict() alone. Only if you trust its source like "
        "that of a program, and have the code that it needs: "
        f"torch.load({str(path)!r}, weights_only=False) opens it, and load_weights takes the "
        "state dict of what comes out."
    )

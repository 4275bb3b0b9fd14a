"""Checkpoints that survive a kill: whole or absent, and damage is recognised."""

import hashlib
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from resnet_lib.arguments import check_path, check_whole
from resnet_lib.files import sync_folder, written_aside

__all__ = ["CheckpointError", "Checkpoints"]


class CheckpointError(Exception):
    """There are checkpoints, but none can be used."""


class Checkpoints:
    """The newest checkpoints of one training run, in a folder of their own.

    A checkpoint is a pair of files: the tensors in `step-00000120.safetensors`, all the rest in
    `step-00000120.json`, which also holds the checksum (SHA-256) of both. Both are written aside,
    synced to the disk and then renamed, the JSON last. So a kill at any moment leaves the
    checkpoint whole, or none. What is damaged later is recognised by its checksum.

    Args:
        folder: where they lie; it is made with the first one.
        every: steps between two checkpoints within an epoch; None: at the ends of epochs only.
        keep: how many are kept, at least 2, so that there is one before the newest.

    Raises:
        TypeError, ValueError: `folder` is no path, `every` or `keep` no whole number, or too small.
    """

    def __init__(self, folder: str | Path, every: int | None = None, keep: int = 2):
        check_path("folder", folder)
        if every is not None:
            check_whole("every", every, 1)
        check_whole("keep", keep, 2)
        self.folder, self.every, self.keep = Path(folder), every, keep

    def save(self, step: int, state: dict) -> Path:
        """Write a checkpoint, then remove those that are too old.

        Args:
            step: its number; a higher one is newer.
            state: dictionaries, lists, tuples (which come back as lists), strings, numbers,
                booleans, None and tensors, nested as they like. Keys are strings, numbers,
                booleans or None.

        Returns:
            The path of its JSON file.

        Raises:
            OSError: the system cannot write there. Earlier checkpoints are then as they were.
            TypeError: `state` holds something else, or `step` is no whole number.
            ValueError: `step` is below 0.
        """
        check_whole("step", step, 0)
        tensors: dict[str, Tensor] = {}
        content = {"step": step, "state": _without_tensors(state, "state", tensors)}
        blob = save(tensors)
        content["tensors"] = _digest(blob)
        text = json.dumps({"sha256": _digest(_bytes(content)), **content})
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.json"
        tensors_path = path.with_suffix(".safetensors")
        with (
            written_aside(tensors_path, blob) as new_tensors,
            written_aside(path, text.encode()) as new_path,
        ):
            # An older JSON of this name must not be taken for one of the new tensors.
            path.unlink(missing_ok=True)
            os.replace(new_tensors, tensors_path)
            os.replace(new_path, path)
        sync_folder(self.folder)
        self._remove_old()
        return path

    def paths(self) -> list[Path]:
        """The checkpoints' JSON files, newest first."""
        found = [path for path in self._files() if path.suffix == ".json"]
        return sorted(found, key=_step, reverse=True)

    def load(self) -> dict | None:
        """The state of the newest checkpoint that is whole; None where there is none at all.

        A damaged one is named in a warning, and the one before it is tried.

        Raises:
            CheckpointError: there are checkpoints, and all are damaged.
        """
        faults = []
        for path in self.paths():
            try:
                state = _read(path)
            except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
                faults.append(f"{path} cannot be used: {error}.")
                continue
            if faults:
                warnings.warn(" ".join([*faults, f"Going on from {path}."]), stacklevel=2)
            return state
        if faults:
            raise CheckpointError(
                " ".join([*faults, f"To begin anew, remove the folder {self.folder}."])
            )
        return None

    def _files(self) -> list[Path]:
        """Whatever `save` may have left here, and nothing else."""
        own = re.compile(r"step-\d+\.(json|safetensors)(\.new)?")
        return [path for path in self.folder.glob("step-*") if own.fullmatch(path.name)]

    def _remove_old(self) -> None:
        kept = {path.stem for path in self.paths()[: self.keep]}
        for path in self._files():
            if path.name.split(".")[0] not in kept:
                path.unlink(missing_ok=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _read(path: Path) -> dict:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.pop("sha256", None) != _digest(_bytes(content)):
        raise ValueError("its checksum is wrong")
    if content["step"] != _step(path):
        raise ValueError(f"it is the checkpoint of step {content['step']}")
    if content["state"] is None:  # as `load` says that there is no checkpoint
        raise ValueError("it holds no state")
    blob = path.with_suffix(".safetensors").read_bytes()
    if _digest(blob) != content["tensors"]:
        raise ValueError(f"the checksum of {path.stem}.safetensors is wrong")
    return _with_tensors(content["state"], load(blob))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _bytes(content: dict) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON can hold it; its tensors go into `tensors`, under their places' names."""
    if isinstance(value, Tensor):
        while name in tensors:  # the keys "a.b" and "a", "b" give the same name
            name += "'"
        # Copies, because safetensors refuses tensors that share memory or are not contiguous.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        for key in value:
            if not (key is None or isinstance(key, str | int | float)):
                raise TypeError(f"keys of {name} must be strings or numbers, got {key!r}")
        # JSON's keys are strings, an optimiser's are numbers.
        pairs = [[key, _without_tensors(v, f"{name}.{key}", tensors)] for key, v in value.items()]
        return {"pairs": pairs}
    if isinstance(value, list | tuple):
        return [_without_tensors(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{name} must be made of tensors and JSON's values, got {type(value).__name__}")


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {key: _with_tensors(v, tensors) for key, v in value["pairs"]}
    return [_with_tensors(v, tensors) for v in value] if isinstance(value, list) else value

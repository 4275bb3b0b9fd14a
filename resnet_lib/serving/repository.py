"""A folder of models, each in numbered versions that never change: the repository a server reads.

models/digits/1/model.onnx
models/digits/1/model-settings.json
models/digits/2/...
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_lib.arguments import check_number, check_path, check_positive, check_text
from resnet_lib.files import sync_folder, write_whole
from resnet_lib.serving.names import check_name

if TYPE_CHECKING:
    from resnet_lib.prediction import Card

__all__ = ["Version", "fault_of", "publish", "roll_back", "versions"]

MODEL, SETTINGS = "model.onnx", "model-settings.json"
RUNTIME = "resnet_lib.serving.runtime.OnnxRuntime"
# What the settings of a version say of it, beside how it is run.
KINDS = {"size": int, "sha256": str, "published": str, "note": str} | dict.fromkeys(
    ("classes", "image", "mean", "std"), list
)


@dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
        number: counts from 1; a higher one is newer, and a server answers with the highest.
        folder: where its files lie.
        size: bytes of the network's file.
        sha256: of the network's file, in hexadecimal.
        published: when, in UTC.
        note: what its publisher said.
    """

    number: int
    folder: Path
    size: int
    sha256: str
    published: str
    note: str


def publish(
    repository: str | os.PathLike,
    name: str,
    network: str | os.PathLike,
    card: "Card",
    *,
    note: str = "",
    max_batch_size: int = 1,
    max_batch_time: float = 0.005,
    threads: int = 1,
) -> Version:
    """Put a network into the repository as the next version of a model.

    The version appears whole or not at all. A server that runs takes it up when it is told to,
    see `Client.load`; the newest three are kept loaded.

    Args:
        repository: the folder of all models; it is made where there is none.
        name: the model's name: small letters, digits and dashes, at most 63.
        network: a file of `export.to_onnx` or `export.quantize_onnx`.
        card: what one has to know of its input and output; a `weights.ModelCard` is one.
        note: a word on what is new.
        max_batch_size: up to how many requests of one image may go through the network together;
            1: none waits for another.
        max_batch_time: how many seconds the first of them may wait for the others.
        threads: CPU threads of the network.

    Raises:
        TypeError: an argument is of another type.
        FileNotFoundError: there is no such network.
        ValueError: a name or number is not allowed.
        OSError: the system cannot write there.
    """
    for argument, path in {"repository": repository, "network": network}.items():
        check_path(argument, path)
    check_name(name)
    check_text("note", note)
    check_positive(max_batch_size=max_batch_size, threads=threads)
    check_number("max_batch_time", max_batch_time, 0, above=True)
    running = {"threads": threads, "max_batch_time": max_batch_time}
    running["max_batch_size"] = max_batch_size
    about = {name: list(getattr(card, name)) for name in ("classes", "image", "mean", "std")}
    return _add(Path(repository) / name, Path(network).read_bytes(), about | running, note)


def versions(repository: str | os.PathLike, name: str) -> list[Version]:
    """The versions of a model, the oldest first.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the settings of a version are damaged; `fault_of` says it of each version.
    """
    check_path("repository", repository)
    check_text("name", name)
    model = Path(repository) / name
    if not model.is_dir():
        raise FileNotFoundError(f"there is no model {name} in {repository}")
    numbers = sorted(int(folder.name) for folder in model.iterdir() if folder.name.isdigit())
    return [_read(model / str(number)) for number in numbers]


def roll_back(repository: str | os.PathLike, name: str, *, to: int | None = None) -> Version:
    """Publish an older version anew, as the newest; the others stay as they are.

    Args:
        repository: the folder of all models.
        name: the model's.
        to: the older version's number; None: the last but one.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: there is no such version, or its file, or the settings of one, are damaged.
        OSError: the system cannot write there.
    """
    known = {version.number: version for version in versions(repository, name)}
    numbers = sorted(known)
    if to is None and len(numbers) > 1:
        to = numbers[-2]
    if to not in known:
        raise ValueError(f"to must be an older version of {name}: {numbers}, got {to}")
    old = known[to]
    if fault := fault_of(old.folder):
        raise ValueError(f"to must be a whole version, but {fault}")
    about = _about(old.folder)
    kept = {key: value for key, value in about.items() if key not in ("sha256", "size")}
    content = (old.folder / MODEL).read_bytes()
    return _add(old.folder.parent, content, kept, f"version {to} again")


def fault_of(folder: str | os.PathLike) -> str:
    """Why a version cannot be served: its file is cut short or changed; empty where it can."""
    check_path("folder", folder)
    folder = Path(folder)
    try:
        version = _read(folder)
        content = (folder / MODEL).read_bytes()
    except (OSError, ValueError) as error:
        return f"version {folder.name} cannot be read: {error}"
    if len(content) != version.size:
        return (
            f"version {folder.name} has a network of {len(content):,} bytes, and "
            f"{version.size:,} were published"
        )
    if hashlib.sha256(content).hexdigest() != version.sha256:
        return f"version {folder.name} has another network than was published"
    return ""


def _read(folder: Path) -> Version:
    about = _about(folder)
    known = {key: about[key] for key in KINDS if key in Version.__annotations__}
    return Version(number=int(folder.name), folder=folder, **known)


def _about(folder: Path) -> dict[str, Any]:
    """What the settings of a version say of it.

    Raises:
        OSError: there are none.
        ValueError: they are not as `_settings` makes them.
    """
    path = folder / SETTINGS
    try:
        about = json.loads(path.read_text(encoding="utf-8"))["parameters"]["extra"]
        lacking = [key for key, kind in KINDS.items() if not isinstance(about[key], kind)]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, LookupError) else error
        raise ValueError(f"{path} is damaged: {reason}") from None
    if lacking:
        raise ValueError(f"{path} is damaged: {lacking[0]} is {about[lacking[0]]!r}")
    return about


def _add(model: Path, content: bytes, about: Mapping[str, Any], note: str) -> Version:
    """Write a version beside the model's folder, then give it the next number."""
    model.mkdir(parents=True, exist_ok=True)
    about = dict(about) | {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "published": datetime.now(UTC).isoformat(timespec="seconds"),
        "note": note,
    }
    made = Path(tempfile.mkdtemp(dir=model, prefix=".new-"))  # a server does not look into it
    try:
        write_whole(made / MODEL, content)
        made.chmod(0o755)
        while True:
            taken = [int(folder.name) for folder in model.iterdir() if folder.name.isdigit()]
            number = max(taken, default=0) + 1
            settings = json.dumps(_settings(model.name, number, about), indent=1)
            write_whole(made / SETTINGS, settings.encode())
            try:
                made.rename(model / str(number))
                break
            except OSError:
                if not (model / str(number)).exists():  # else another publisher was faster
                    raise
        sync_folder(model)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return _read(model / str(number))


def _settings(name: str, number: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """What MLServer wants to know of a version."""
    shape = [-1, *about["image"]]
    return {
        "name": name,
        "implementation": RUNTIME,
        "platform": "onnx",
        "inputs": [
            {"name": "images", "datatype": "UINT8", "shape": shape},
            {"name": "pictures", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "scores", "datatype": "FP32", "shape": [-1, len(about["classes"])]},
            {"name": "classes", "datatype": "BYTES", "shape": [-1]},
        ],
        "parameters": {"version": str(number), "uri": f"./{MODEL}", "extra": dict(about)},
    }

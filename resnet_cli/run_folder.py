"""The folder of a run: what stands in it, read and written."""

import json
import platform
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from resnet_cli.config_options import checked_config
from resnet_cli.errors import Failure, UsageError
from resnet_cli.settings import TrainSettings
from resnet_lib import __version__
from resnet_lib.train.config import TrainConfig

RUN, CHECKPOINTS, HISTORY, WEIGHTS = "run.json", "checkpoints", "history.json", "model.safetensors"
FORMAT = 1


@dataclass(frozen=True)
class DataFacts:
    """What a run keeps of its data.

    Attributes:
        image: shape of an image, (C, H, W).
        mean: what the images are normalised with, per channel, where 0 is black and 1 is white.
        std: likewise.
        sha256: checksum of all images and labels.
    """

    classes: tuple[str, ...]
    image: tuple[int, ...]
    train_images: int
    test_images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    validation_images: int = 0
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """Content of run.json."""

    settings: TrainSettings
    config: TrainConfig
    data: DataFacts
    command: str = ""
    processes: int = 1
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def refuse_used(folder: Path, resume: str) -> None:
    """Refuse a folder that holds a run, or what could be taken for a part of one.

    Raises:
        UsageError: it does; the message says how to go on with it.
        Failure: it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise Failure(f"--out must be a folder, and {folder} is a file")
    if (folder / RUN).exists():
        raise UsageError(
            f"argument --out: {folder} already holds a run. Go on with it: {resume}\n"
            "(with --epochs for more of them), or name another folder"
        )
    found = [name for name in (CHECKPOINTS, HISTORY, WEIGHTS) if (folder / name).exists()]
    if found:
        raise UsageError(
            f"argument --out: {folder} holds {', '.join(found)} of a run without its {RUN}: name "
            "another folder"
        )


def read(folder: Path) -> Run:
    """Content of run.json.

    Raises:
        Failure: it is missing, damaged or of another version.
    """
    path = folder / RUN
    if not path.is_file():
        raise Failure(f"there is no run in {folder}: {path} is missing")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Failure(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Failure(f"{path} is not of this version of resnet_lib, or no run")
    parts = {part: content.pop(part, None) for part in ("settings", "config", "data")}
    for part, values in parts.items():
        if not isinstance(values, dict):
            raise Failure(f"{path} is damaged: {part} lacks everything")
    try:
        config = checked_config(parts["config"])
    except UsageError as error:
        raise Failure(f"{path} cannot be used: {error}") from None
    settings = _filled(TrainSettings, parts["settings"], path, "settings", ("net", "data"))
    facts = _filled(DataFacts, parts["data"], path, "data")
    known = {one.name for one in fields(Run)}
    return Run(settings, config, facts, **{n: v for n, v in content.items() if n in known})


def _filled(
    kind: type, values: Mapping[str, Any], path: Path, part: str, needed: tuple[str, ...] = ()
) -> Any:
    known = {one.name: one for one in fields(kind)}
    if unknown := set(values) - set(known):
        raise Failure(f"{path} is of another version: {part} has {', '.join(sorted(unknown))}")
    without = [n for n, one in known.items() if one.default is MISSING or n in needed]
    if missing := [name for name in without if name not in values]:
        raise Failure(f"{path} is damaged: {part} lacks {', '.join(missing)}")
    return kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})


def begin(folder: Path, run: Run) -> None:
    """Write run.json, with which the folder is a run."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / RUN, asdict(run))


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    from resnet_lib.files import write_whole

    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def newest_update(folder: Path) -> int | None:
    """Number of the update after which the newest checkpoint was made; None where there is none."""
    from resnet_lib.train import Checkpoints

    paths = Checkpoints(folder / CHECKPOINTS).paths()
    return int(paths[0].stem.removeprefix("step-")) if paths else None


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of history.json; none where it is missing or damaged, for the checkpoints have them."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def versions() -> dict[str, str]:
    """Versions of what makes the numbers."""
    import torch  # its own word, because it names the build

    found = {name: metadata.version(name) for name in ("torchvision", "numpy")}
    found = {"torch": str(torch.__version__)} | found
    return {"resnet_lib": __version__, "python": platform.python_version(), **found}

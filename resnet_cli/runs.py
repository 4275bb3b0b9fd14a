"""The folder of a run."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from resnet_cli.faults import Failure, UsageError
from resnet_lib import __version__

RUN, CHECKPOINTS, HISTORY, WEIGHTS = "run.json", "checkpoints", "history.json", "model.safetensors"
FORMAT = 1
NEEDED = {
    "settings": ("net", "data", "size", "data_root", "skip_unreadable", "batch_size"),
    "config": (),
    "data": ("classes", "image", "mean", "std", "sha256", "train_images", "test_images"),
}
# The one entry of the metadata of WEIGHTS: several would be written in an order left to chance.
ABOUT = "resnet_lib"


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
            "or name another folder"
        )
    found = [name for name in (CHECKPOINTS, HISTORY, WEIGHTS) if (folder / name).exists()]
    if found:
        raise UsageError(
            f"argument --out: {folder} holds {', '.join(found)} of a run without its {RUN}: name "
            "another folder"
        )


def read(folder: Path) -> dict[str, Any]:
    """Content of run.json.

    Raises:
        Failure: it is missing, damaged or of another version.
    """
    path = folder / RUN
    if not path.is_file():
        raise Failure(f"there is no run in {folder}: {path} is missing")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Failure(f"{path} is not of this version of resnet_lib, or no run")
    for part, names in NEEDED.items():
        missing = [name for name in names if name not in content.get(part, {})]
        if missing or part not in content:
            raise Failure(f"{path} is damaged: {part} lacks {', '.join(missing) or 'everything'}")
    return content


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    from resnet_lib.files import write_whole

    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def write_weights(path: Path, model, about: dict[str, Any]) -> None:
    """Write a network's weights, with what one has to know in order to use them."""
    from safetensors.torch import save

    from resnet_lib.files import write_whole

    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    write_whole(path, save(tensors, {ABOUT: json.dumps(about)}))


def about_weights(path: Path) -> dict[str, Any]:
    """What `write_weights` wrote beside the weights; empty for other files."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {}).get(ABOUT, "{}"))
    except (SafetensorError, ValueError):
        return {}  # reading the weights will say it


def weights_of(folder: Path) -> tuple[Any, str]:
    """Weights of a run, and what they are: the final ones, or those of its newest checkpoint.

    Raises:
        Failure: it has neither.
        CheckpointError: all checkpoints are damaged.
    """
    from resnet_lib.train import Checkpoints

    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS, "final weights"
    state = Checkpoints(folder / CHECKPOINTS).load()
    if state is None:
        raise Failure(f"{folder} holds neither {WEIGHTS} nor a checkpoint: train first")
    what = f"weights after update {state['counters'][2]}"
    if state["best"] is not None:
        return state["best"], "best weights so far"
    if state["average"] is None:
        return state["model"], what
    # Beside the weights, which lie under "module.", an average keeps the number of updates.
    average = {name.removeprefix("module."): value for name, value in state["average"].items()}
    return {name: average[name] for name in state["model"]}, f"average of the {what}"


def newest_update(folder: Path) -> int | None:
    """Number of the update after which the newest checkpoint was made; None where there is none."""
    from resnet_lib.train import Checkpoints

    paths = Checkpoints(folder / CHECKPOINTS).paths()
    return int(paths[0].stem.removeprefix("step-")) if paths else None


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of history.json; none where it is missing or damaged, for the checkpoints have them."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def versions() -> dict[str, str]:
    """Versions of what makes the numbers."""
    import torch  # its own word, because it names the build

    found = {name: metadata.version(name) for name in ("torchvision", "numpy")}
    found = {"torch": str(torch.__version__)} | found
    return {"resnet_lib": __version__, "python": platform.python_version(), **found}

"""The records that experiments left behind."""

import json
from pathlib import Path

from resnet_lib.arguments import check_path


def read_record(path: str) -> dict:
    """Read a record that an experiment left behind, from the repository or the installed library.

    Args:
        path: as in the repository, for example "results/bench_parity.json".

    Raises:
        TypeError: `path` is no path.
        FileNotFoundError: there is no such record; the message names those there are.
    """
    check_path("path", path)
    here = Path(__file__).resolve().parents[1]  # resnet_lib
    # The installed library has the repository's results/ inside itself.
    for root in (here.parent, here):
        if (root / path).is_file():
            return json.loads((root / path).read_text(encoding="utf-8"))
    folder = here.parent / "results" if (here.parent / "results").is_dir() else here / "results"
    names = sorted(
        f"results/{file.relative_to(folder).as_posix()}" for file in folder.rglob("*.json")
    )
    known = ", ".join(names) or "none"
    raise FileNotFoundError(f"path names no record: {path}. There are: {known}")

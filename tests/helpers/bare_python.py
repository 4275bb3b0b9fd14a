"""A Python that has what runs the notebooks, and nothing of this project.

What may be missed on a reader's machine is missing here: the library itself, its packages that are
not among those that a notebook may ask for, and the tools of the tests.
"""

import json
import os
import re
import shutil
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from warm_python import serve_from

PROMISED = ("torch", "torchvision", "numpy", "matplotlib", "scikit-learn")
KERNEL = "alone"


def make_bare_python(folder: Path, extras: Iterable[str] = ()) -> Path:
    """Make an environment in ``folder`` out of this one's packages; return its Python.

    ``extras`` are packages that a notebook may ask for beside the promised ones.
    """
    venv.create(folder, symlinks=os.name != "nt", with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / ("Lib" if os.name == "nt" else f"lib/{version}") / "site-packages"
    for name in _with_needs({*PROMISED, *extras, "ipykernel"}):
        found = metadata.distribution(name)
        for first in {file.parts[0] for file in found.files if file.parts[0] != ".."}:
            if not (site / first).exists() and first != "__pycache__":
                _link(Path(found.locate_file(first)), site / first)
    return python


def add_kernel(python: Path, folder: Path, fork: bool = False) -> None:
    """Describe the kernel KERNEL, of that Python, in a folder for the variable JUPYTER_PATH.

    ``fork`` starts a process that its kernels are forked from.
    """
    dead = "http://127.0.0.1:9"  # no service listens there: a download fails at once
    # nbval ends kernels before they can tidy up, so what they unpack lies in here.
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = {
        "PYTHONPATH": "",
        "PYTHONNOUSERSITE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as ipykernel sets it
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), dead),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
    }
    words = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    if fork:
        words[:1] = serve_from(python, folder / "socket", os.environ | environment)
    about = {
        "display_name": "Python alone",
        "language": "python",
        "argv": words,
        "env": environment,
    }
    place = folder / "kernels" / KERNEL
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(about), encoding="utf-8")


def _with_needs(names: set[str]) -> set[str]:
    """The distributions by that name, as "one" or "one[extra]", and all that these need."""
    found: set[tuple[str, str]] = set()  # with "" for what is needed without any extra
    waiting = [Requirement(name) for name in sorted(names)]
    while waiting:
        wanted = waiting.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        for extra in {"", *wanted.extras} - {known for other, known in found if other == name}:
            found.add((name, extra))
            needs = map(Requirement, metadata.requires(name) or [])
            waiting += [n for n in needs if not n.marker or n.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def _link(source: Path, target: Path) -> None:
    if os.name != "nt":
        target.symlink_to(source)
    elif source.is_dir():
        import _winapi

        _winapi.CreateJunction(str(source), str(target))  # needs no rights, as a link does there
    else:
        shutil.copy(source, target)

"""Strict nbval over a chapter as it stands alone: in an empty folder, without the project.

The notebook that the book offers is made anew and its first cell run; the other cells are the
chapter's own, which is compared, and so are the outputs that they must give. So one run proves the
kept outputs and that they come about on a reader's machine.
"""

import os
import tempfile
from functools import cache
from pathlib import Path

from alone import stand_alone
from bare_python import KERNEL, add_kernel, make_bare_python
from carried import EXTRAS, carried
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbFile
from notebooks import ROOT
from warm_python import POSSIBLE

ANOTHER_PYTHON = "NOTEBOOK_PYTHON"  # names the Python to run notebooks with; see `make oldest`

ABSENT = ("resnet_lib", "resnet_checks", "resnet_cli", "pytest", "alone")
STOOD_IN_FOR = ("safetensors", "tqdm")  # the extras bring them


@cache
def kernel_folder(extras: frozenset[str]) -> tempfile.TemporaryDirectory:
    """The description of the kernel, and its Python; once for the whole run."""
    folder = tempfile.TemporaryDirectory(prefix="bare_python_")
    place = Path(folder.name)
    named = os.environ.get(ANOTHER_PYTHON)
    python = Path(named) if named else make_bare_python(place / "venv", extras)
    # Few notebooks ask for the same extras: a process to fork from would cost more than it saves.
    add_kernel(python, place, fork=POSSIBLE and not (named or extras))
    return folder


def start_kernel(folder: str, extras: frozenset[str], startup_timeout: float = 60) -> RunningKernel:
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = kernel_folder(extras).name
    try:
        return RunningKernel(KERNEL, cwd=folder, startup_timeout=startup_timeout)
    finally:
        os.environ.pop("JUPYTER_PATH")
        if before is not None:
            os.environ["JUPYTER_PATH"] = before


class AloneNotebook(IPyNbFile):
    """A chapter or solution whose cells nbval runs as those of the notebook that runs alone."""

    def setup(self):
        first, *others = (c for c in stand_alone(self.path).cells if c.cell_type == "code")
        own = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        assert [(c.id, c.source) for c in others] == [(c.id, c.source) for c in own]
        asked = carried(self.nb, ROOT).packages
        extras = frozenset(asked[name] for name in asked if name in EXTRAS)
        self.folder = tempfile.TemporaryDirectory(prefix="empty_")
        self.kernel = start_kernel(
            self.folder.name, extras, self.config.option.nbval_kernel_startup_timeout
        )
        self.setup_sanitize_files()
        absent = ABSENT if extras else ABSENT + STOOD_IN_FOR
        assert run(self.kernel, what_is_here(absent)) == "[]\n"
        run(self.kernel, first.source)

    def teardown(self):
        super().teardown()
        left = sorted(os.listdir(self.folder.name))
        self.folder.cleanup()
        assert not left, f"{self.path.name} left {left} in the reader's folder"


def what_is_here(names: tuple[str, ...]) -> str:
    """Code that prints which of the packages the kernel finds."""
    return f"import importlib.util as util\nprint([n for n in {names} if util.find_spec(n)])"


def run(kernel: RunningKernel, source: str) -> str:
    """Run code and return what it prints; an error that it raises is one here."""
    asked = kernel.execute_cell_input(source, allow_stdin=False)
    kernel.await_reply(asked, timeout=120)
    printed = ""
    while True:
        message = kernel.get_message("iopub", timeout=10)
        content = message["content"]
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if message["msg_type"] == "stream":
            printed += content["text"]
        if content.get("execution_state") == "idle":
            return printed

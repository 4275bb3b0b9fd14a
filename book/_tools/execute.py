"""Run the book's notebooks, put them in normal form and keep their outputs.

    python book/_tools/execute.py               run and write all notebooks
    python book/_tools/execute.py --only 03     chapter 03 and its solutions; also part of a name
    python book/_tools/execute.py --tidy        run nothing; bring the files into normal form
    python book/_tools/execute.py --check       write nothing; name what is not in normal form
    python book/_tools/execute.py --numbers     run those whose figures lack their numbers, and
                                                write these into the outputs that stand there

A notebook is written only when every cell of it ran and left clean outputs behind. Each figure's
numbers are kept beside it, for the table under it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from pathlib import Path

from figure_run import KEEP_NUMBERS, fill_in, lacks_numbers
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, v4
from notebooks import (
    ROOT,
    chosen,
    complaints,
    normalise,
    notebook_paths,
    read,
    to_text,
    write,
)

# The book's networks are small: more threads only get in each other's way, and one thread
# gives the same sums, and so the same outputs, on every run. The tests do the same.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CELL_TIMEOUT = 600  # seconds
ASK_KERNEL = """
import json, platform, torch, torchvision
print(json.dumps({
    "python": platform.python_version(),
    "torch": torch.__version__.partition("+")[0],
    "torchvision": torchvision.__version__.partition("+")[0],
    "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
}))
"""


class NotebookFault(Exception):
    """A notebook that cannot be kept; the message says which cell, what is wrong and what to do."""


def execute(path: Path) -> NotebookNode:
    """Run the notebook in a fresh kernel, in its own folder, and return its normal form."""
    notebook = normalise(read(path))
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    with client.setup_kernel():
        _ask(client, KEEP_NUMBERS)
        for index in range(len(notebook.cells)):
            _run_cell(client, index, path)
        made = _made_with(client)
    notebook.metadata["resnet_book"] = made
    notebook = normalise(notebook)
    faults = [_where(path, notebook, index) + text for index, text in complaints(notebook)]
    if faults:
        raise NotebookFault("\n".join(faults))
    return notebook


def _run_cell(client: NotebookClient, index: int, path: Path) -> None:
    where = _where(path, client.nb, index)
    try:
        # Without history, as nbval runs them: what is kept is then what the test will see.
        client.execute_cell(client.nb.cells[index], index, store_history=False)
    except CellExecutionError as error:
        what = f"raised {error.ename}: {error.evalue}\n{error.traceback}"
        raise NotebookFault(where + what) from None
    except CellTimeoutError:
        what = f"ran longer than {CELL_TIMEOUT} seconds; make it do less."
        raise NotebookFault(where + what) from None
    except DeadKernelError:
        what = "ended the kernel; most likely it ran out of memory."
        raise NotebookFault(where + what) from None


def _made_with(client: NotebookClient) -> dict:
    """Date, versions and device, asked of the kernel that made the outputs."""
    answer = json.loads(_ask(client, ASK_KERNEL)[0].text)
    return {"executed": datetime.date.today().isoformat(), **answer}


def _ask(client: NotebookClient, code: str) -> list[NotebookNode]:
    """The outputs of code that is no cell of the notebook."""
    cells = client.nb.cells
    cells.append(v4.new_code_cell(code))
    try:
        client.execute_cell(cells[-1], len(cells) - 1, store_history=False)
        return cells[-1].outputs
    finally:
        cells.pop()


def _where(path: Path, notebook: NotebookNode, index: int) -> str:
    first = (notebook.cells[index].source.splitlines() or [""])[0]
    return f"{shown(path)}, cell {index + 1} ({first!r}) "


def shown(path: Path) -> str:
    """The path as an author would write it."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def make(path: Path, run: bool) -> str:
    """Bring one notebook up to date and return the line to report."""
    start = time.monotonic()
    notebook = execute(path) if run else normalise(read(path))
    write(notebook, path)
    seconds = f"{time.monotonic() - start:6.1f} s  " if run else "tidied    "
    return seconds + shown(path)


def add_numbers(path: Path) -> str | None:
    """Fill in what figures lack, from a run of the notebook; return the line to report, if any.

    Raises:
        NotebookFault: a picture came out otherwise, so that its numbers would be others.
    """
    kept = normalise(read(path))
    if not lacks_numbers(kept):
        return None
    start = time.monotonic()
    others = fill_in(kept, execute(path))
    write(kept, path)
    if others:
        cure = f"make execute ONLY={path.name[:2]}  takes picture and numbers from one run."
        where = "\n".join(_where(path, kept, index) for index in others)
        raise NotebookFault(f"{where} came out as another picture, and has no numbers: {cure}")
    return f"{time.monotonic() - start:6.1f} s  {shown(path)}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME", help="a chapter's number, or part of a name")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tidy", action="store_true", help="bring into normal form without running")
    how.add_argument("--check", action="store_true", help="name the notebooks not in normal form")
    how.add_argument("--numbers", action="store_true", help="fill in the numbers of figures")
    options = parser.parse_args(arguments)
    paths = chosen(notebook_paths(), options.only)
    if not paths:
        print(f"No notebook in chapters/ fits {options.only or 'at all'}.", file=sys.stderr)
        return 1
    if options.check:
        return _check(paths)
    failed = 0
    for path in paths:
        try:
            line = add_numbers(path) if options.numbers else make(path, run=not options.tidy)
            if line:
                print(line, flush=True)
        except NotebookFault as fault:
            failed += 1
            print(f"FAILED, file left as it was: {fault}", file=sys.stderr)
    return 1 if failed else 0


def _check(paths: list[Path]) -> int:
    loose = [p for p in paths if to_text(normalise(read(p))) != p.read_text(encoding="utf-8")]
    for path in loose:
        cure = f"run  make execute ONLY={path.name[:2]}"
        print(f"{shown(path)} is not in normal form: {cure}", file=sys.stderr)
    return 1 if loose else 0


if __name__ == "__main__":
    sys.exit(main())

"""Running nbval from a test, over notebooks that the test has written."""

import os
import re
import subprocess
import sys
from pathlib import Path

from notebooks import ROOT


def nbval(folder: Path, *options: str) -> str:
    """Run strict nbval over a folder, by itself, and return what it says."""
    # Free of the outer run's settings; and the notebooks import the library beside these tests.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    places = (ROOT, ROOT / "book" / "_tools", ROOT / "tests" / "helpers")
    environment["PYTHONPATH"] = os.pathsep.join(map(str, places))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-rA"]
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=1800", *options]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return run.stdout + run.stderr


def outcome(report: str, name: str, cell: int) -> str:
    """PASSED or FAILED, as the summary of pytest's report has it."""
    found = re.search(rf"^(PASSED|FAILED) {name}\.ipynb::Cell {cell}\b", report, re.MULTILINE)
    assert found, report
    return found[1]

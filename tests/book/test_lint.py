"""The code's style and its types: what `make lint` says."""

import subprocess
import sys

import pytest
from notebooks import ROOT


@pytest.mark.parametrize("tool", ["ruff check .", "ruff format --check .", "mypy"])
def test_it_has_nothing_to_say(tool):
    command = [sys.executable, "-m", *tool.split()]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr

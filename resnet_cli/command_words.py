"""Commands as the reader can type them: words, quoted for the reader's own shell."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "python -m resnet_lib"


def option(name: str) -> str:
    """The option for a setting: learning_rate becomes --learning-rate."""
    return "--" + name.replace("_", "-")


def command(words: Sequence[str]) -> str:
    """The command with these words, for this Python; under torchrun with as many processes."""
    start = [python(), "-m", "resnet_lib"]
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
        start = ["torchrun", f"--nproc-per-node={local}", "-m", "resnet_lib"]
        start[1:1] = [f"--nnodes={nodes}"] if nodes > 1 else []
    return quoted([*start, *words])


def python() -> str:
    """The word that starts this Python: its short name where that is what a shell finds."""
    own = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and Path(found).parent == own.parent and os.path.samefile(found, own):
            return name
    return sys.executable


def quoted(words: Sequence[str], *, windows: bool = os.name == "nt") -> str:
    """The words in one line, for a POSIX shell, or for cmd.exe and PowerShell."""
    return " ".join(map(_for_windows, words)) if windows else shlex.join(words)


def _for_windows(word: str) -> str:
    found = subprocess.list2cmdline([word])
    if found == word and re.search(r"[^\w\-.:/\\=+]", word):
        # cmd.exe would act on & and the like.
        found = f'"{word}' + ("\\" if word.endswith("\\") else "") + '"'
    return found

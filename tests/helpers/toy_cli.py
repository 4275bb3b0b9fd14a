"""The command line, called within the test's own process or in one of its own."""

import contextlib
import io
import json
import os
import subprocess
from typing import NamedTuple

import torch
from notebooks import ROOT
from PIL import Image
from safetensors.torch import load_file
from warm_python import under_torchrun, warm_python

from resnet_cli.main import main

SMALL = ("train", "--net", "resnet8", "--data", "digits", "--batch-size", "256")
LONGEST = 1800  # seconds; what hangs is killed


class Ended(NamedTuple):
    """Exit status and what was printed."""

    code: int
    out: str
    err: str


def carried_out(*words) -> Ended:
    """`python -m resnet_lib WORDS`, without a process of its own."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def done(*words) -> str:
    """The same, which must succeed; what it printed."""
    ended = carried_out(*words)
    assert ended.code == 0, ended.err
    return ended.out


def started(*words, processes: int = 1, program=("-m", "resnet_lib"), **options):
    """The same in a process of its own, or under torchrun; its output can be read line by line."""
    command = [*warm_python(), *program, *map(str, words)]
    if processes > 1:
        command = [*under_torchrun(processes), *command]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, env=os.environ | settings, **streams)


def ended(job) -> Ended:
    """Wait for a process that `started` gave."""
    try:
        out, err = job.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        job.kill()
        raise
    return Ended(job.returncode, out, err)


def weights(folder):
    return load_file(folder / "model.safetensors")


def same_bits(one, other) -> bool:
    first, second = weights(one), weights(other)
    return list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rows(folder):
    """The history without its times."""
    epochs = read(folder / "history.json")["epochs"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in epochs]


def pictures(folder, classes=("bright", "dark"), count=6, size=12):
    """A folder of pictures, brighter in the first class than in the others."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for one in range(count):
            values = bytes((200 - 150 * number + 7 * one + i) % 256 for i in range(3 * size * size))
            Image.frombytes("RGB", (size, size), values).save(folder / name / f"{one}.png")
    return folder

"""Records: what a long run leaves behind in `results/`, and how a killed run goes on.

A record is a JSON object with these fields, all of them and no others. The schema beside this
file, `record.schema.json`, says the same to a machine; the tests hold every record against it.

    experiment      name of the script, without .py
    command         the command that runs the same again, every option written out
    configuration   the options, by name
    seed            the seed that everything random was drawn with
    commit          {hash, dirty: files other than results/ were changed}; null outside git
    hardware        {cpu, cores: usable ones, threads: used, ram_gib, gpu: the one used, or null}
    versions        {python, torch, torchvision, numpy}
    date            day on which the run ended, in UTC
    wall_seconds    seconds of work; what a kill threw away does not count
    results         what was measured; its form is the experiment's
"""

import json
import os
import platform
import shlex
import subprocess
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy
import torch

from resnet_lib.files import write_whole

FIELDS = (
    *("experiment", "command", "configuration", "seed", "commit"),
    *("hardware", "versions", "date", "wall_seconds", "results"),
)
ROOT = Path(__file__).resolve().parents[2]


class RecordError(Exception):
    """A file that is no record, or a begun run that this one cannot go on with."""


class Run:
    """The results of a run, kept one by one, so that a killed run goes on where it stopped.

    What is finished lies in a file beside the record, `NAME.json.part`, which is written anew
    after each result and goes away with the last one.

    Args:
        path: where the record will lie.
        header: what `describe` returned.

    Raises:
        RecordError: a begun run lies there that is damaged, or is not the same run.
        OSError: the system cannot write there.
    """

    def __init__(self, path: Path, header: dict):
        self.path, self.header = path, header
        self.part = path.with_name(path.name + ".part")
        self.results: list[dict] = []
        self._earlier = 0.0
        if self.part.exists():
            self._go_on()
        self._began = time.monotonic()
        write(self.part, self._record(self.results))

    def keep(self, result: dict) -> None:
        """Add a result; once this returns, a kill no longer takes it away."""
        results = [*self.results, result]
        write(self.part, self._record(results))
        self.results = results

    def pause(self) -> None:
        """Keep the time so far, when the run is to be stopped between two results."""
        write(self.part, self._record(self.results))

    def finish(self) -> None:
        """Write the record, in place of an older one, and remove what was kept on the way."""
        write(self.path, self._record(self.results))
        self.part.unlink(missing_ok=True)

    def _go_on(self) -> None:
        delete = f"delete {self.part} to begin anew."
        try:
            begun = load(self.part)
        except RecordError as error:
            raise RecordError(f"{error} Nothing can go on from it: {delete}") from error
        if begun["results"]:
            what = f"{self.part} holds {len(begun['results'])} results of another run"
            refuse_other(begun, self.header, what, delete)
        self.results, self._earlier = begun["results"], begun["wall_seconds"]

    def _record(self, results: list[dict]) -> dict:
        seconds = self._earlier + time.monotonic() - self._began
        day = datetime.now(UTC).date().isoformat()
        return self.header | {"date": day, "wall_seconds": round(seconds, 1), "results": results}


def is_there(path: Path, header: dict) -> bool:
    """Whether the record that the header describes is there already.

    Raises:
        RecordError: another one is there in its place, or something that is no record.
    """
    if not path.exists():
        return False
    there = load(path)
    if there["configuration"] != header["configuration"]:
        raise RecordError(f"{path} is the record of another run, {there['command']}: move it away.")
    return True


def begin(folder: Path, header: dict) -> None:
    """Keep a header beside checkpoints, so that no other run goes on from them.

    Raises:
        RecordError: the folder holds checkpoints of another run.
        OSError: the system cannot write there.
    """
    path, header = folder / "header.json", json.loads(json.dumps(header))
    if not path.exists():
        write(path, header)
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    refuse_other(begun, header, f"{folder} holds another run", f"delete {folder} to begin anew.")


def refuse_other(begun: dict, header: dict, what: str, delete: str) -> None:
    """Raise a RecordError if the run that was begun is not the one that the header describes."""
    # The command says the same as the configuration, only harder to compare.
    changed = [k for k in header if k != "command" and begun[k] != header[k]]
    if changed:
        lines = [f"{what}:"]
        lines += [f"  {k} was {begun[k]}, is now {header[k]}" for k in changed]
        lines += [f"That run was: {begun['command']}", f"Go on with that one, or {delete}"]
        raise RecordError("\n".join(lines))


def describe(experiment: str, configuration: dict, seed: int) -> dict:
    """Return the fields of a record that are known before the run.

    The configuration's names are the script's options, for they make up the command. If `device`
    is one of them, it says whether the GPU is used. Call it after `torch.set_num_threads`.
    """
    return {
        "experiment": experiment,
        "command": command(experiment, configuration),
        "configuration": configuration,
        "seed": seed,
        "commit": commit(),
        "hardware": hardware(configuration.get("device", "cpu")),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": metadata.version("torchvision"),
            "numpy": numpy.__version__,
        },
    }


def command(experiment: str, configuration: dict) -> str:
    """Return the command that runs an experiment with a configuration, from the root folder.

    Raises:
        ValueError: an option is None, which no command line can say.
    """
    words = ["python", f"experiments/{experiment}.py"]
    for name, value in configuration.items():
        if value is None:
            raise ValueError(f"--{name.replace('_', '-')} is None: write the value that is meant")
        values = value if isinstance(value, list) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)


def commit(root: Path = ROOT) -> dict | None:
    """Return the commit's hash and whether files differ from it; None where there is no git."""

    def git(*words: str) -> str:
        run = ["git", "-C", str(root), *words]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # The records themselves do not bear on what is measured.
        changed = git("status", "--porcelain", "--", ".", ":(exclude)results")
        return {"hash": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return None


def hardware(device: str) -> dict:
    """Return what the run runs on, without the machine's name."""
    return {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "ram_gib": ram_gib(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
    }


def usable_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count()


def cpu_model() -> str:
    """Return the processor's name as the system gives it; its architecture where it gives none."""
    try:
        if platform.system() == "Darwin":
            ask = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return platform.processor() or platform.machine()


def ram_gib() -> float | None:
    """Return the machine's memory in GiB (2³⁰ bytes); None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def write(path: Path, record: dict) -> None:
    """Write a record whole or not at all: an older one stays as it is until the new one is there.

    Raises:
        ValueError, TypeError: the record holds NaN, an infinity, or what JSON has no form for.
        OSError: the system cannot write there.
    """
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())


def load(path: Path) -> dict:
    """Read a record.

    Raises:
        OSError: there is no such file.
        RecordError: it is cut short, is no JSON, holds NaN or an infinity (which JSON lacks), or
            has other fields than a record.
    """

    def refuse(constant: str):
        raise ValueError(f"{constant} is no JSON")

    try:
        record = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is damaged or cut short ({error}).") from error
    if not isinstance(record, dict) or set(record) != set(FIELDS):
        raise RecordError(f"{path} is no record: its fields must be {', '.join(FIELDS)}.")
    if not isinstance(record["results"], list) or not isinstance(record["wall_seconds"], float):
        raise RecordError(f"{path} is no record: its results are no list, or its time no number.")
    return record

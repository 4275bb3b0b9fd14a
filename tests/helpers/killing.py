"""Kill a training with SIGKILL, start it again until it ends, and compare it with a whole one.

    python tests/helpers/killing.py --seed 0 --kills 20

First at random moments, then before every single operation on the disk within a checkpoint's
writing. Prints where the kills fell, as JSON. Each attempt is a fork of this process, which has
PyTorch loaded and computes nothing itself, so an attempt takes a fraction of a second.
"""

import argparse
import hashlib
import json
import mmap
import os
import random
import signal
import stat
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import torch
import torch._dynamo  # PyTorch loads it, for two seconds, when the first optimiser is used
from toy_training import batches, bits, cnn, held_out, rows

from resnet_lib.train import Checkpoints, TrainConfig, epochs, fit

CONFIG = TrainConfig(epochs=4, ema_decay=0.9, patience=4, clip_norm=1.0, micro_batches=3)
PHASES = ["start", "between steps", "step", "write", "end"]
START, BETWEEN, STEP, WRITE, END = range(5)
# Kinds of writing: into an empty folder, beside older ones, over one of the same number.
KINDS = ["first", "next", "again"]
MOST_ATTEMPTS_PER_KILL = 30


class Page:
    """Numbers that a child leaves behind: its phase, damaged checkpoints, events of a writing."""

    def __init__(self):
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def __getitem__(self, place: int) -> int:
        return struct.unpack_from("q", self._memory, 8 * place)[0]

    def __setitem__(self, place: int, value: int) -> None:
        struct.pack_into("q", self._memory, 8 * place, value)


PHASE, DAMAGED, FOUND, EVENTS = range(4)
page = Page()


class Doom:
    """Kills its own process before the n-th operation on the disk in a writing of one kind."""

    def __init__(self, kind: str | None, number: int, seed: int):
        self.kind, self.number, self.random = kind, number, random.Random(seed)
        self.active, self.count = False, 0
        if kind is not None:
            sys.addaudithook(self._hear)
            self._fsync, os.fsync = os.fsync, self._torn_fsync

    def strike(self) -> None:
        """One operation more; is it the one?"""
        self.count += self.active
        if self.active and self.count == self.number:
            os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event: str, arguments: tuple) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir"):
            self.strike()

    def _torn_fsync(self, number: int) -> None:
        """A file is on its way to the disk: a kill in the middle of writing leaves a part of it."""
        about = os.fstat(number)
        if stat.S_ISREG(about.st_mode):
            if self.active and self.count + 1 == self.number:
                os.ftruncate(number, self.random.randrange(about.st_size))
            self.strike()
        self.strike()
        self._fsync(number)


@contextmanager
def phase(number: int):
    before = page[PHASE]
    page[PHASE] = number
    yield
    page[PHASE] = before


def watched(doom: Doom) -> None:
    """Let this process say in which phase it is, and meet its doom."""
    real_step, real_save, real_load = epochs.training_step, Checkpoints.save, Checkpoints.load

    def step(*arguments):
        with phase(STEP):
            real_step(*arguments)

    def save(self, step, state):
        same = (self.folder / f"step-{step:08d}.json").exists()
        kind = "again" if same else "next" if self.paths() else "first"
        doom.active, doom.count = kind == doom.kind, 0
        with phase(WRITE):
            real_save(self, step, state)
        if doom.active:
            page[EVENTS] = max(page[EVENTS], doom.count)
        doom.active = False

    def load(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            state = real_load(self)
        page[FOUND] += state is not None
        page[DAMAGED] += len(caught)
        return state

    epochs.training_step, Checkpoints.save, Checkpoints.load = step, save, load


def train(folder: Path, every: int, doom: Doom) -> None:
    """One attempt: take up the run, or begin it, and train to the end."""
    watched(doom)
    checkpoints = Checkpoints(folder / "run", every=every)
    net = cnn(seed=99 if checkpoints.paths() else 0)  # one that goes on has its weights there
    with phase(BETWEEN):
        options = {"checkpoints": checkpoints, "progress": False}
        history = fit(net, batches(), held_out(), CONFIG, **options)
    page[PHASE] = END
    end = {name: hashlib.sha256(value).hexdigest() for name, value in bits(net).items()}
    (folder / "end.json").write_text(json.dumps([end, rows(history), history.best_epoch]))


def attempt(folder: Path, every: int, delay: float | None, doom=(None, 0), seed: int = 0) -> str:
    """Train in a child; return the phase in which it was killed, or "" if it came to its end."""
    folder.mkdir(exist_ok=True)
    page[PHASE] = START
    child = os.fork()
    if not child:
        try:
            train(folder, every, Doom(*doom, seed))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"an attempt failed with exit code {code}; its error is above")
    return PHASES[page[PHASE]] if code else ""


def ended(folder: Path) -> str:
    return (folder / "end.json").read_text()


class Tally:
    """Where kills fell, and whether every run ended as the whole one did."""

    def __init__(self, expected: str):
        self.expected = expected
        self.kills, self.runs, self.attempts, self.wrong = Counter(), 0, 0, 0

    def run(self, folder: Path, every: int, next_attempt) -> bool:
        """One attempt; True if the run came to its end, which is then compared."""
        found = attempt(folder, every, **next_attempt)
        self.attempts += 1
        if found:
            self.kills[found] += 1
            return False
        self.runs += 1
        self.wrong += ended(folder) != self.expected
        return True

    def report(self) -> dict:
        counts = {name: self.kills[name] for name in PHASES if self.kills[name]}
        return {
            "kills": self.kills.total(), "in": counts, "attempts": self.attempts,
            "runs ended": self.runs, "runs that ended differently": self.wrong,
        }  # fmt: skip


def at_random(folder: Path, tally: Tally, chance: random.Random, kills: int, usual: float) -> None:
    """Kill after random times, until enough kills have hit, steps and writings among them."""
    run = 0
    while tally.kills.total() < kills or not all(tally.kills[PHASES[one]] for one in (STEP, WRITE)):
        if tally.attempts > MOST_ATTEMPTS_PER_KILL * kills:
            raise SystemExit(f"only {tally.kills.total()} kills hit in {tally.attempts} attempts")
        run += 1
        ended, every = False, 1 + run % 2
        while not ended:
            began = time.monotonic()
            ended = tally.run(folder / f"{run}", every, {"delay": chance.uniform(0, usual)})
            # A machine that has become faster would let most attempts come to their ends.
            usual = min(usual, time.monotonic() - began) if ended else usual


def aimed(folder: Path, tally: Tally, kind: str, seed: int) -> int:
    """Kill before each operation of a writing of one kind; return how many there are."""
    run, number = 0, 1
    page[EVENTS] = 0
    while page[EVENTS] < number or number == 1:
        place = folder / f"{kind} {run}"
        doom = {"delay": None, "doom": (kind, number), "seed": seed + number}
        if tally.run(place, 1, doom):
            run += 1  # the run ended before a writing of this kind had so many operations
            if page[EVENTS] and page[EVENTS] < number:
                break
        else:
            number += 1
    return number - 1


def main(seed: int, kills: int) -> dict:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        began = time.monotonic()
        attempt(folder / "whole", 1, None)
        usual = time.monotonic() - began
        whole = ended(folder / "whole")
        found = {"seed": seed, "seconds of a whole run": round(usual, 3)}
        page[FOUND] = page[DAMAGED] = 0
        tally = Tally(whole)
        at_random(folder, tally, random.Random(seed), kills, usual)
        found["at random"] = tally.report()
        tally = Tally(whole)
        operations = {kind: aimed(folder, tally, kind, seed) for kind in KINDS}
        found["in each operation of a writing"] = tally.report() | {"operations": operations}
        found |= {"starts from a checkpoint": page[FOUND], "damaged checkpoints": page[DAMAGED]}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--kills", type=int, default=20, help="at random moments, at least (20)")
    asked = parser.parse_args()
    print(json.dumps(main(asked.seed, asked.kills), indent=1))

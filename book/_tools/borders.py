"""Find what a chapter says by a hair: python book/_tools/borders.py --only 03

Each notebook runs on simulated machines: with this processor's best instructions, with AVX2 alone
and two threads, with SSE4.1 alone. On each, every comparison of numbers and every printed number is
noted. A place is named where a machine that differs three times as much from these as these do from
one another could say something else:

- a comparison whose border is nearer than three times what the machines differ by,
- a tolerance of which a third is used up, or which is exceeded less than three times,
- a printed number that so small a change gives another text.

In a cell whose output may differ (nbval-ignore-output), what is printed does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from execute import chosen, shown
from instruction_sets import HELD_DOWN, TWO_THREADS
from notebooks import notebook_paths, read

MARGIN = 3
SMALL = 1e-2  # a bound below this is a tolerance for rounding
MACHINES = {
    "this processor": {"OMP_NUM_THREADS": "1"},
    "AVX2, two threads": HELD_DOWN["avx2"] | TWO_THREADS,
    "SSE4.1": HELD_DOWN["sse4"] | {"OMP_NUM_THREADS": "1"},
}


def notes_on(path: Path, machine: dict[str, str]) -> list[dict]:
    """What the notebook compares and prints on that machine; see border_notes.py."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "notes.json"
        tool = Path(__file__).with_name("border_notes.py")
        environment = os.environ | machine
        command = [sys.executable, str(tool), str(path), str(out)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def findings(runs: list[list[dict]], may_differ: set[int] = frozenset()) -> Iterator[str]:
    """What is said by a hair, given one notebook's notes on each machine.

    `may_differ` are the cells whose output is not compared.
    """
    places = defaultdict(lambda: [[] for _ in runs])
    for number, notes in enumerate(runs):
        for note in notes:
            places[(*note["where"], note["kind"])][number].append(note)
    for (cell, line, _, kind), hits in sorted(places.items()):
        if kind == "printed" and cell in may_differ:
            continue
        where = f"cell {cell}, line {line}: "
        if kind == "raised":
            yield where + next(one["says"] for run in hits for one in run)
        elif len({len(run) for run in hits}) > 1:
            yield f"{where}{kind} {', '.join(str(len(run)) for run in hits)} times"
        else:
            said = (SAY[kind](list(together)) for together in zip(*hits, strict=True))
            if text := next(filter(None, said), None):
                yield where + text


def _compared(notes: list[dict]) -> str | None:
    margins = [one["left"] - one["right"] for one in notes]
    nearest, change = min(map(abs, margins)), max(margins) - min(margins)
    words = ", ".join(f"{one['left']:.6g} {one['sign']} {one['right']:.6g}" for one in notes)
    for one in notes:
        low, high = sorted((abs(one["left"]), abs(one["right"])))
        if change and 0 < high < SMALL and low * MARGIN > high:
            return f"{words}: within a factor of {MARGIN}"
    return f"{words}: differs by {change:.2g}" if change and nearest < MARGIN * change else None


def _printed(notes: list[dict]) -> str | None:
    values, form = [one["value"] for one in notes], notes[0]["form"]
    change = MARGIN * (max(values) - min(values))
    around = [value + step for value in values for step in (-change, 0, change)]
    if min(values) >= 0:  # a size; it will not print as -0
        around = [max(value, 0) for value in around]
    texts = {format(value, form) for value in around}
    if len(texts) == 1:
        return None
    return f"prints {', '.join(f'{value:.6g}' for value in values)} as {form!r}"


def _close(notes: list[dict]) -> str | None:
    used = [one["used"] for one in notes]
    if any(1 / MARGIN < one < MARGIN for one in used):
        return f"uses {', '.join(f'{one:.2g}' for one in used)} of its tolerance"
    return None


SAY = {"compared": _compared, "printed": _printed, "close": _close}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAME", help="a chapter's number, or part of a name")
    options = parser.parse_args(arguments)
    count = 0
    for path in chosen(notebook_paths(), options.only):
        cells = read(path).cells
        loose = {
            k for k, c in enumerate(cells) if "nbval-ignore-output" in c.metadata.get("tags", ())
        }
        for text in findings([notes_on(path, machine) for machine in MACHINES.values()], loose):
            count += 1
            print(f"{shown(path)}, {text}", flush=True)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

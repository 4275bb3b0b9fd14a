"""Damage valid files again and again, and see whether what loads them takes or refuses them.

    python tests/fuzz_loaders.py --minutes 60
    python tests/fuzz_loaders.py --only pickle onnx --first 1000 --minutes 5
    python tests/fuzz_loaders.py --only pickle --first 1234 --show DIR    lay down one input

Each input follows from its loader and its seed; helpers/fuzzing.py says what counts as a fault.
Inputs run in processes of their own, so that a crash in native code is a fault like another. The
exit status is 1 where there was one. What was found stands in tests/library/test_fuzz_loaders.py.
"""

import argparse
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "helpers"), str(HERE.parent / "experiments"), str(HERE.parent)]

import fuzzed_pictures  # noqa: E402
import fuzzed_runs  # noqa: E402
import fuzzed_weights  # noqa: E402
import fuzzing  # noqa: E402
import torch  # noqa: E402

LOADERS = fuzzed_weights.LOADERS | fuzzed_pictures.LOADERS | fuzzed_runs.LOADERS
SLICE = 15  # seconds that one loader has at a time
PATIENCE = 60  # seconds without a new input, after which a process is ended
MEMORY = 4 << 30  # bytes that a process may take beyond what it began with


def main(words: list[str] | None = None) -> int:
    """Fuzz until the time is over, and print what was found."""
    options = parse(words)
    torch.set_num_threads(1)
    if options.show:
        fuzzing.lay_down(options.only[0], LOADERS[options.only[0]], options.first, options.show)
        return 0
    for name in options.only:  # here and once, for processes inherit what was imported
        with tempfile.TemporaryDirectory() as scratch:
            fuzzing.require_taken(LOADERS[name], Path(scratch))
    end = time.monotonic() + 60 * options.minutes
    seeds = dict.fromkeys(options.only, options.first)
    counts = {name: Counter() for name in options.only}
    faults: dict[tuple[str, str], int] = {}
    while time.monotonic() < end:
        for name in options.only:
            if time.monotonic() < end:
                seeds[name] = one_slice(name, seeds[name], counts[name], faults)
    print(f"{'loader':12}{'inputs':>9}{'taken':>9}{'refused':>9}{'faults':>9}{'kinds':>7}")
    for name, count in counts.items():
        kinds = sum(one == name for one, _ in faults)
        print(f"{name:12}{count.total():9}", end="")
        print("".join(f"{count[answer]:9}" for answer in ("taken", "refused", "fault")), end="")
        print(f"{kinds:7}")
    return 1 if faults else 0


def one_slice(name: str, first: int, counts: Counter, faults: dict) -> int:
    """Try inputs of one loader for a while; returns the seed to go on with."""
    fork = multiprocessing.get_context("fork")
    answers, place = fork.SimpleQueue(), fork.Value("q", first)
    process = fork.Process(target=work, args=(name, first, place, answers))
    process.start()
    seen, since = first, time.monotonic()
    while process.is_alive() or not answers.empty():
        if not answers.empty():
            seed, answer, text = answers.get()
            counts[answer] += 1
            note(name, seed, text, faults)
            continue
        if place.value != seen:
            seen, since = place.value, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            process.kill()
        time.sleep(0.01)
    process.join()
    if process.exitcode:
        counts["fault"] += 1
        note(name, place.value, f"the process ended with {process.exitcode}", faults)
        return place.value + 1
    return place.value


def work(name: str, seed: int, place, answers) -> None:
    """What the process does."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    end = time.monotonic() + SLICE
    for stream in (1, 2):  # decoders in native code complain there
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        while time.monotonic() < end:
            place.value = seed
            answer, text = fuzzing.tried(name, LOADERS[name], seed, Path(scratch) / "input")
            answers.put((seed, answer, text))
            seed += 1
        place.value = seed


def note(name: str, seed: int, text: str, faults: dict) -> None:
    """Print a fault of a kind that is new."""
    place = text.rpartition(" at ")[2] if " at " in text else re.sub(r"\d+", "", text)
    if text and (name, text.split(":")[0] + place) not in faults:
        faults[name, text.split(":")[0] + place] = seed
        print(f"{name} {seed}: {text}", flush=True)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--only", nargs="+", choices=LOADERS, default=list(LOADERS),
        metavar="NAME", help=f"loaders (all: {', '.join(LOADERS)})")  # fmt: skip
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="first seed (0)")
    parser.add_argument("--show", type=Path, metavar="DIR", help="lay down one input there")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

"""What every experiment does: measure case after case, keep each one, leave a record."""

import argparse
import sys
from collections.abc import Callable

import torch

from bench import record


def carry_out(
    experiment: str,
    options: argparse.Namespace,
    seed: int,
    cases: list[dict],
    measure: Callable[[dict], dict],
    title: str,
    summary: Callable[[dict], str],
) -> int:
    """Measure the cases that are not yet kept, print a line for each, write the record.

    Args:
        experiment: the script's name, without .py.
        options: what the command line asked for; `out` is the record's path, the others are its
            configuration.
        seed: what everything random was drawn with.
        cases: what distinguishes each case, in the order in which they are measured.
        measure: maps a case to what was found; it does not depend on what ran before.
        title: how a case is named, as a format string.
        summary: says a result in a few words.

    Returns:
        The exit status: 0, 2 where the record cannot be begun, 130 after Ctrl-C.
    """
    configuration = {name: value for name, value in vars(options).items() if name != "out"}
    torch.set_num_threads(options.threads)
    try:
        run = record.Run(options.out, record.describe(experiment, configuration, seed))
    except (record.RecordError, OSError) as error:
        print(f"{experiment}.py: error: {error}", file=sys.stderr)
        return 2
    try:
        _measure_all(run, cases, measure, title, summary)
    except KeyboardInterrupt:
        print(f"\nStopped. {len(run.results)} finished cases are kept in {run.part}.")
        print("The same command goes on from there; only the case it was at begins anew.")
        return 130
    run.finish()
    print(f"The record is {run.path}.")
    return 0


def _measure_all(
    run: record.Run, cases: list[dict], measure: Callable, title: str, summary: Callable
) -> None:
    kept = len(run.results)
    if kept:
        print(f"Going on: {kept} of {len(cases)} cases are already measured.")
    for number, case in enumerate(cases[kept:], start=kept + 1):
        print(f"{number:3}/{len(cases)}  {title.format(**case)} ...", end="", flush=True)
        run.keep(case | measure(case))
        print(summary(run.results[-1]), flush=True)


def settle_machine(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Fill in `device`, where it is auto, and `threads`; refuse a GPU that is not there."""
    gpu = torch.cuda.is_available()
    if options.device == "cuda" and not gpu:
        parser.error("argument --device: cuda asks for a GPU, and PyTorch finds none here")
    if options.device == "auto":
        options.device = "cuda" if gpu else "cpu"
    options.threads = options.threads or record.usable_cores()

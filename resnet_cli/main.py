"""From the words of a command line to its exit status."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from resnet_cli import faults, request, runs
from resnet_cli.options import PROGRAM, make_parser


def main(words: list[str] | None = None) -> int:
    """Do what the words ask for; by default those that the program was started with.

    Returns:
        The exit status: 0 done, 1 failed, 2 not allowed, 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    words = sys.argv[1:] if words is None else words
    parser, parsers = make_parser()
    try:
        given = vars(parser.parse_args(words))
        command = given.pop("command", None)
        if command is None:
            parser.print_help()
            return faults.DONE
        try:
            return _carried_out(command, given, words)
        except faults.UsageError as error:
            parsers[command].error(str(error))
    except SystemExit as ended:  # --help, or what is not allowed
        return ended.code


def _carried_out(command: str, given: dict[str, Any], words: list[str]) -> int:
    with _short_warnings():
        try:
            _recorded(COMMANDS[command])(given, words)
        except KeyboardInterrupt as stop:
            _tell(command, str(stop) or "stopped at once", stop)
            by_term = getattr(stop, "signal", None) == signal.SIGTERM
            return faults.TERMINATED if by_term else faults.INTERRUPTED
        except Exception as error:
            if isinstance(error, faults.UsageError) or not faults.is_expected(error):
                raise
            _tell(command, f"error: {faults.in_one_line(error)}", error)
            return faults.FAILED
    return faults.DONE


def _train(given: dict[str, Any], words: list[str]) -> None:
    asked = request.training(given, words)
    try:
        from resnet_cli.training import train

        train(asked)
    except (KeyboardInterrupt, OSError) as stop:
        if (asked.folder / runs.RUN).exists():
            stop.add_note(f"Go on with: {asked.going_on}")
        raise


def _evaluate(given: dict[str, Any], _: list[str]) -> None:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise faults.UsageError("evaluate runs in one process: start it without torchrun")
    settings = request.evaluation(given)
    from resnet_cli.evaluating import evaluate

    evaluate(settings)


def _summary(given: dict[str, Any], _: list[str]) -> None:
    shape, num_classes = request.summary(given)
    from resnet_cli.summarizing import summarize

    summarize(given["net"], shape, num_classes)


# Each imports what takes seconds only when it is called for, so that --help takes none.
COMMANDS = {"train": _train, "evaluate": _evaluate, "summary": _summary}


def _recorded(command: Callable) -> Callable:
    """The command, with its error in the file in which torchrun looks for it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return command
    from torch.distributed.elastic.multiprocessing.errors import record

    return record(command)


def _tell(command: str, text: str, error: BaseException) -> None:
    """Print an error and its notes, unless another process does."""
    rank = os.environ.get("RANK", "0")
    if rank == "0":
        lines = [f"{PROGRAM} {command}: {text}", *getattr(error, "__notes__", [])]
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    elif not faults.is_common(error):
        print(f"{PROGRAM} {command}: process {rank}: {text}", file=sys.stderr, flush=True)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Warnings in one line, without the place in the code, from one process of several."""

    def show(message: Warning | str, *_, **__) -> None:
        if os.environ.get("RANK", "0") == "0":
            print(f"warning: {message}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield

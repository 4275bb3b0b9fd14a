"""From the words of a command line to its exit status."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resnet_cli import config_file, errors, run_folder
from resnet_cli.command_words import PROGRAM
from resnet_cli.errors import Failure, UsageError
from resnet_cli.options import Parser, make_parser
from resnet_cli.serving_settings import PublishSettings, ServeSettings
from resnet_cli.settings import EvaluateSettings, PredictSettings, SummarySettings
from resnet_cli.text import complain
from resnet_cli.training_request import training


def main(words: Sequence[str] | None = None) -> int:
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
            return errors.DONE
        try:
            return _carried_out(command, given, words, parsers[command])
        except UsageError as error:
            parsers[command].error(str(error))
    except SystemExit as ended:  # --help, or what is not allowed
        return ended.code if isinstance(ended.code, int) else errors.FAILED


def _carried_out(command: str, given: dict[str, Any], words: Sequence[str], parser: Parser) -> int:
    with _short_warnings():
        try:
            given = _from_file(given, parser) | given
            given.pop("config", None)
            _recorded(COMMANDS[command])(given, words)
        except KeyboardInterrupt as stop:
            _tell(command, str(stop) or "stopped at once", stop, everywhere=True)
            by_term = getattr(stop, "signal", None) == signal.SIGTERM
            return errors.TERMINATED if by_term else errors.INTERRUPTED
        except OSError as error:
            _tell(command, f"error: {errors.of_system(error)}", error)
            return errors.FAILED
        except Failure as error:
            _tell(command, f"error: {error}", error, everywhere=error.everywhere)
            return errors.FAILED
    return errors.DONE


def _from_file(given: Mapping[str, Any], parser: Parser) -> dict[str, Any]:
    """The options in the file that --config names."""
    if "config" not in given:
        return {}
    words = config_file.words_of(Path(given["config"]))
    parser.source = given["config"]
    found = vars(parser.parse_args(words))
    parser.source = None
    if "config" in found:
        raise Failure(f"--config {given['config']}: must not name another file")
    return found


def _train(given: Mapping[str, Any], words: Sequence[str]) -> None:
    asked = training(given, words)
    try:
        from resnet_cli.train_command import train

        train(asked)
    except (KeyboardInterrupt, OSError) as stop:
        if (asked.folder / run_folder.RUN).exists():
            stop.add_note(f"Go on with: {asked.going_on}")
        raise


def _evaluate(given: Mapping[str, Any], _: Sequence[str]) -> None:
    _require_one_process("evaluate")
    settings = EvaluateSettings.of(given)
    from resnet_cli.evaluate_command import evaluate

    evaluate(settings)


def _predict(given: Mapping[str, Any], _: Sequence[str]) -> None:
    _require_one_process("predict")
    settings = PredictSettings.of(given)
    from resnet_cli.predict_command import predict

    predict(settings)


def _publish(given: Mapping[str, Any], _: Sequence[str]) -> None:
    _require_one_process("publish")
    settings = PublishSettings.of(given)
    from resnet_cli.serving_commands import publish

    publish(settings)


def _serve(given: Mapping[str, Any], _: Sequence[str]) -> None:
    _require_one_process("serve")
    settings = ServeSettings.of(given)
    from resnet_cli.serving_commands import serve

    serve(settings)


def _summary(given: Mapping[str, Any], _: Sequence[str]) -> None:
    settings = SummarySettings.of(given)
    from resnet_cli.summary_command import summarize

    summarize(settings)


# Each imports what takes seconds only when it is called for, so that --help takes none.
COMMANDS = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "publish": _publish,
    "serve": _serve,
    "summary": _summary,
}


def _require_one_process(command: str) -> None:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UsageError(f"{command} runs in one process: start it without torchrun")


def _recorded(command: Callable) -> Callable:
    """The command, with its error in the file in which torchrun looks for it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return command
    from torch.distributed.elastic.multiprocessing.errors import record

    return record(command)


def _tell(command: str, text: str, error: BaseException, *, everywhere: bool = False) -> None:
    """Print an error and its notes; one that every process found out comes from the first."""
    rank = os.environ.get("RANK", "0")
    if rank == "0":
        complain(f"{PROGRAM} {command}: {text}", *getattr(error, "__notes__", []))
    elif not everywhere:
        complain(f"{PROGRAM} {command}: process {rank}: {text}")


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Warnings in one line, without the place in the code, from one process of several."""

    def show(message: Warning | str, *_, **__) -> None:
        if os.environ.get("RANK", "0") == "0":
            complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield

"""Measuring in processes that take turns: what holds for a whole process can then be compared."""

import multiprocessing
import signal
from collections.abc import Callable
from types import TracebackType

Actions = dict[str, Callable]


class PartnerError(Exception):
    """Something went wrong in a partner; `kind` is the name of its error."""

    def __init__(self, kind: str, text: str):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Partner:
    """A process of its own that does what it is asked to, and waits in between.

    Args:
        make: called there, once; returns the actions by name. It has to be picklable.
        words: its arguments.

    Raises:
        PartnerError: `make` failed there.
    """

    def __init__(self, make: Callable[..., Actions], *words: object):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, words))
        self._process.start()
        theirs.close()
        self._answer()

    def ask(self, action: str, *words: object) -> object:
        """Have an action done, and return what it returns.

        Raises:
            PartnerError: it failed there.
        """
        self._pipe.send((action, words))
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def __enter__(self) -> "Partner":
        return self

    def __exit__(self, kind: type | None, error: Exception | None, at: TracebackType) -> None:
        self.close()

    def _answer(self) -> object:
        try:
            worked, value = self._pipe.recv()
        except EOFError:
            worked, value = False, ("EOFError", "the process ended")
        except BaseException:
            self.close()
            raise
        if not worked:
            self.close()
            raise PartnerError(*value)
        return value


def _serve(pipe, make: Callable[..., Actions], words: tuple) -> None:
    # Ctrl-C goes to all processes; the one that asks decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        actions = make(*words)
        pipe.send((True, None))
        while True:
            name, words = pipe.recv()
            pipe.send((True, actions[name](*words)))
    except (EOFError, BrokenPipeError):
        return  # nobody asks any more
    except Exception as error:
        pipe.send((False, (type(error).__name__, str(error).partition("\n")[0])))

"""Ctrl-C that waits for the end of a step."""

import signal
import threading

__all__ = ["Stop"]

SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Stop:
    """Within the `with` block, `asked` turns true at the first Ctrl-C or SIGTERM.

    `signal` is then its number. The second one is handled as before. Outside the main thread, and
    when not `active`, signals stay as they are: Python lets only the main thread handle them.
    """

    def __init__(self, active: bool):
        self.asked = False
        self.signal: int | None = None
        self._active = active and threading.current_thread() is threading.main_thread()
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        if self._active:
            # What is ignored stays so: a shell lets its background jobs ignore Ctrl-C.
            heard = [one for one in SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heard}
        return self

    def __exit__(self, *error) -> None:
        self._put_back()

    def _ask(self, number: int, frame: object) -> None:
        self.asked, self.signal = True, number
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            # A handler that was not set from Python is not ours to name; the system's serves.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

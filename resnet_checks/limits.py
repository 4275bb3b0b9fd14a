"""End a reader's code that does not come back, and catch what it raises."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from resnet_checks.phrases import fault

# A reader's code that calls exit() is wrong code; Ctrl-C is the reader's own wish.
WRONG_CODE = (Exception, SystemExit, GeneratorExit)

# Thousands of times what the small inputs take; code may import a library in its first call.
SECONDS = 10.0
# What is built may import a library first, and a whole network is large.
LONG = 60.0
# A busy machine may be slow; code that waits for something uses no time of the processor.
_WAITING = 6
_EVERY = 0.2
_AGAIN = 0.05
_WATCHER = "resnet_checks: time limits"


class TookTooLong(BaseException):
    """The reader's code did not end in time. No `except Exception` of theirs catches it."""


@contextmanager
def limited(action: str, seconds: float | None = None) -> Iterator[None]:
    """Raise a fault where a `with` body takes longer than `seconds` of processor time.

    Where the body only waits, it may wait six times as long. Inside another limit this one does
    nothing.
    """
    thread, seconds = threading.get_ident(), seconds or SECONDS
    if thread in _limits:
        yield
        return
    _limits[thread] = _Limit(seconds)
    try:
        with _by_signal(thread) if _signal_is_free() else _by_watcher(thread):
            yield
    except TookTooLong:
        raise fault("too long", action=action, seconds=f"{seconds:g}") from None
    finally:
        _limits.pop(thread, None)


class _Limit:
    def __init__(self, seconds: float):
        self.seconds = seconds
        self.busy, self.began = time.process_time(), time.monotonic()

    def is_over(self) -> bool:
        waited = time.monotonic() - self.began
        return time.process_time() - self.busy > self.seconds or waited > _WAITING * self.seconds


_limits: dict[int, _Limit] = {}  # by thread
_changing = threading.Lock()


def _signal_is_free() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    usable = is_main and hasattr(signal, "setitimer")
    return usable and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@contextmanager
def _by_signal(thread: int) -> Iterator[None]:
    """A signal ends a sleep too, and a wait for a key."""

    def check(*_: object) -> None:
        if _limits[thread].is_over():
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)  # where the code swallows it
            raise TookTooLong

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, _EVERY, _EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@contextmanager
def _by_watcher(thread: int) -> Iterator[None]:
    """One other thread looks after all limits where there are no signals."""
    if not any(t.name == _WATCHER for t in threading.enumerate()):
        threading.Thread(target=_watch, name=_WATCHER, daemon=True).start()
    try:
        yield
    finally:
        with _changing:
            _limits.pop(thread, None)
            _raise_in(thread, None)  # one that has not arrived yet


def _watch() -> None:
    while _limits:
        time.sleep(_EVERY)
        with _changing:
            for thread, limit in list(_limits.items()):
                if limit.is_over():
                    _raise_in(thread, TookTooLong)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    kind = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), kind)

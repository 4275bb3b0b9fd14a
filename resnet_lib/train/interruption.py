"""How a run is kept, stopped and taken up again between its steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from resnet_lib.train.checkpoint import Checkpoints
from resnet_lib.train.non_finite import require_finite
from resnet_lib.train.state import TrainState

__all__ = ["Stop", "keep", "kept_if_stopped", "resume", "runs_behind", "stopped"]

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# Each look at a GPU's numbers waits until it has done all the work it was given.
STEPS_BETWEEN_LOOKS = 50


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


def runs_behind(device: torch.device) -> bool:
    """Whether the device works through a queue, so that reading a number from it waits."""
    return device.type != "cpu"


def resume(state: TrainState, checkpoints: Checkpoints) -> None:
    """Take up the run that is kept there, or keep the one that begins."""
    kept = state.world.share(checkpoints.load() if state.world.is_main else None)
    if kept is not None:
        state.restore(kept)
        return
    # Before the first step: a folder that cannot be written to is found out now.
    require_finite(state, checkpoints, every_weight=True)
    _save(state, checkpoints)


def keep(
    state: TrainState, checkpoints: Checkpoints | None, stop: Stop, *, epoch_ended: bool = False
) -> None:
    """Look at the run after a step or an epoch: is it sound, is it time to keep it, or to stop?

    A process that is alone heeds a stop after each step. Several must agree, and on GPUs do so
    every 50 steps.
    """
    world = state.world
    every = None if checkpoints is None else checkpoints.every
    due = epoch_ended or (every is not None and state.step % every == 0)
    look = due or not runs_behind(world.device) or state.step % STEPS_BETWEEN_LOOKS == 0
    # After an epoch its row is reported first; the next step heeds the stop.
    asked = not epoch_ended and (look or world.size == 1) and world.any(stop.asked)
    if not (look or asked):
        return
    require_finite(state, checkpoints, every_weight=due or asked)
    if checkpoints is not None and (due or asked):
        _save(state, checkpoints)
    if asked:
        raise stopped(state, checkpoints, stop)


@contextmanager
def kept_if_stopped(
    state: TrainState, checkpoints: Checkpoints | None, stop: Stop
) -> Iterator[None]:
    """Between two steps: a loader that fails after a stop was asked for does not cost the run.

    The signal that asks may have ended the loader's worker processes too.
    """
    try:
        yield
    except RuntimeError:
        if checkpoints is None or not stop.asked or state.world.size > 1:
            raise
        require_finite(state, checkpoints, every_weight=True)
        _save(state, checkpoints)
        raise stopped(state, checkpoints, stop) from None


def _save(state: TrainState, checkpoints: Checkpoints) -> None:
    tree = state.as_tree()
    if state.world.is_main:
        checkpoints.save(state.step, tree)


def stopped(state: TrainState, checkpoints: Checkpoints, stop: Stop) -> KeyboardInterrupt:
    """The error that ends a run after Ctrl-C; it says where the run is kept."""
    error = KeyboardInterrupt(
        f"stopped after update {state.step}; the run is kept in {checkpoints.folder}"
    )
    error.signal = stop.signal  # type: ignore[attr-defined]  # None: another process got it
    return error

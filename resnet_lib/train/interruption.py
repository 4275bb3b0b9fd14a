"""How a run is kept, stopped and taken up again between its steps."""

import signal
import threading

from resnet_lib.train.checkpoint import Checkpoints
from resnet_lib.train.state import TrainState

__all__ = ["NonFiniteLoss", "Stop", "keep", "not_finite", "require_finite", "resume", "stopped"]

SIGNALS = [signal.SIGINT, signal.SIGTERM]

# Each look at a GPU's numbers waits until it has done all the work it was given.
STEPS_BETWEEN_LOOKS = 50


class NonFiniteLoss(Exception):
    """The loss or a weight became infinite or NaN; the message says what is left of the run."""


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
    """Look at the run after a step or an epoch: is it sound, is it time to keep it, or to stop?"""
    every = None if checkpoints is None else checkpoints.every
    due = epoch_ended or (every is not None and state.step % every == 0)
    on_cpu = state.world.device.type == "cpu"
    if not (due or on_cpu or state.step % STEPS_BETWEEN_LOOKS == 0):
        return
    # After an epoch its row is reported first; the next step heeds the stop.
    asked = not epoch_ended and state.world.any(stop.asked)
    require_finite(state, checkpoints, every_weight=due or asked)
    if checkpoints is not None and (due or asked):
        _save(state, checkpoints)
    if asked:
        raise stopped(state, checkpoints, stop)


def _save(state: TrainState, checkpoints: Checkpoints) -> None:
    tree = state.as_tree()
    if state.world.is_main:
        checkpoints.save(state.step, tree)


def stopped(state: TrainState, checkpoints: Checkpoints, stop: Stop) -> KeyboardInterrupt:
    """The error that ends a run after Ctrl-C; it says where the run is kept."""
    error = KeyboardInterrupt(
        f"stopped after update {state.step}; the run is kept in {checkpoints.folder}"
    )
    error.signal = stop.signal  # None where another process got it
    return error


def require_finite(
    state: TrainState, checkpoints: Checkpoints | None, *, every_weight: bool
) -> None:
    """Stop the run where the losses of the epoch, or the weights, are not finite.

    One process's loss may be NaN where the others' are not; all of them stop.
    """
    if state.world.any(not state.is_finite(every_weight)):
        raise not_finite("The loss or a weight", state, checkpoints)


def not_finite(what: str, state: TrainState, checkpoints: Checkpoints | None) -> NonFiniteLoss:
    """The error that ends a run with numbers of no use; it says what is left of it."""
    kept = checkpoints.paths() if checkpoints is not None else []
    left = f"The last good state is {kept[0]}." if kept else "No checkpoint was kept."
    return NonFiniteLoss(
        f"{what} became infinite or NaN in epoch {state.epoch + 1}, by update {state.step}. {left} "
        "If the images are finite, a lower learning_rate, warmup_epochs or clip_norm may help."
    )

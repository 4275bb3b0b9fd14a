"""Ctrl-C: the first waits for the step and a checkpoint, the second does not."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset
from toy_training import batches, bits, cnn, held_out, interrupt, rows, trained

from resnet_lib.data import Batches
from resnet_lib.train import Checkpoints, TrainConfig, TrainState, epochs, interruption
from resnet_lib.train.interruption import Stop
from resnet_lib.train.unpacking import begun

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers():
    """The usual handlers (a background job has others); they must be there afterwards too."""
    usual = [signal.default_int_handler, signal.SIG_DFL]
    before = [signal.signal(number, one) for number, one in zip(BOTH, usual, strict=True)]
    yield usual
    after = [signal.signal(number, one) for number, one in zip(BOTH, before, strict=True)]
    assert after == usual


def test_first_signal_is_noted_and_the_second_handled_as_before(handlers):
    for number in BOTH:
        with Stop(active=True) as stop:
            assert not stop.asked
            interrupt(number)
            assert stop.asked
            assert stop.signal == number
            assert [signal.getsignal(one) for one in BOTH] == handlers
            if number == signal.SIGINT:
                with pytest.raises(KeyboardInterrupt):
                    interrupt(number)
        assert stop.asked


def test_handlers_come_back_after_an_error(handlers):
    stop = Stop(active=True)
    with pytest.raises(ZeroDivisionError), stop:
        1 / (stop.asked or signal.getsignal(signal.SIGINT) == handlers[0])


def test_inactive_stop_leaves_signals_alone(handlers):
    with Stop(active=False) as stop:
        assert [signal.getsignal(one) for one in BOTH] == handlers
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert not stop.asked


def test_handlers_of_others_come_back():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("mine"))
    try:
        with Stop(active=True):
            interrupt(signal.SIGTERM)
            assert seen == []
            interrupt(signal.SIGTERM)
            assert seen == ["mine"]
        interrupt(signal.SIGTERM)
        assert seen == ["mine"] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Stop(active=True) as stop:
        interrupt()
        assert not stop.asked
        interrupt(signal.SIGTERM)
        assert stop.asked
    assert signal.signal(signal.SIGINT, signal.default_int_handler) == signal.SIG_IGN


def test_other_threads_do_not_touch_signals(handlers):
    found = []

    def run():
        with Stop(active=True) as stop:
            found.append([signal.getsignal(one) for one in BOTH])
        found.append(stop.asked)

    thread = threading.Thread(target=run)
    thread.start(), thread.join()
    assert found == [handlers, False]


def test_fit_works_in_another_thread(tmp_path):
    results = []
    checkpoints = Checkpoints(tmp_path)
    thread = threading.Thread(target=lambda: results.append(trained(checkpoints=checkpoints)))
    thread.start(), thread.join()
    net, _ = trained()
    assert bits(results[0][0]) == bits(net)


# What fit makes of it


class Interrupting(Batches):
    """The augmented task; the signal comes while batch `at`, counted from 1, is fetched."""

    at, seen, number = 0, 0, signal.SIGINT

    def __iter__(self):
        for batch in super().__iter__():
            self.seen += 1
            if self.seen == self.at:
                interrupt(self.number)
            yield batch


def interrupting(at, source=batches, number=signal.SIGINT):
    found = source()
    found.__class__, found.at, found.number = Interrupting, at, number
    return found


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize("at", [1, 2, 3, 4, 6])
def test_run_stops_after_the_step_and_is_kept(tmp_path, at, number):
    whole, history = trained()
    checkpoints = Checkpoints(tmp_path)
    train, reported = interrupting(at, number=number), []
    with pytest.raises(KeyboardInterrupt) as error:
        trained(train=train, checkpoints=checkpoints, on_epoch=reported.append)
    assert str(error.value) == f"stopped after update {at}; the run is kept in {tmp_path}"
    assert error.value.signal == number
    assert checkpoints.load()["counters"][2] == at
    resumed, again = trained(net=cnn(seed=9), checkpoints=checkpoints, on_epoch=reported.append)
    assert bits(resumed) == bits(whole)
    assert rows(again) == rows(history)
    assert reported == again.epochs


@pytest.mark.parametrize("epoch", [1, 2])
def test_signal_during_validation_keeps_the_epoch_and_reports_it(tmp_path, epoch):
    """Validation has three batches; in the second epoch it is the end of the run."""
    whole, history = trained()
    checkpoints = Checkpoints(tmp_path)
    reported = []
    with pytest.raises(KeyboardInterrupt, match="stopped after update"):
        trained(
            validation=interrupting(3 * epoch - 1, held_out), checkpoints=checkpoints,
            on_epoch=reported.append,
        )  # fmt: skip
    assert [row["epoch"] for row in reported] == list(range(1, epoch + 1))
    resumed, again = trained(net=cnn(seed=9), checkpoints=checkpoints, on_epoch=reported.append)
    assert bits(resumed) == bits(whole)
    assert rows(again) == rows(history)
    assert reported == again.epochs


@pytest.mark.parametrize("epoch", [1, 2])
def test_signal_during_on_epoch_is_not_lost(tmp_path, epoch):
    whole, _ = trained()
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(KeyboardInterrupt, match="stopped after update"):
        trained(
            checkpoints=checkpoints,
            on_epoch=lambda row: interrupt() if row["epoch"] == epoch else None,
        )
    resumed, _ = trained(net=cnn(seed=9), checkpoints=checkpoints)
    assert bits(resumed) == bits(whole)


def test_without_checkpoints_the_first_signal_ends_the_run():
    net = cnn()
    with pytest.raises(KeyboardInterrupt) as error:
        trained(net=net, train=interrupting(2))
    assert str(error.value) == ""


def test_second_signal_does_not_wait(tmp_path):
    """It comes in the same step as the first, which is therefore never finished."""
    train = interrupting(2)
    net = cnn()
    net.register_forward_pre_hook(lambda *_: interrupt() if train.seen == 2 else None)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(KeyboardInterrupt) as error:
        trained(net=net, train=train, checkpoints=checkpoints)
    assert str(error.value) == ""
    assert checkpoints.load()["counters"] == [0, 0, 0]


def test_second_termination_ends_the_process(tmp_path):
    """The system's own handler ends it; that can only be seen from outside."""
    code = f"""
import os, runpy, signal
with runpy.run_path({interruption.__file__!r})["Stop"](True) as stop:
    os.kill(os.getpid(), signal.SIGTERM); print("first", stop.asked, flush=True)
    os.kill(os.getpid(), signal.SIGTERM); print("second", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "first True\n"
    assert done.returncode == (-signal.SIGTERM if os.name == "posix" else 1)


def test_finished_run_is_not_trained_again(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    config = TrainConfig(epochs=2)
    whole, history = trained(config, checkpoints=checkpoints)
    reported, steps = [], []
    net = cnn(seed=9)
    net.register_forward_pre_hook(lambda *_: steps.append(1))
    again, kept = trained(config, net, checkpoints=checkpoints, on_epoch=reported.append)
    assert bits(again) == bits(whole)
    assert kept.epochs == history.epochs
    assert reported == steps == []


# On a GPU, and with worker processes


@pytest.fixture
def behind(monkeypatch):
    """The CPU stands in for a device at whose numbers nobody looks after each step."""
    for module in (interruption, epochs):
        monkeypatch.setattr(module, "runs_behind", lambda device: True)
    looks, real = [], TrainState.is_finite

    def look(state, *arguments, **options):
        looks.append(state.step)
        return real(state, *arguments, **options)

    monkeypatch.setattr(TrainState, "is_finite", look)
    return looks


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_device_that_runs_behind_heeds_a_stop_after_the_step(tmp_path, behind, at):
    whole, _ = trained()
    with pytest.raises(KeyboardInterrupt, match=f"stopped after update {at}; the run is kept"):
        trained(train=interrupting(at), checkpoints=Checkpoints(tmp_path))
    resumed, _ = trained(net=cnn(seed=9), checkpoints=Checkpoints(tmp_path))
    assert bits(resumed) == bits(whole)


def test_a_device_that_runs_behind_is_not_looked_at_in_each_step(behind):
    trained(TrainConfig(epochs=1), train=batches(size=1), validation=None)
    assert behind == [22, 22]  # at the epoch's end, before and after the row


def test_loader_that_fails_after_a_stop_does_not_cost_the_run(tmp_path):
    """As where the signal that asks ends the worker processes too."""

    class Failing(Interrupting):
        def __iter__(self):
            for number, batch in enumerate(super().__iter__(), start=1):
                if number == self.at:
                    raise RuntimeError("DataLoader worker exited unexpectedly")
                yield batch

    def failing(at):
        found = interrupting(at, lambda: batches(augmented=False))
        found.__class__ = Failing
        return found

    plain = batches(augmented=False)
    whole, _ = trained(train=plain)
    with pytest.raises(KeyboardInterrupt, match="stopped after update 1; the run is kept"):
        trained(train=failing(2), checkpoints=Checkpoints(tmp_path))
    resumed, _ = trained(net=cnn(seed=9), train=plain, checkpoints=Checkpoints(tmp_path))
    assert bits(resumed) == bits(whole)
    quiet = failing(2)
    quiet.number = 0  # no signal: an error of the loader is an error
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        trained(train=quiet, checkpoints=Checkpoints(tmp_path / "quiet"))


class Deaf(Dataset):
    """Whether Ctrl-C is blocked where a sample is fetched."""

    def __len__(self):
        return 2

    def __getitem__(self, number):
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(os.name != "posix", reason="a terminal's Ctrl-C goes to a process group")
def test_workers_do_not_hear_ctrl_c_and_this_process_does():
    (heard,) = begun(DataLoader(Deaf(), 2, num_workers=1))
    assert heard.tolist() == [True, True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with pytest.raises(KeyboardInterrupt):
        interrupt()


@pytest.mark.skipif(os.name != "posix", reason="a terminal's Ctrl-C goes to a process group")
def test_workers_started_by_spawn_outlive_ctrl_c(tmp_path):
    script = Path(__file__).parent.parent / "helpers" / "spawned.py"
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "run")], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout.readline() == "training\n"
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert re.search(r"^stopped after update \d+; the run is kept in", out), err
    assert "exited unexpectedly" not in err
    assert Checkpoints(tmp_path / "run").load()["counters"][2] >= 3

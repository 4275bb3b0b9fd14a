"""The command line as a process: signals, pipes, torchrun."""

import signal
import sys

import pytest
import torch.distributed as dist
from toy_cli import SMALL, done, ended, read, rows, same_bits, started, weights

from resnet_cli.command_words import python

needs_gloo = pytest.mark.skipif(
    not dist.is_available() or not dist.is_gloo_available(), reason="PyTorch has no gloo here"
)
# A second or more of training is left when the first line of an epoch is out.
LONG = (*SMALL, "--batch-size", "32", "--epochs", "6")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    done(*LONG, "--out", folder)
    return folder


def first_epoch(job):
    for line in job.stdout:
        if line.startswith("epoch 1/"):
            return
    raise AssertionError(job.stderr.read())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_the_run_and_it_goes_on_to_the_same_bits(whole, tmp_path, number, code):
    folder = tmp_path / "run"
    job = started(*LONG, "--out", folder)
    first_epoch(job)
    job.send_signal(number)
    last = ended(job)
    assert last.code == code
    assert "stopped after update " in last.err
    assert last.err.splitlines()[-1] == (
        f"Go on with: {python()} -m resnet_lib train --resume {folder}"
    )
    assert "Traceback" not in last.err
    assert not (folder / "model.safetensors").exists()
    done("train", "--resume", folder)
    assert same_bits(whole, folder)
    assert rows(whole) == rows(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such pipe")
def test_a_pipe_that_is_closed_is_a_failure_without_a_traceback():
    job = started("summary", "--net", "resnet8")
    job.stdout.close()
    error = job.stderr.read()
    assert job.wait() == 1
    assert error == "python -m resnet_lib summary: error: Broken pipe\n"


def test_help_into_a_closed_pipe_is_no_traceback():
    job = started("train", "--help")
    job.stdout.close()
    assert job.stderr.read() == ""
    assert job.wait() in (0, 1)  # argparse itself swallows the error


# torchrun


@needs_gloo
def test_two_processes_train_one_network_and_one_of_them_writes(tmp_path):
    folder = tmp_path / "run"
    last = ended(started(*SMALL, "--epochs", "2", "--out", folder, processes=2))
    assert last.code == 0, last.err
    assert last.out.count("epoch 1/2 ") == 1
    assert last.out.count("The weights are in") == 1
    assert "2 processes, each on cpu (auto), 1 thread; 6 steps of 256 images per epoch" in last.out
    kept = read(folder / "run.json")
    assert kept["processes"] == 2
    assert kept["command"].startswith("torchrun --nproc-per-node=2 -m resnet_lib train --net ")
    test = read(folder / "history.json")["test"]
    assert test["samples"] == 360
    text = done("evaluate", "--run", folder)
    assert f"accuracy  {100 * test['accuracy']:.2f} %" in text
    alone = tmp_path / "alone"
    done(*SMALL, "--epochs", "2", "--out", alone)
    names = list(weights(alone))
    assert list(weights(folder)) == names
    assert not same_bits(folder, alone), "each process has batch norm's statistics of its half"


DYING = """
import sys
from resnet_lib import data
from resnet_cli.main import main

whole = data.Batches.__iter__


def dying(self):
    for number, batch in enumerate(whole(self)):
        if number == 3 and self.share[0] == 1 and self.shuffle:
            raise RuntimeError("process 1 has a fault of its own")
        yield batch


data.Batches.__iter__ = dying
sys.exit(main())
"""


@needs_gloo
def test_a_dying_process_ends_the_job_with_its_error(tmp_path):
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    words = (*SMALL, "--epochs", "2", "--out", tmp_path / "run")
    last = ended(started(*words, processes=2, program=(str(script),)))
    assert last.code == 1
    assert "RuntimeError: process 1 has a fault of its own" in last.err
    summary = last.err[last.err.index("Root Cause (first observed failure)") :]
    assert "process 1 has a fault of its own" in summary, "torchrun names it"
    assert "epoch 2/2" not in last.out
    assert not (tmp_path / "run" / "model.safetensors").exists()

"""Training in two processes: the same as in one, where it can be, and sound when one dies."""

import signal
import subprocess
import time
from itertools import chain
from pathlib import Path

import processes
import pytest
import torch
import torch.distributed as dist
from warm_python import under_torchrun, warm_python

from resnet_lib.train import World

pytestmark = pytest.mark.skipif(
    not dist.is_available() or not dist.is_gloo_available(), reason="PyTorch has no gloo here"
)

SCRIPT = Path(processes.__file__)
ALONE = World(processes.CPU)
LONGEST = 1800  # seconds; a job that hangs is killed
BY = {f"stopped by {number.name}": number for number in (signal.SIGTERM, signal.SIGINT)}


def start(scene, folder):
    folder.mkdir(parents=True, exist_ok=True)
    command = [*under_torchrun(2), *warm_python(), str(SCRIPT), scene, str(folder)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **streams)


def end(job):
    try:
        out, err = job.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        job.terminate()
        raise
    return job.returncode, out + err


def found_in(folder):
    return [torch.load(folder / f"found-{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def found(place):
    """What each of two processes found, by rank."""
    folder = place / "together"
    processes.alone(folder / "alone")
    code, text = end(start("together", folder))
    assert code == 0, text
    return found_in(folder)


@pytest.fixture(scope="module")
def accidents(place):
    """Of the jobs to which something happened: exit status, last words, checkpoints."""
    scenes = ("killed", "broken", "one_stopped")
    ended = {name: end(start(name, place / name)) for name in scenes}
    for name, number in BY.items():
        job = start("stopped", place / name)
        while not (place / name / "here").exists() and job.poll() is None:
            time.sleep(0.05)
        job.send_signal(number)
        ended[name] = end(job)
    for name in ended:
        assert not list((place / name).glob("found-*")), "nothing happened"
        kept = sorted(path.stem for path in (place / name / "rank-0").glob("*.json"))
        ended[name] = (*ended[name], kept)
    return ended


@pytest.fixture(scope="module")
def gone_on(place, accidents):
    """The ends of the runs to which something happened, after a second start."""
    code, text = end(start("again", place))
    assert code == 0, text
    return found_in(place)


def relative(one, other):
    return ((one - other).norm() / other.norm()).item()


# The world


def test_each_process_knows_its_place(found):
    assert found[0]["world"]["who"] == [0, 2, True, "cpu"]
    assert found[1]["world"]["who"] == [1, 2, False, "cpu"]


def test_sum_is_over_all_in_place(found):
    for one in found:
        assert one["world"]["sum"].tolist() == [3.0, 1.0]
        assert one["world"]["sum is in place"]


def test_any_is_true_in_all_where_it_is_in_one(found):
    for one in found:
        assert one["world"]["any"] == [False, True, True, True]


def test_share_gives_what_process_0_has(found):
    for one in found:
        assert one["world"]["share"]["from"] == 0
        assert one["world"]["share"]["tensor"].tolist() == [0, 1]


def test_gather_gives_all_by_rank(found):
    for one in found:
        assert one["world"]["gather"] == [[0, "0"], [1, "1"]]


def test_buffers_become_those_of_process_0(found):
    for one in found:
        buffers = {name: value.tolist() for name, value in one["world"]["buffers"].items()}
        expected = {"running_mean": [3, 3], "running_var": [1, 1], "num_batches_tracked": 5}
        assert buffers == expected


def test_wrapped_models_begin_with_the_weights_of_process_0(found):
    expected = processes.weights_of(processes.network("no norm", seed=0))
    for one in found:
        assert one["world"]["wrapped"] == "DistributedDataParallel"
        assert one["world"]["wraps it"]
        assert torch.equal(one["world"]["weights"], expected)


def test_one_process_needs_no_others():
    values = torch.ones(2)
    net = processes.network()
    assert ALONE.sum(values) is values
    assert values.tolist() == [1, 1]
    assert [ALONE.any(False), ALONE.any(True)] == [False, True]
    assert [ALONE.share("x"), ALONE.gather("x"), ALONE.wrap(net) is net] == ["x", ["x"], True]
    ALONE.equalise_buffers(net)


# Gradients


@pytest.mark.parametrize("kind", ["no norm", "frozen norm"])
def test_gradient_is_that_of_the_whole_batch(found, kind):
    alone = processes.update(kind, ALONE)
    for one in found:
        assert relative(one[kind]["gradient"], alone["gradient"]) < 1e-5
        assert relative(one[kind]["weights"], alone["weights"]) < 1e-6


@pytest.mark.parametrize(("name", "count"), [("parts", 32), ("odd parts", 20)])
def test_accumulated_gradient_is_that_of_the_whole_batch(found, name, count):
    alone = processes.update("no norm", ALONE, count=count)
    for one in found:
        assert relative(one[name]["gradient"], alone["gradient"]) < 1e-5


def test_the_average_gradient_is_clipped_not_each_one(found):
    for one in found:
        assert one["clipped"]["gradient"].norm().item() == pytest.approx(0.01, rel=1e-3)
        cosine = one["clipped"]["gradient"] @ one["no norm"]["gradient"]
        assert cosine / one["no norm"]["gradient"].norm() == pytest.approx(0.01, rel=1e-3)


def halves():
    """Gradient and buffers of each half of the batch, in one process."""
    images, labels = processes.one_batch()
    for part in (slice(0, 16), slice(16, 32)):
        net = processes.network("batch norm")
        torch.nn.functional.cross_entropy(net(images[part]), labels[part]).backward()
        gradient = torch.cat([p.grad.flatten() for p in net.parameters()])
        yield gradient, dict(net.named_buffers())


def test_batch_norm_makes_it_the_mean_of_the_halves_instead(found):
    mean = sum(gradient for gradient, _ in halves()) / 2
    alone = processes.update("batch norm", ALONE)["gradient"]
    for one in found:
        assert relative(one["batch norm"]["gradient"], mean) < 1e-5
        assert 0.05 < relative(one["batch norm"]["gradient"], alone) < 1


def test_each_process_keeps_the_statistics_of_its_half(found):
    for one, (_, buffers) in zip(found, halves(), strict=True):
        for name, value in one["batch norm"]["buffers"].items():
            torch.testing.assert_close(value, buffers[name])
    means = [one["batch norm"]["buffers"]["bn1.running_mean"] for one in found]
    assert not torch.allclose(*means)


def test_processes_have_the_same_gradients_and_weights(found):
    for kind in ("no norm", "frozen norm", "batch norm", "parts", "clipped"):
        assert torch.equal(found[0][kind]["gradient"], found[1][kind]["gradient"])
        assert torch.equal(found[0][kind]["weights"], found[1][kind]["weights"])


def test_synchronised_batch_norm_is_refused_on_a_cpu(found):
    for one in found:
        assert "sync_batch_norm needs GPUs" in one["refused"]
        assert one["refused"].endswith("got cpu")


# Data


def test_no_image_is_seen_twice_and_all_take_equal_steps(found):
    for epoch in range(2):
        first, second = (one["labels"][epoch] for one in found)
        assert list(map(len, first)) == list(map(len, second)) == [16, 16, 16, 2]
        together = list(chain(*first, *second))
        assert sorted(together) == list(range(processes.IMAGES))
    assert found[0]["labels"][0] != found[0]["labels"][1]


@pytest.mark.parametrize("count", processes.ODD_SIZES)
def test_evaluation_counts_each_sample_once(found, count):
    loss, accuracy, samples = processes.evaluation(processes.network("frozen norm"), count, ALONE)
    assert samples == count
    for one in found:
        assert one["evaluation"][count][1:] == [accuracy, count]
        assert one["evaluation"][count][0] == pytest.approx(loss, rel=1e-6)


# Whole trainings


def rows(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history["epochs"]]


@pytest.mark.parametrize("name", ["run", "average", "patience", "gone on"])
def test_processes_end_with_the_same_network_and_history(found, name):
    first, second = (one[name] for one in found)
    for tensor in first["net"]:
        assert torch.equal(first["net"][tensor], second["net"][tensor]), tensor
    assert rows(first["history"]) == rows(second["history"])
    assert first["after"] == second["after"]


@pytest.mark.parametrize("name", ["run", "average"])
def test_the_network_at_the_end_is_the_one_that_was_judged(found, name, place):
    net = processes.network()
    net.load_state_dict(found[1][name]["net"])
    _, validation = processes.loaders(ALONE)
    judged = processes.train.evaluate(net, validation)
    last = found[1][name]["history"]["epochs"][-1]
    assert judged.accuracy == last["validation_accuracy"]
    assert judged.loss == pytest.approx(last["validation_loss"], rel=1e-6)


def test_patience_ends_all_at_once(found):
    for one in found:
        history = one["patience"]["history"]
        assert history["stopped_early"]
        assert history["best_epoch"] == len(history["epochs"]) - 1 < 29


def test_a_nan_in_one_process_stops_all_with_the_same_words(found):
    assert found[0]["not finite"] == found[1]["not finite"]
    assert "by update 1. " in found[0]["not finite"]


def test_process_0_alone_writes(found, place):
    for name in ("whole", "average", "patience"):
        assert [path.name for path in (place / "together" / name).iterdir()] == ["rank-0"]


def test_another_number_of_processes_goes_on_with_a_warning(found):
    for one in found:
        (text,) = one["warnings"]
        assert "of 1 processes, these are 2" in text
        assert [row["epoch"] for row in one["gone on"]["history"]["epochs"]] == [1, 2, 3, 4]


# Accidents


def test_a_killed_process_ends_the_job_with_an_error(accidents):
    code, text, _ = accidents["killed"]
    assert code == 1
    assert "Signal 9 (SIGKILL) received by PID" in text


def test_an_error_of_one_process_ends_the_job_and_is_shown(accidents):
    code, text, _ = accidents["broken"]
    assert code == 1
    assert "RuntimeError: a fault of process 1 alone" in text


@pytest.mark.parametrize("name", ["one_stopped", *BY])
def test_a_stopped_job_keeps_its_state_and_ends(accidents, name):
    code, text, kept = accidents[name]
    assert code != 0
    assert "stopped after update 7; the run is kept in" in text
    assert kept == ["step-00000006", "step-00000007"]


def test_a_killed_job_keeps_what_it_had(accidents):
    assert accidents["killed"][2] == ["step-00000006", "step-00000008"]


@pytest.mark.parametrize("name", ["killed", "broken", "one_stopped", *BY])
def test_a_second_start_ends_with_the_same_bits(found, gone_on, name):
    for whole, one in zip(found, gone_on, strict=True):
        assert rows(one[name]["history"]) == rows(whole["run"]["history"])
        for tensor, value in whole["run"]["net"].items():
            assert torch.equal(one[name]["net"][tensor], value), tensor

"""The experiments' scripts, run on settings so small that only their working shows."""

import importlib
import itertools
import re
import shlex
import subprocess
import sys

import bench_parity
import pytest
import torch
from bench import measure, record
from notebooks import ROOT
from test_records import SPREAD, VALIDATOR
from torch import nn

SMALL = [
    *("--device", "cpu", "--threads", "1", "--rounds", "2", "--networks", "resnet18"),
    *("--batches", "1", "2", "--sizes", "33"),
]


def bench(out, *words):
    return bench_parity.main([*SMALL, *words, "--out", str(out)])


def check_parity(held):
    """What a schema cannot say of the parity benchmark's record."""
    options = held["configuration"]
    names = ["network", "size", "batch", "mode"]
    values = [options["networks"], options["sizes"], options["batches"]]
    cases = itertools.product(*values, ["training", "inference"])
    assert [tuple(case[name] for name in names) for case in held["results"]] == list(cases)
    for case in held["results"]:
        for spread in (case["ratio"], case["control"]):
            assert [spread[name] for name in SPREAD] == sorted(spread.values())
        peaks = case["peak_bytes"]
        assert min(6, options["rounds"]) <= case["rounds"] <= options["rounds"]
        assert case["peak_ratio"] == round(peaks["ours"] / peaks["torchvision"], 4)


def test_parity_record_holds_every_case():
    path = ROOT / "results" / "bench_parity.json"
    if not path.exists():
        pytest.skip("there is no results/bench_parity.json; experiments/bench_parity.py makes it")
    check_parity(record.load(path))


def test_every_record_can_be_made_again():
    """The command in a record is one that its script takes, and means the same."""
    for path in sorted((ROOT / "results").glob("**/*.json")):
        held = record.load(path)
        script = importlib.import_module(held["experiment"])
        words = shlex.split(held["command"])
        assert words[:2] == ["python", f"experiments/{held['experiment']}.py"]
        try:
            options = vars(script.parse(words[2:]))
        except SystemExit:
            pytest.fail(f"{path.name}: its script does not take the command {held['command']}")
        assert {name: options[name] for name in held["configuration"]} == held["configuration"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small record, made as a reader would make it."""
    out = tmp_path_factory.mktemp("parity") / "bench_parity.json"
    script = [sys.executable, "experiments/bench_parity.py", *SMALL, "--out", out]
    run = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    return record.load(out), run.stdout


def test_parity_makes_a_complete_record(made):
    held, printed = made
    VALIDATOR.validate(held)
    check_parity(held)
    assert held["command"] == (
        "python experiments/bench_parity.py --device cpu --threads 1 --rounds 2 --budget 60 "
        "--networks resnet18 --batches 1 2 --sizes 33"
    )
    assert held["hardware"]["threads"] == 1
    assert len(re.findall(r"^ +\d/4  resnet18 .* ratio \d\.\d{3} ", printed, re.MULTILINE)) == 4


def test_parity_finds_equal_outputs_and_equal_memory(made):
    for case in made[0]["results"]:
        assert case["relative_difference"] == 0
        assert case["peak_ratio"] == 1


def test_parity_is_not_blind_to_a_difference(monkeypatch):
    class Heavier(nn.Module):
        """The same network, with an addition and a copy that do not belong."""

        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x.repeat(9, 1, 1, 1))[: len(x)] + 1

    networks = bench_parity.networks

    def unlike(*words):
        models = networks(*words)
        return {**models, "ours": Heavier(models["ours"])}

    monkeypatch.setattr(bench_parity, "networks", unlike)
    options = bench_parity.parse(SMALL)
    case = bench_parity.compare("resnet18", "inference", 2, 33, options)
    assert case["relative_difference"] > 0
    assert case["peak_ratio"] > 1


def test_parity_goes_on_after_a_kill(tmp_path, monkeypatch, capsys):
    out, real, measured = tmp_path / "bench_parity.json", bench_parity.compare, []

    def until_the_third(*args, **case):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(case["mode"])
        return real(*args, **case)

    monkeypatch.setattr(bench_parity, "compare", until_the_third)
    assert bench(out) == 130
    assert "2 finished cases are kept" in capsys.readouterr().out
    kept = record.load(tmp_path / "bench_parity.json.part")["results"]
    assert len(kept) == 2

    monkeypatch.setattr(bench_parity, "compare", real)
    assert bench(out) == 0
    assert "Going on: 2 of 4 cases" in capsys.readouterr().out
    held = record.load(out)
    assert held["results"][:2] == kept
    check_parity(held)
    assert [file.name for file in tmp_path.iterdir()] == ["bench_parity.json"]


def test_parity_says_that_a_begun_run_does_not_fit(tmp_path, capsys):
    out, part = tmp_path / "bench_parity.json", tmp_path / "bench_parity.json.part"
    part.write_text('{"experiment": "bench_par')
    assert bench(out) == 2
    assert "bench_parity.json.part is damaged or cut short" in capsys.readouterr().err
    assert part.read_text() == '{"experiment": "bench_par'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rounds", "1"], "argument --rounds: must be a whole number of at least 2, got '1'"),
        (["--threads", "two"], "argument --threads: must be a whole number of at least 1"),
        (["--batches", "8", "0"], "argument --batches: must be a whole number"),
        (["--batches", "8", "8"], "argument --batches: names something twice, got [8, 8]"),
        (["--sizes", "32"], "argument --sizes: must be at least 33 with batch 1, got [32]"),
        (["--networks", "vgg16"], "argument --networks: invalid choice: 'vgg16'"),
        (["--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["--device", "cuda"], "argument --device: cuda asks for a GPU"),
        (["--out", "record.txt"], "argument --out: must be a file ending in .json"),
        (["--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_parity_names_a_wrong_argument(words, message, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        bench_parity.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_parity_says_that_it_cannot_write_before_it_measures(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert bench(tmp_path / "file" / "bench_parity.json") == 2
    assert "bench_parity.py: error:" in capsys.readouterr().err


def test_parity_explains_itself(capsys):
    with pytest.raises(SystemExit) as stop:
        bench_parity.main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for option in vars(bench_parity.parse([])):
        assert f"--{option}" in printed


def test_rounds_keep_the_budget():
    options = bench_parity.parse(["--rounds", "50", "--budget", "60"])
    counts = [bench_parity.rounds_within(options, seconds) for seconds in (0.1, 2.0, 30.0)]
    assert counts == [50, 30, 6]


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_only_training_changes_the_network(mode):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step, _ = getattr(bench_parity, mode)(model, torch.randn(2, 3, 5, 5), torch.tensor([0, 4]))
    assert step().shape == (2, 5)
    same = {
        name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])
    }
    # A bias in front of batch norm gets no gradient but rounding; all the rest has to move.
    assert same - {"0.bias"} == (set() if mode == "training" else set(before) - {"0.bias"})


# Measuring.


def test_turns_alternate():
    order = []
    steps = {name: lambda name=name: order.append(name) for name in "ab"}
    times = measure.alternate(steps, 3, "cpu")
    assert "".join(order) == "abbaab"
    assert [len(times[name]) for name in "ab"] == [3, 3]


FAULTS = """
import resource, torch
from bench import measure
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
default, can = faults(), measure.keep_freed_memory()
faults()  # until the heap has grown
print(can, default, faults())
"""


def test_freed_memory_is_kept():
    run = [sys.executable, "-c", FAULTS]
    printed = subprocess.check_output(run, cwd=ROOT / "experiments", text=True)
    can, default, kept = printed.split()
    if can == "False":
        pytest.skip("this system's C library cannot be told to keep freed memory")
    assert int(kept) < int(default) / 10  # page faults


def test_ratios_are_those_within_a_round():
    times, others = [10.0, 40.0, 90.0, 160.0, 250.0], [10.0, 20.0, 30.0, 40.0, 50.0]
    assert bench_parity.ratio_spread(times, others) == dict(
        zip(SPREAD, [1, 2, 3, 4, 5], strict=True)
    )


def test_shared_memory_counts_once():
    a = torch.zeros(10)
    assert measure.held_bytes([a, a[2:], a.view(2, 5), torch.zeros(3)]) == 40 + 12


def test_peak_is_that_of_the_tensors_alive_together():
    def step():
        a = torch.zeros(1000)  # 4,000 bytes
        b = a.clone()  # 8,000
        del a
        return b.clone()  # 8,000 again

    assert measure.peak_rise(step, "cpu") == 8000
    assert measure.peak_rise(step, "cpu") == 8000
    assert measure.peak_rise(lambda: None, "cpu") == 0


def test_peak_of_a_training_step_is_the_same_each_time():
    options = bench_parity.parse(SMALL)
    x, y = torch.randn(2, 3, 40, 40), torch.tensor([1, 2])
    model = bench_parity.networks("resnet18", options.device)["ours"]
    step, stays = bench_parity.training(model, x, y)
    step()
    peaks = {bench_parity.peak(step, stays, x, y, "cpu") for _ in range(3)}
    assert len(peaks) == 1
    weights = measure.held_bytes([*model.parameters()])
    assert peaks.pop() > 3 * weights  # weights, momenta and gradients, and something more

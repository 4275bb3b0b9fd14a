"""The experiment behind chapters 10 and 11, on settings so small that only their working shows."""

import contextlib
import functools
import itertools
import operator
import os
import time

import pytest
import torch
import training_ladder
from bench import (
    ladder_floor,
    ladder_overhead,
    ladder_precision,
    ladder_rungs,
    ladder_turns,
    partners,
    record,
)
from bench.ladder_rungs import Rung
from notebooks import ROOT
from test_records import SPREAD, VALIDATOR
from torch import nn

from resnet_lib.train import pick_precision

SMALL = [
    *("--device", "cpu", "--threads", "1", "--rounds", "2", "--turn", "0.01", "--images", "512"),
    *("--networks", "resnet8"),
]


def check_spread(spread):
    assert [spread[name] for name in SPREAD] == sorted(spread.values())
    assert spread["smallest"] > 0


def check_ladder(case, options):
    floor, rungs = case["floor"], case["rungs"]
    assert 0 < floor["eager"] <= floor["arithmetic"]
    assert rungs[0]["rung"] == "naive"
    assert set(rungs[0]["times_naive"].values()) == {1.0}
    names = [rung["rung"] for rung in rungs]
    assert [n for n in ladder_rungs.CHANGES if n in names] == names
    assert sorted([*names, *case["left_out"]]) == sorted(options["rungs"])
    for rung in rungs:
        check_spread(rung["times_naive"])
        assert rung["peak_bytes"] > 0


def check(held):
    """What a schema cannot say of the record."""
    options = training_ladder.parse(held["command"].split()[2:])
    cases = training_ladder.cases(options)
    pairs = zip(cases, held["results"], strict=True)
    assert [{name: found[name] for name in case} for case, found in pairs] == cases
    for found in held["results"]:
        if found["part"] == "machine":
            assert min(found["operations_per_second"].values()) > 0 < found["bytes_per_second"]
        if found["part"] == "ladder":
            check_ladder(found, held["configuration"])
        if found["part"] == "precision":
            for step in found["steps"]:
                check_spread(step["faster"])
                assert (step["memory"] == 1) == (step["precision"] == "fp32")
        if found["part"] == "bf16":
            names = [one["instructions"] for one in found["allowed"]]
            assert names == ladder_precision.INSTRUCTIONS
            for one in found["allowed"]:
                check_spread(one["faster"])
        if found["part"] == "overhead":
            check_spread(found["ratio"])
            check_spread(found["control"])


class Inside:
    """A partner in this process: what it does is the same, and no process has to start."""

    def __init__(self, make, *words):
        try:
            self.actions = make(*words)
        except RuntimeError as error:
            raise partners.PartnerError(type(error).__name__, str(error)) from error

    def ask(self, action, *words):
        return self.actions[action](*words)

    def close(self):
        self.actions = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


@pytest.fixture
def small_products(monkeypatch):
    """Without instructions for bfloat16 a large product takes seconds, and many are timed."""
    monkeypatch.setitem(ladder_floor.SIDES, "cpu", 64)


@pytest.fixture
def inside(monkeypatch):
    monkeypatch.setattr(ladder_turns, "Partner", Inside)
    monkeypatch.setattr(ladder_precision, "Partner", Inside)
    monkeypatch.setattr(ladder_rungs.measure, "keep_freed_memory", lambda: False)
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(before[0])
    torch.backends.cudnn.benchmark = before[1]


def test_the_committed_record_is_whole():
    path = ROOT / "results" / "training_ladder.json"
    if not path.exists():
        pytest.skip("there is no results/training_ladder.json; its script makes it")
    check(record.load(path))


def test_a_small_run_leaves_a_whole_record(inside, small_products, tmp_path, monkeypatch, capsys):
    tiny = [{"network": "resnet8", "size": 8, "batch": 64}]
    monkeypatch.setitem(ladder_precision.CASES, "cpu", tiny)
    monkeypatch.setattr(training_ladder, "OVERHEADS", [(8, 8, 4, "bf16")])
    monkeypatch.setattr(training_ladder, "RESTRICTED", tiny[0])
    out = tmp_path / "ladder.json"
    rungs = ["--rungs", "naive", "data", "bf16", "graph"]
    assert training_ladder.main([*SMALL, *rungs, "--out", str(out)]) == 0
    held = record.load(out)
    VALIDATOR.validate(held)
    check(held)
    assert [case["part"] for case in held["results"]] == training_ladder.PARTS
    ladder = held["results"][1]
    assert ladder["left_out"] == {"graph": "needs a CUDA GPU"}
    fp32, bf16 = ladder["rungs"][1], ladder["rungs"][2]
    share = bf16["peak_bytes"] / fp32["peak_bytes"]
    # Without the instructions oneDNN leaves the work to PyTorch, which copies for it.
    assert 0.3 < share < (0.8 if pick_precision(torch.device("cpu")) == "bf16" else 1)
    printed = capsys.readouterr().out
    assert "graph          needs a CUDA GPU" in printed
    assert f"The record is {out}." in printed


def test_a_stopped_run_goes_on(tmp_path, monkeypatch, capsys):
    calls = []

    def second_is_stopped(part, **_):
        calls.append(part)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"ratio": {"median": 1.0}, "control": {"median": 1.0}}

    monkeypatch.setattr(training_ladder, "measure_case", second_is_stopped)
    out = tmp_path / "ladder.json"
    words = [*SMALL, "--parts", "overhead", "--out", str(out)]
    assert training_ladder.main(words) == 130
    assert "1 finished cases are kept" in capsys.readouterr().out
    assert training_ladder.main(words) == 0
    number = len(training_ladder.OVERHEADS)
    assert len(record.load(out)["results"]) == number
    assert len(calls) == number + 1, "the finished case was measured again"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rounds", "1"], "argument --rounds: must be a whole number of at least 2, got '1'"),
        (["--rungs", "bf16"], "argument --rungs: must begin with naive, got ['bf16']"),
        (["--rungs", "naive", "fast"], "argument --rungs: invalid choice: 'fast'"),
        (["--parts", "ladder", "ladder"], "argument --parts: names something twice"),
        (["--networks", "vgg16"], "argument --networks: invalid choice: 'vgg16'"),
        (["--turn", "0"], "argument --turn: must be above 0, got 0.0"),
        (["--images", "100"], "argument --images: must be a whole number of at least 512"),
        (["--data", "imagenet"], "argument --data: invalid choice: 'imagenet'"),
        (["--device", "cuda"], "argument --device: cuda asks for a GPU"),
        (["--out", "record.txt"], "argument --out: must be a file ending in .json"),
    ],
)
def test_a_wrong_argument_is_named(words, message, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        training_ladder.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit) as stop:
        training_ladder.main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    for option in vars(training_ladder.parse([])):
        assert f"--{option}" in printed


def test_a_gpu_gets_its_own_networks_and_cases(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    options = training_ladder.parse([])
    assert (options.device, options.networks) == ("cuda", ["resnet20", "resnet56", "resnet18"])
    assert {case["batch"] for case in training_ladder.cases(options) if "batch" in case} > {1024}


# Rungs.


@pytest.mark.parametrize("device", ladder_rungs.BOTH)
def test_a_rung_is_the_one_below_with_its_change(device):
    rungs = ladder_rungs.ladder(list(ladder_rungs.CHANGES), device)
    assert rungs[0] == Rung()
    for below, rung in itertools.pairwise(rungs):
        change, devices = ladder_rungs.CHANGES[rung.name]
        differing = {k for k, v in vars(rung).items() if v != getattr(below, k)} - {"name"}
        assert differing <= set(change)
        assert differing
        assert device in devices
    names = {rung.name for rung in rungs}
    assert ("graph" in names) == (device == "cuda")
    assert ("memory" in names) == (device == "cpu")


def test_rungs_that_are_left_out_leave_no_change_behind():
    naive, fast = ladder_rungs.ladder(["naive", "channels-last"], "cpu")
    assert fast == Rung(name="channels-last", channels_last=True)
    assert naive == Rung()


@pytest.mark.parametrize("on_device", [False, True])
def test_batches_are_full_and_go_on_after_an_epoch(on_device):
    rung = Rung(batch=8, data_on_device=on_device)
    images, labels = ladder_rungs.make_images(20)
    loader = ladder_rungs.make_loader(rung, images, labels, "cpu")
    batches = ladder_rungs.endless(loader, "cpu")
    several = [next(batches) for _ in range(5)]
    for some, theirs in several:
        assert some.shape == (8, 3, 32, 32)
        assert some.dtype == torch.float32
        assert theirs.shape == (8,)
    assert not torch.equal(several[0][0], several[2][0]), "the second epoch repeats the first"
    # Black is 0, and the mean of a noise of bytes lies in the middle.
    assert abs(torch.cat([some for some, _ in several]).mean()) < 0.5


def test_both_kinds_of_loading_normalise_alike(monkeypatch):
    images = torch.full((16, 3, 32, 32), 255, dtype=torch.uint8)
    labels = torch.zeros(16, dtype=torch.int64)
    white = []
    for on_device in (False, True):
        rung = Rung(batch=16, data_on_device=on_device)
        some, _ = next(iter(ladder_rungs.make_loader(rung, images, labels, "cpu")))
        white.append(some.amax(dim=(0, 2, 3)))
    assert torch.allclose(*white, atol=1e-5)


def test_the_images_are_those_of_cifar10_where_asked(monkeypatch):
    class Cifar:
        train_images = torch.zeros(7, 3, 32, 32, dtype=torch.uint8)
        train_labels = torch.arange(7)

    asked = []
    monkeypatch.setattr(ladder_rungs.data, "cifar10", lambda **k: asked.append(k) or Cifar)
    images, labels = ladder_rungs.make_images(5, "cifar10")
    assert (len(images), labels.tolist(), asked) == (5, [0, 1, 2, 3, 4], [{"download": False}])


def test_resnet18_keeps_the_size_of_small_images():
    net = ladder_rungs.make_network("resnet18").eval()
    sizes = []
    net.layer1.register_forward_hook(lambda m, x, out: sizes.append(tuple(out.shape)))
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert sizes == [(1, 64, 32, 32)]


def weights_after(rung, steps=3):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 10))
    step, _ = ladder_rungs.make_step(net, rung, "cpu")
    for number in range(steps):
        torch.manual_seed(number)
        step(torch.randn(8, 3, 5, 5), torch.randint(10, (8,)))
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_the_fused_step_of_the_graph_is_the_same_step():
    usual = weights_after(Rung(waits=False))
    for fused in (Rung(fused=True, waits=False), Rung(fused=True, graph=True, waits=False)):
        assert torch.allclose(weights_after(fused), usual, atol=1e-5)
    assert torch.equal(weights_after(Rung(waits=True)), usual)
    assert not torch.allclose(weights_after(Rung(waits=False), steps=2), usual, atol=1e-3)


def test_the_rate_grows_with_the_batch():
    net = nn.Linear(2, 2)
    for batch, rate in ((128, 0.1), (512, 0.4)):
        _, optimizer = ladder_rungs.make_step(net, Rung(batch=batch), "cpu")
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    _, optimizer = ladder_rungs.make_step(net, Rung(batch=512, fused=True, graph=True), "cpu")
    assert torch.equal(optimizer.param_groups[0]["lr"], torch.tensor(0.4))


def test_precision_is_that_of_the_rung():
    formats = []
    net = nn.Linear(2, 10)
    net.register_forward_hook(lambda m, x, out: formats.append(out.dtype))
    for precision in ("fp32", "bf16"):
        step, _ = ladder_rungs.make_step(net, Rung(precision=precision), "cpu")
        step(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64))
    assert formats == [torch.float32, torch.bfloat16]


class FakeCuda:
    """Stands for torch.cuda where there is none: a graph notes that it is recorded and replayed."""

    def __init__(self):
        self.log = []

    def patch(self, monkeypatch):
        stand_in = type("Stream", (), {"wait_stream": lambda *_: self.log.append("wait")})

        @contextlib.contextmanager
        def named(name):
            self.log.append(f"begin {name}")
            yield
            self.log.append(f"end {name}")

        graph = type("Graph", (), {"replay": lambda _: self.log.append("replay")})
        for name, value in {
            "Stream": stand_in,
            "current_stream": stand_in,
            "stream": lambda _: named("side stream"),
            "graph": lambda _: named("capture"),
            "CUDAGraph": graph,
            "reset_peak_memory_stats": lambda: None,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)


def test_a_graph_is_warmed_up_recorded_and_fed(monkeypatch):
    fake = FakeCuda()
    fake.patch(monkeypatch)
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    static = []

    def step(images, labels):
        fake.log.append("step" if weight.grad is not None else "step without gradients")
        static[:] = [images, labels]

    first = torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last), torch.zeros(2)
    replay = ladder_rungs.captured(step, optimizer, first)
    warm_up = ["step"] * ladder_rungs.WARM_UP_STEPS
    assert fake.log == [
        "wait", "begin side stream", *warm_up, "end side stream", "wait",
        "begin capture", "step without gradients", "end capture",
    ]  # fmt: skip
    assert static[0].is_contiguous(memory_format=torch.channels_last)
    assert static[0] is not first[0]
    replay(torch.ones(2, 3, 4, 4), torch.ones(2))
    assert fake.log[-1] == "replay"
    assert static[0].eq(1).all()
    assert static[1].eq(1).all()
    assert not first[0].any(), "the first batch was overwritten"


# Partners and turns.


# Nothing of this module: a partner would have to import all of it.
ARITHMETIC = functools.partial(dict, add=operator.add, divide=operator.truediv, leave=os._exit)


def test_a_partner_answers_from_its_own_process():
    with partners.Partner(ARITHMETIC, {"own": os.getpid}) as partner:
        assert partner.ask("add", 2, 3) == 5
        assert partner.ask("own") == partner.ask("own") != os.getpid()
        with pytest.raises(partners.PartnerError, match="ZeroDivisionError: division by zero"):
            partner.ask("divide", 1, 0)


def test_a_partner_that_cannot_begin_says_why():
    with pytest.raises(partners.PartnerError, match=r"^ValueError: invalid literal") as error:
        partners.Partner(int, "four")
    assert error.value.kind == "ValueError"


def test_a_partner_that_ends_is_missed():
    partner = partners.Partner(ARITHMETIC)
    with pytest.raises(partners.PartnerError, match="the process ended"):
        partner.ask("leave", 3)


class Counting:
    """A partner that answers with a fixed time, and notes who was asked for how many steps."""

    def __init__(self, name, log, ms):
        self.name, self.log, self.ms = name, log, ms

    def ask(self, action, steps):
        assert action == "milliseconds"
        self.log.append((self.name, steps))
        return self.ms


def test_rungs_take_turns_of_about_equal_length():
    log = []
    pair = {"slow": Counting("slow", log, 500.0), "fast": Counting("fast", log, 10.0)}
    options = training_ladder.parse([*SMALL, "--rounds", "3", "--turn", "1"])
    times = ladder_turns.in_turns(pair, options)
    assert times == {"slow": [500.0] * 3, "fast": [10.0] * 3}
    slow, fast = ("slow", 2), ("fast", 100)
    assert log == [("slow", 1), ("fast", 1), slow, fast, fast, slow, slow, fast]


def test_a_rung_is_compared_by_images_not_by_steps():
    times = {"naive": [100.0, 100.0], "batch": [200.0, 400.0]}
    found = ladder_turns.result(Rung(name="batch", batch=512), times, {"batch": 7})
    assert found["images_per_second"] == pytest.approx(512 / 0.3, rel=1e-3)
    assert found["times_naive"]["largest"] == 2.0
    assert found["times_naive"]["smallest"] == 1.0
    assert (found["milliseconds"], found["peak_bytes"]) == (300.0, 7)


def test_a_rung_that_cannot_be_set_up_is_left_out(inside, monkeypatch):
    climb = ladder_rungs.climb

    def no_compiler(rung, *words):
        if rung.compile:
            raise RuntimeError("no C++ compiler in some/folder")
        return climb(rung, *words)

    monkeypatch.setattr(ladder_rungs, "climb", no_compiler)
    options = training_ladder.parse([*SMALL, "--rungs", "naive", "compile"])
    found = ladder_turns.climb_all("resnet8", options)
    assert [rung["rung"] for rung in found["rungs"]] == ["naive"]
    assert found["left_out"] == {"compile": "could not be set up (RuntimeError)"}


# The floor.


def test_floor_of_a_network_is_three_times_its_forward_pass(small_products):
    found = ladder_floor.floor("resnet8", "cpu")
    # ResNet-8: stem 27·16·1024; stages of two convolutions, in the first of them from fewer
    # channels; classifier. The stem's input needs no gradient.
    stem = 27 * 16 * 32**2
    shapes = (16, 16, 32), (16, 32, 16), (32, 64, 8)
    stages = sum(9 * (c_in * c + c * c) * side**2 for c_in, c, side in shapes)
    assert found["operations_per_image"] == 2 * (3 * (stem + stages + 640) - stem)


# Fewer bits, and fit.


def test_half_precision_is_compared_in_the_same_layout():
    found = ladder_precision.compare("resnet8", 8, 64, "cpu", rounds=2)["steps"]
    assert [(step["precision"], step["layout"]) for step in found] == [
        ("fp32", "NCHW"), ("fp32", "channels-last"), ("bf16", "NCHW"), ("bf16", "channels-last"),
    ]  # fmt: skip
    assert set(found[0]["faster"].values()) == set(found[1]["faster"].values()) == {1.0}
    assert all(step["memory"] < 1 for step in found[2:])


def test_a_case_that_is_too_large_is_left_out(tmp_path, monkeypatch):
    def too_large(**_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ladder_precision, "compare", too_large)
    out = tmp_path / "ladder.json"
    assert training_ladder.main([*SMALL, "--parts", "precision", "--out", str(out)]) == 0
    held = record.load(out)
    check(held)
    assert {case["left_out"] for case in held["results"]} == {"out of memory"}


@pytest.mark.parametrize("before", [None, "AVX512_CORE_VNNI"])
def test_each_set_of_instructions_has_its_own_process(before, monkeypatch):
    variable, seen = "ONEDNN_MAX_CPU_ISA", []
    monkeypatch.delenv(variable, raising=False)
    if before is not None:
        monkeypatch.setenv(variable, before)

    class Noting(Inside):
        def __init__(self, make, *words):
            assert make is ladder_precision.both_formats
            seen.append(os.environ[variable])
            number = len(seen)
            times = {"fp32": [1.0, 1.0], "bf16": [1.0 * number] * 2}
            super().__init__(lambda *_: {"alternate": lambda rounds: times}, *words)

    monkeypatch.setattr(ladder_precision, "Partner", Noting)
    found = ladder_precision.restrict("resnet8", 8, 2, threads=1, rounds=2)["allowed"]
    assert seen == ladder_precision.INSTRUCTIONS
    assert [one["faster"]["median"] for one in found] == [1.0, 0.5, pytest.approx(1 / 3, abs=1e-3)]
    assert os.environ.get(variable) == before


def test_fit_and_the_bare_loops_take_turns(monkeypatch):
    log = []
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))

    class Loop:
        def __init__(self, name):
            self.name = name

        def run(self, steps):
            log.append((self.name, steps))

    others = {name: Loop(name) for name in ("bare", "control")}
    images, labels = torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    batches = ladder_overhead.data.Batches(images, labels, 2)
    turned = ladder_overhead.Turns(batches, others, turns=2, steps=3, device="cpu")
    for number, _ in enumerate(turned):
        log.append(("fit", number))
    assert number + 1 == len(turned) == 3 * 4
    order = [name for name, count in log if name != "fit" or count % 3 == 0]
    assert order == [
        *("fit", "bare", "control"), *("bare", "control", "fit"),
        *("fit", "bare", "control"), *("control", "bare", "fit"),
    ]  # fmt: skip
    assert {name: len(times) for name, times in turned.milliseconds.items()} == dict.fromkeys(
        ladder_overhead.SIDES, 4
    )


def test_fit_and_bare_end_with_the_same_weights(monkeypatch):
    ends = []
    fit = ladder_overhead.train.fit
    monkeypatch.setattr(
        ladder_overhead.train, "fit",
        lambda net, turned, **k: fit(net, turned, **k)
        and ends.extend([net, *(loop.net for loop in turned.others.values())]),
    )  # fmt: skip
    # Without chance in the images, and with fit's rate held where the bare loop has it.
    monkeypatch.setattr(ladder_overhead.data, "RandomCrop", lambda _: nn.Identity())
    monkeypatch.setattr(ladder_overhead.data, "RandomFlip", nn.Identity)
    config = ladder_overhead.train.TrainConfig
    monkeypatch.setattr(
        ladder_overhead.train, "TrainConfig", lambda **k: config(**k, schedule="constant")
    )
    ladder_overhead.overhead(8, 8, 4, "fp32", "cpu", turns=2, steps=2)
    ours, bare, control = (torch.cat([p.flatten() for p in net.parameters()]) for net in ends)
    assert torch.equal(ours, bare)
    assert torch.equal(ours, control)

"""A run that died and goes on ends with the same bits, whatever it was made of."""

import copy
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from toy_training import (
    BATCH,
    CPU,
    IMAGES,
    batches,
    bits,
    cnn,
    killed_and_resumed,
    rows,
    task,
    trained,
)  # fmt: skip

from resnet_lib.train import CheckpointError, Checkpoints, TrainConfig, TrainState

# Every value of each setting, and every pair of optimiser, precision and layout, at least once.
MATRIX = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "nesterov": True, "schedule": "onecycle", "clip_norm": 0.5},
    {"optimizer": "sgd", "channels_last": True, "ema_decay": 0.8, "micro_batches": 3},
    {"optimizer": "sgd", "precision": "bf16", "channels_last": True, "schedule": "step"},
    {"optimizer": "sgd", "precision": "fp16", "clip_norm": 0.5, "ema_decay": 0.8, "patience": 3},
    {"optimizer": "sgd", "momentum": 0, "label_smoothing": 0.1, "decay_norm_and_bias": False},
    {"optimizer": "adam", "schedule": "constant", "patience": 1, "learning_rate": 0.3},
    {"optimizer": "adam", "precision": "fp16", "channels_last": True, "micro_batches": 2},
    {"optimizer": "adam", "precision": "bf16", "ema_decay": 0.8, "decay_norm_and_bias": False},
    {"optimizer": "adamw", "channels_last": True, "patience": 2, "learning_rate": 0.3},
    {"optimizer": "adamw", "precision": "bf16", "micro_batches": 5, "schedule": "onecycle"},
    {"optimizer": "adamw", "precision": "fp16", "warmup_epochs": 1.5, "schedule": "cosine"},
]
WHOLE = {}


class Killed(Exception):
    """What ends a run in the middle here; a real kill leaves the same files."""


def dying(training=None, evaluating=None, seed=0):
    """The network, which dies at that forward pass in train mode, or in eval mode."""
    net, passes = cnn(seed=seed), []

    def count(module, inputs):
        passes.append(module.training)
        if sum(passes) == training or len(passes) - sum(passes) == evaluating:
            raise Killed

    net.register_forward_pre_hook(count)
    return net


def whole(settings):
    """The same run without a kill, computed once."""
    key = str(settings)
    if key not in WHOLE:
        net, history = trained(TrainConfig(epochs=4, **settings))
        WHOLE[key] = bits(net), rows(history), history.best_epoch, history.stopped_early
    return WHOLE[key]


def result(net, history):
    return bits(net), rows(history), history.best_epoch, history.stopped_early


@pytest.mark.parametrize(("at", "every"), [(2, 1), (5, 2), (8, None)])
@pytest.mark.parametrize("settings", MATRIX, ids=str)
def test_killed_run_ends_with_the_same_bits(tmp_path, settings, at, every):
    config = TrainConfig(epochs=4, **settings)
    steps = whole(settings)[1][-1]["steps"]
    resumed = killed_and_resumed(tmp_path, config, min(at, steps), every=every)
    assert result(*resumed) == whole(settings)


def test_matrix_stops_some_runs_early_and_lets_others_end():
    stopped = {whole(settings)[3] for settings in MATRIX if "patience" in settings}
    assert stopped == {True, False}


@pytest.mark.parametrize("at", range(1, 13))
def test_killed_at_each_step(tmp_path, at):
    settings = MATRIX[0]
    config = TrainConfig(epochs=4, **settings)
    resumed = killed_and_resumed(tmp_path, config, at, every=2)
    assert result(*resumed) == whole(settings)


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
@pytest.mark.parametrize("settings", [MATRIX[0], MATRIX[4]], ids=str)
def test_error_in_on_epoch_comes_after_the_epoch_is_kept(tmp_path, settings, epoch):
    config, reported = TrainConfig(epochs=4, **settings), []

    def report(row):
        reported.append(row)
        if row["epoch"] == epoch and len(reported) == epoch:
            raise ConnectionError("the server that collects the numbers is gone")

    checkpoints = Checkpoints(tmp_path)
    options = {"checkpoints": checkpoints, "on_epoch": report}
    with pytest.raises(ConnectionError):
        trained(config, **options)
    resumed = trained(config, cnn(seed=99), **options)
    assert result(*resumed) == whole(settings)
    assert reported == resumed[1].epochs


class Loud(nn.Sequential):
    """Its gradients overflow in fp16 until the scale has come down from 65,536."""

    def forward(self, x):
        return 1000 * super().forward(x)


@pytest.mark.parametrize("at", [3, 5, 11])
def test_scale_of_fp16_is_taken_up_again(tmp_path, at):
    def make(seed=0):
        return Loud(*cnn(seed=seed))

    config = TrainConfig(epochs=4, precision="fp16", learning_rate=1e-6)
    scales = []
    net, history = trained(config, make(), checkpoints=Checkpoints(tmp_path / "whole", every=1))
    scales.append(Checkpoints(tmp_path / "whole").load()["scaler"]["scale"])
    resumed = killed_and_resumed(tmp_path / "killed", config, at, make, every=1)
    scales.append(Checkpoints(tmp_path / "killed").load()["scaler"]["scale"])
    assert scales[0] == scales[1] <= 2**12
    assert result(*resumed) == result(net, history)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_optimizers_memory_is_laid_out_as_the_weights(tmp_path, optimizer):
    """A checkpoint holds all tensors contiguous."""
    config = TrainConfig(epochs=1, channels_last=True, optimizer=optimizer)
    trained(config, checkpoints=Checkpoints(tmp_path))
    state = TrainState(cnn(seed=99), config, CPU, 3)
    state.restore(Checkpoints(tmp_path).load())
    weight = state.model[3].weight
    assert not weight.is_contiguous()
    memory = [value for value in state.optimizer.state[weight].values() if value.dim()]
    assert memory
    assert {value.stride() for value in memory} == {weight.stride()}


def test_killed_many_times(tmp_path):
    """Once in each step; each time a little gets done."""
    config = TrainConfig(epochs=4)
    checkpoints, kills = Checkpoints(tmp_path, every=1), 0
    while True:
        try:
            resumed = trained(config, dying(training=2, seed=kills), checkpoints=checkpoints)
        except Killed:
            kills += 1
        else:
            break
    assert kills == 11
    assert result(*resumed) == whole(MATRIX[0])


# Random numbers and the order of the data


class Noisy(Dataset):
    """The task, with noise from torch's own generator."""

    def __init__(self):
        self.images, self.labels = task()

    def __len__(self):
        return IMAGES

    def __getitem__(self, number):
        image = self.images[number]
        return image + 0.1 * torch.randn(image.shape), self.labels[number]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("every", [1, None])
def test_shuffled_data_loader_goes_on_with_the_order_it_had(tmp_path, workers, every):
    def loader():
        return DataLoader(Noisy(), BATCH, shuffle=True, num_workers=workers)

    config = TrainConfig(epochs=3)
    net, history = trained(config, train=loader())
    checkpoints = Checkpoints(tmp_path, every=every)
    with pytest.raises(Killed):
        trained(config, dying(training=5), train=loader(), checkpoints=checkpoints)
    assert checkpoints.load()["counters"][2] == (4 if every else 3)
    resumed = trained(config, cnn(seed=99), train=loader(), checkpoints=checkpoints)
    assert result(*resumed) == result(net, history)


def test_validation_may_draw_random_numbers(tmp_path):
    """A DataLoader draws one whenever it is begun."""

    def loader():
        return DataLoader(list(zip(*task(10, seed=1), strict=True)), 4, shuffle=True)

    config = TrainConfig(epochs=4)
    net, history = trained(config, validation=loader())
    checkpoints = Checkpoints(tmp_path, every=3)
    with pytest.raises(Killed):
        trained(config, dying(evaluating=5), validation=loader(), checkpoints=checkpoints)
    assert checkpoints.load()["counters"] == [1, 3, 6]  # after the last step, before validation
    resumed = trained(config, cnn(seed=99), validation=loader(), checkpoints=checkpoints)
    assert result(*resumed) == result(net, history)


def test_sampler_with_set_epoch_goes_on_with_its_order(tmp_path):
    class ByEpoch(RandomSampler):
        def set_epoch(self, epoch):
            self.generator = torch.Generator().manual_seed(epoch)

    def loader():
        return DataLoader(Noisy(), BATCH, sampler=ByEpoch(range(IMAGES)))

    config = TrainConfig(epochs=3)
    net, history = trained(config, train=loader())
    checkpoints = Checkpoints(tmp_path, every=1)
    with pytest.raises(Killed):
        trained(config, dying(training=8), train=loader(), checkpoints=checkpoints)
    resumed = trained(config, cnn(seed=99), train=loader(), checkpoints=checkpoints)
    assert result(*resumed) == result(net, history)


# What must be the same


def begun(folder, config=None, net=None, **options):
    """A run that ended after its first epoch of two."""
    checkpoints = Checkpoints(folder)

    def fail(row):
        raise ZeroDivisionError

    config = config or TrainConfig(epochs=2)
    with pytest.raises(ZeroDivisionError):
        trained(config, net, checkpoints=checkpoints, on_epoch=fail, **options)
    return checkpoints


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 3, "seed": 4}, ["epochs was 2, is 3", "seed was 0, is 4"]),
        ({"learning_rate": 0.2, "seed": 4}, ["learning_rate was 0.1, is 0.2", "seed was 0, is 4"]),
        ({"ema_decay": 0.9}, ["ema_decay was None, is 0.9"]),
        ({"milestones": (0.5,)}, ["milestones was [0.5, 0.75], is [0.5]"]),
        ({"optimizer": "adam"}, ["optimizer was 'sgd', is 'adam'"]),
    ],
)
def test_other_settings_are_refused(tmp_path, change, words):
    checkpoints = begun(tmp_path)
    net = cnn(seed=5)
    before, kept = bits(net), [path.read_bytes() for path in checkpoints.paths()]
    with pytest.raises(CheckpointError) as error:
        trained(replace(TrainConfig(epochs=2), **change), net, checkpoints=checkpoints)
    for word in ["run with other settings", *words, "another folder to begin anew"]:
        assert word in str(error.value)
    assert bits(net) == before
    assert [path.read_bytes() for path in checkpoints.paths()] == kept


def other_head():
    net = cnn()
    net[7] = nn.Linear(64, 4)
    return net


def deeper():
    return nn.Sequential(*cnn(), nn.Linear(3, 3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (other_head, ["7.weight was '(3, 64) torch.float32 trained', is '(4, 64)", "7.bias"]),
        (deeper, ["8.weight was None, is '(3, 3) torch.float32 trained'"]),
        (lambda: cnn(norm=False), ["1.running_mean", "and "]),
        (lambda: cnn().requires_grad_(False).append(nn.Linear(3, 3)), ["more"]),
    ],
)
def test_other_network_is_refused_and_left_alone(tmp_path, make, words):
    checkpoints = begun(tmp_path)
    net = make()
    before = bits(net)
    with pytest.raises(CheckpointError, match="run with other weights: ") as error:
        trained(TrainConfig(epochs=2), net, checkpoints=checkpoints)
    assert [word for word in words if word not in str(error.value)] == []
    assert bits(net) == before


def test_other_frozen_weights_are_refused(tmp_path):
    """As many weights are trained as before, but others: momentum would go to the wrong ones."""
    first, second = cnn(), cnn()
    first[0].requires_grad_(False), second[3].requires_grad_(False)
    checkpoints = begun(tmp_path, net=first)
    with pytest.raises(CheckpointError) as error:
        trained(TrainConfig(epochs=2), second, checkpoints=checkpoints)
    said = "0.weight was '(4, 1, 3, 3) torch.float32', is '(4, 1, 3, 3) torch.float32 trained'"
    assert said in str(error.value)


def test_other_precision_of_the_weights_is_refused(tmp_path):
    checkpoints = begun(tmp_path)
    with pytest.raises(CheckpointError, match=r"float32 trained', is .*float64 trained"):
        trained(TrainConfig(epochs=2), cnn().double(), checkpoints=checkpoints)


@pytest.mark.parametrize(("size", "number"), [(4, 6), (11, 2), (22, 1)])
def test_other_number_of_batches_is_refused(tmp_path, size, number):
    checkpoints = begun(tmp_path)
    with pytest.raises(CheckpointError, match=f"other batches: number was 3, is {number}"):
        trained(TrainConfig(epochs=2), train=batches(size=size), checkpoints=checkpoints)


def test_other_number_of_processes_goes_on_with_a_warning(tmp_path):
    """The samples of the epoch so far are still counted once."""
    config = TrainConfig(epochs=2)
    checkpoints = Checkpoints(tmp_path)
    state = TrainState(cnn(), config, CPU, 3)
    state.sums.copy_(torch.tensor([4.0, 2, 8]))
    state.enter_epoch()
    state.step = state.position = 1
    tree = state.as_tree()
    tree["processes"] = [tree["processes"][0], copy.deepcopy(tree["processes"][0])]
    checkpoints.save(1, tree)
    with pytest.warns(
        UserWarning, match="of 2 processes, these are 1: .* not to the same last bit"
    ):
        _, history = trained(config, cnn(), checkpoints=checkpoints)
    assert history["steps"] == [3, 6]
    fresh = TrainState(cnn(), config, CPU, 3)
    with pytest.warns(UserWarning, match="not to the same last bit"):
        fresh.restore(tree)
    assert fresh.sums.tolist() == [8, 4, 16]


def test_seconds_of_the_first_part_of_an_epoch_are_counted():
    config = TrainConfig(epochs=2)
    state = TrainState(cnn(), config, CPU)
    tree = state.as_tree() | {"seconds": 1e6}
    state.sums += 1
    assert state.row()["seconds"] < 1e6
    state.restore(tree)
    state.sums += 1
    assert state.row()["seconds"] >= 1e6


def test_folder_that_cannot_be_written_to_is_found_out_before_the_first_step(tmp_path):
    (tmp_path / "run").write_text("a file")
    net, steps = cnn(), []
    net.register_forward_pre_hook(lambda *_: steps.append(1))
    with pytest.raises(FileExistsError, match="run"):
        trained(net=net, checkpoints=Checkpoints(tmp_path / "run"))
    assert steps == []


def test_run_without_checkpoints_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained()
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_do_not_change_the_run(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpointed = trained(
            TrainConfig(epochs=4), checkpoints=Checkpoints(tmp_path / "new" / "run", every=1)
        )
    assert result(*checkpointed) == whole({"optimizer": "sgd"})

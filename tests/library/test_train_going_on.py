"""Runs that go on: more epochs after the end, loaders with random numbers of their own."""

import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from toy_training import BATCH, IMAGES, bits, cnn, rows, task, trained

from resnet_lib.train import CheckpointError, Checkpoints, TrainConfig


def constant(epochs, **settings):
    return TrainConfig(epochs=epochs, schedule="constant", **settings)


@pytest.mark.parametrize("settings", [{}, {"warmup_epochs": 1}, {"ema_decay": 0.9}], ids=str)
def test_more_epochs_after_the_end(tmp_path, settings):
    """With a constant rate the run ends as one that was to take so many from the start."""
    whole, history = trained(constant(4, **settings))
    checkpoints = Checkpoints(tmp_path)
    trained(constant(2, **settings), checkpoints=checkpoints)
    longer, again = trained(constant(4, **settings), cnn(seed=9), checkpoints=checkpoints)
    assert bits(longer) == bits(whole)
    assert rows(again) == rows(history)


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    trained(constant(3), checkpoints=checkpoints)
    with pytest.raises(CheckpointError, match="other settings: epochs was 3, is 2"):
        trained(constant(2), checkpoints=checkpoints)


@pytest.mark.parametrize("schedule", ["cosine", "step", "onecycle"])
def test_schedule_that_has_ended_says_what_to_do(tmp_path, schedule):
    checkpoints = Checkpoints(tmp_path)
    trained(TrainConfig(epochs=2, schedule=schedule), checkpoints=checkpoints)
    net = cnn(seed=9)
    before = bits(net)
    with pytest.raises(CheckpointError) as error:
        trained(TrainConfig(epochs=4, schedule=schedule), net, checkpoints=checkpoints)
    for words in (
        "epochs was 2, is 4",
        f"of a {schedule} schedule is laid out over all epochs",
        "another folder of checkpoints, a tenth of the learning_rate",
        "schedule='constant'",
    ):
        assert words in str(error.value)
    assert bits(net) == before


def test_own_schedule_is_laid_out_too(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    own = {"schedule": lambda step, steps: 1.0, "checkpoints": checkpoints}
    trained(constant(1), **own)
    with pytest.raises(CheckpointError, match="of a schedule of your own is laid out"):
        trained(constant(2), **own)


class Killed(Exception):
    pass


class Dying(torch.nn.Sequential):
    """Dies in its fifth training step."""

    steps = 0

    def forward(self, x):
        self.steps += self.training
        if self.steps == 5:
            raise Killed
        return super().forward(x)


def with_generator(place):
    own, set_ = torch.Generator().manual_seed(7), TensorDataset(*task())
    if place == "loader":
        return DataLoader(set_, BATCH, shuffle=True, generator=own)
    return DataLoader(set_, BATCH, sampler=RandomSampler(range(IMAGES), generator=own))


@pytest.mark.parametrize("place", ["loader", "sampler"])
@pytest.mark.parametrize("every", [1, None])
def test_loader_with_its_own_generator_goes_on_with_its_order(tmp_path, place, every):
    config = TrainConfig(epochs=3)
    whole, history = trained(config, train=with_generator(place))
    checkpoints = Checkpoints(tmp_path, every=every)
    with pytest.raises(Killed):
        trained(config, Dying(*cnn()), train=with_generator(place), checkpoints=checkpoints)
    assert checkpoints.load()["counters"][2] == (4 if every else 3)
    net = cnn(seed=9)
    resumed, again = trained(config, net, train=with_generator(place), checkpoints=checkpoints)
    assert bits(resumed) == bits(whole)
    assert rows(again) == rows(history)

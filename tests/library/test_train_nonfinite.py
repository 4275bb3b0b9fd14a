"""A loss or a weight that is no longer finite stops the run, and what is kept is sound."""

import math
import warnings

import pytest
import torch
from torch import nn
from toy_training import BATCH, bits, cnn, held_out, task, trained

from resnet_lib.data import Batches
from resnet_lib.train import Checkpoints, NonFiniteLoss, TrainConfig

HINT = "a lower learning_rate, warmup_epochs or clip_norm may help"


class Poisoned(Batches):
    """The augmented task, with one number of one batch replaced."""

    def __init__(self, epoch, batch, value):
        super().__init__(*task(), BATCH, shuffle=True)
        self.place, self.value = (epoch, batch), value

    def __iter__(self):
        for number, (images, labels) in enumerate(super().__iter__()):
            if (self.epoch, number) == self.place:
                images[0, 0, 0, 0] = self.value
            yield images, labels


def assert_sound(checkpoints):
    """Every checkpoint in the folder can be loaded and holds finite numbers only."""

    def numbers(value):
        if isinstance(value, torch.Tensor):
            yield bool(value.isfinite().all())
        elif isinstance(value, float):
            yield math.isfinite(value)
        elif isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                yield from numbers(one)

    paths = checkpoints.paths()
    assert paths
    for path in paths:
        assert all(numbers(checkpoints.load())), path
        path.unlink()  # and on to the one before
    return paths


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e38])
@pytest.mark.parametrize(("epoch", "batch", "good"), [(0, 0, 0), (0, 1, 1), (1, 0, 3), (1, 2, 5)])
def test_image_that_is_no_number_stops_the_run(tmp_path, epoch, batch, good, value):
    checkpoints = Checkpoints(tmp_path, every=1)
    with pytest.raises(NonFiniteLoss) as error:
        trained(train=Poisoned(epoch, batch, value), checkpoints=checkpoints)
    said = str(error.value)
    assert f"in epoch {epoch + 1}, by update {3 * epoch + batch + 1}." in said
    newest = assert_sound(checkpoints)[0]
    assert newest.name == f"step-{good:08d}.json"
    assert f"The last good state is {newest}. " in said
    assert HINT in said


@pytest.mark.parametrize("every", [None, 1, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_exploding_rate_stops_the_run(tmp_path, every, optimizer):
    checkpoints = Checkpoints(tmp_path, every=every)
    config = TrainConfig(epochs=20, learning_rate=1e30, optimizer=optimizer, ema_decay=0.9)
    with pytest.raises(NonFiniteLoss, match="The loss or a weight became infinite or NaN in epoch"):
        trained(config, checkpoints=checkpoints)
    assert_sound(checkpoints)


def test_weights_that_explode_in_the_last_update_are_found():
    """The loss of that update is still finite; only the weights tell."""
    images, labels = task(BATCH)
    config = TrainConfig(epochs=1, learning_rate=1e308, momentum=0)
    with pytest.raises(NonFiniteLoss, match=r"in epoch 1, by update 1\. No checkpoint was kept\."):
        trained(config, train=Batches(images, labels, BATCH), validation=None)


@pytest.mark.parametrize("checked", ["mid epoch", "end of epoch"])
def test_statistics_that_overflow_are_found(tmp_path, checked):
    """A variance above all floats makes batch norm give zeros: loss and weights stay finite."""
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36), nn.Linear(36, 3))
    checkpoints = Checkpoints(tmp_path, every=1 if checked == "mid epoch" else None)
    with pytest.raises(NonFiniteLoss):
        trained(net=net, train=Poisoned(0, 0, 1e30), checkpoints=checkpoints)
    assert [path.stem for path in assert_sound(checkpoints)] == ["step-00000000"]


@pytest.mark.parametrize("settings", [{}, {"patience": 1}, {"ema_decay": 0.9}], ids=str)
def test_validation_loss_that_is_no_number_stops_the_run(tmp_path, settings):
    """Otherwise the first epoch's NaN would be the lowest loss for ever."""
    images, labels = task(10, seed=1)
    images[3] = math.nan
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(NonFiniteLoss, match="The validation loss became infinite or NaN"):
        trained(
            TrainConfig(epochs=2, **settings),
            validation=Batches(images, labels, 4), checkpoints=checkpoints,
        )  # fmt: skip
    assert [path.stem for path in assert_sound(checkpoints)] == ["step-00000000"]


def test_network_that_is_not_finite_is_refused_before_the_first_step(tmp_path):
    net = cnn()
    nn.init.constant_(net[0].bias, math.nan)
    seen = []
    net.register_forward_pre_hook(lambda *_: seen.append(1))
    with pytest.raises(NonFiniteLoss, match=r"by update 0\. No checkpoint was kept"):
        trained(net=net, checkpoints=Checkpoints(tmp_path))
    assert seen == []
    assert list(tmp_path.iterdir()) == []


def test_run_goes_on_from_the_last_good_state_with_mended_data(tmp_path):
    config = TrainConfig(epochs=3)
    plain = Batches(*task(), BATCH, shuffle=True)
    whole, _ = trained(config, train=plain)
    checkpoints = Checkpoints(tmp_path, every=1)
    with pytest.raises(NonFiniteLoss):
        trained(config, train=Poisoned(1, 1, math.nan), checkpoints=checkpoints)
    resumed, history = trained(config, cnn(seed=9), train=plain, checkpoints=checkpoints)
    assert bits(resumed) == bits(whole)
    assert history["steps"] == [3, 6, 9]


def test_finite_run_is_not_stopped():
    """Large images, a small rate, labels as they come."""
    images = 1e4 * task()[0]
    config = TrainConfig(epochs=2, learning_rate=1e-9, clip_norm=1.0)
    _, history = trained(config, train=Batches(images, task()[1], BATCH), validation=held_out())
    assert len(history.epochs) == 2


# Advice


def test_fp16_that_overflows_is_told_to_take_another_format():
    """65,504 is the largest number in fp16; no learning rate helps."""
    images = 1e6 * task()[0]
    config = TrainConfig(epochs=1, precision="fp16", learning_rate=1e-9)
    with pytest.raises(NonFiniteLoss, match=r"fp16 end at 65,504.* first try precision='bf16'"):
        trained(config, train=Batches(images, task()[1], BATCH))
    with pytest.raises(NonFiniteLoss) as error:
        trained(TrainConfig(learning_rate=1e30, epochs=20))
    assert "fp16" not in str(error.value)


class Grows(nn.Module):
    """Its scores are wrong by a number that may be chosen."""

    def __init__(self, off):
        super().__init__()
        self.weight, self.off = nn.Parameter(torch.ones(())), off

    def forward(self, x):
        right = 0 * self.weight
        return torch.stack([right, self.off * self.weight, right]).expand(len(x), 3)


def with_loss(off, **options):
    labels = torch.zeros(4, dtype=torch.int64)
    config = TrainConfig(epochs=3, learning_rate=1e-9, schedule="constant")
    pair = [(torch.zeros(4, 1), labels)]
    return trained(config, Grows(off), train=pair, **{"validation": pair} | options)


def test_loss_that_explodes_is_said_once_with_what_to_try():
    said = r"^The train loss is 38,213 in epoch 1, where guessing among 3 classes has 1\.1: "
    with pytest.warns(UserWarning, match=said + ".*First try a tenth of the learning rate") as all_:
        with_loss(38213.0)
    assert len(all_) == 1


def test_high_loss_that_is_no_explosion_is_not_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_loss(30.0)
        with_loss(38213.0, loss=lambda scores, labels: scores.mean())  # guessing has no known cost

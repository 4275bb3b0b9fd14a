"""What the caller set stays: modes, frozen parts, random numbers; a validation changes nothing."""

import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from toy_training import batches, bits, cnn, held_out, rows, task, trained

from resnet_lib.train import Checkpoints, TrainConfig, evaluate


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("validation", [None, held_out()], ids=["alone", "validated"])
def test_layers_in_eval_mode_stay_so(validation):
    net, seen = cnn(), []
    net[1].eval()
    statistics = net[1].running_mean.clone(), net[1].num_batches_tracked.clone()
    before = modes(net)
    net.register_forward_pre_hook(lambda one, _: seen.append(modes(one)) if one.training else None)
    trained(TrainConfig(epochs=3), net, validation=validation)
    assert seen == [before] * 9
    assert modes(net) == before
    assert torch.equal(net[1].running_mean, statistics[0])
    assert torch.equal(net[1].num_batches_tracked, statistics[1])


def test_network_wholly_in_eval_mode_is_trained_and_put_back():
    """As it comes from a file; nobody trains a network in which nothing is in train mode."""
    trained_before, _ = trained()
    loaded, _ = trained(net=cnn().eval())
    assert bits(loaded) == bits(trained_before)
    assert set(modes(loaded)) == {False}


def test_modes_come_back_after_an_error():
    net = cnn()
    net[1].eval()
    before = modes(net)
    with pytest.raises(ZeroDivisionError):
        trained(net=net, on_epoch=lambda row: 1 / 0)
    assert modes(net) == before


def test_batch_norm_with_frozen_parameters_that_moves_is_said():
    net = cnn()
    net[1].requires_grad_(False)
    with pytest.warns(
        UserWarning, match=r"^1: the parameters of these batch norms are frozen, but"
    ):
        trained(net=net)
    net[1].eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(net=net)
        trained(net=cnn())


def test_random_numbers_are_afterwards_what_they_were():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(net=cnn_without_seeding())
    assert torch.equal(torch.rand(3), expected)


def cnn_without_seeding():
    state = torch.get_rng_state()
    net = cnn()
    torch.set_rng_state(state)
    return net


def loader(**options):
    return DataLoader(TensorDataset(*task(10, seed=1)), 4, **options)


@pytest.mark.parametrize("shuffle", [False, True])
def test_validation_loader_changes_nothing(shuffle):
    """A DataLoader draws from torch's generator whenever it is begun."""
    whole, history = trained(TrainConfig(epochs=3), validation=None)
    other, again = trained(TrainConfig(epochs=3), validation=loader(shuffle=shuffle))
    assert bits(whole) == bits(other)
    assert history["train_loss"] == again["train_loss"]


def test_validation_that_shares_the_training_loaders_generator_changes_nothing():
    def run(validated):
        own = torch.Generator().manual_seed(3)
        train = DataLoader(TensorDataset(*task()), 8, shuffle=True, generator=own)
        validation = loader(shuffle=True, generator=own) if validated else None
        return trained(TrainConfig(epochs=3), train=train, validation=validation)

    assert bits(run(True)[0]) == bits(run(False)[0])


def test_evaluation_in_between_changes_nothing():
    def look(row):
        evaluate(cnn_without_seeding(), loader(shuffle=True))

    whole, history = trained(TrainConfig(epochs=3))
    other, again = trained(TrainConfig(epochs=3), on_epoch=look)
    assert bits(whole) == bits(other)
    assert rows(history) == rows(again)


class Masked(nn.Sequential):
    """With a mask of attention, which is infinite from the start, and a state that is no tensor."""

    def __init__(self, *layers):
        super().__init__(*layers)
        mask = torch.zeros(3, 3).masked_fill(torch.ones(3, 3).triu(1).bool(), -torch.inf)
        self.register_buffer("mask", mask)
        self.scale = 2

    def get_extra_state(self):
        return {"scale": self.scale}

    def set_extra_state(self, state):
        self.scale = state["scale"]


@pytest.mark.parametrize("settings", [{}, {"keep_best": True}, {"ema_decay": 0.9}], ids=str)
def test_infinite_buffers_and_extra_states_are_no_fault(tmp_path, settings):
    checkpoints = Checkpoints(tmp_path, every=1)
    config = TrainConfig(epochs=2, **settings)
    net, _ = trained(config, Masked(*cnn()), checkpoints=checkpoints)
    again, _ = trained(config, Masked(*cnn(seed=9)), checkpoints=checkpoints)
    assert net.mask.isinf().sum() == 3
    for name, value in net.state_dict().items():
        other = again.state_dict()[name]
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other


def test_training_batches_are_seen_in_the_same_order_with_a_deeper_validation():
    one, _ = trained(train=batches(), validation=held_out(1))
    other, _ = trained(train=batches(), validation=held_out(10))
    assert bits(one) == bits(other)

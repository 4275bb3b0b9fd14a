"""Learning rate, weight decay and optimisers, against PyTorch's own and by hand."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, lr_scheduler
from toy_training import cnn

from resnet_lib.nets import CifarResNet, freeze
from resnet_lib.train import (
    TrainConfig,
    learning_rate,
    make_optimizer,
    parameter_groups,
    rates_by_part,
)

STEPS = [1, 2, 3, 4, 7, 10, 100, 101]


def rates(steps, **settings):
    config = TrainConfig(**settings)
    return [learning_rate(config, step, steps) for step in range(steps)]


def pytorch_rates(make, steps, rate):
    """The rate that each update sees when one of PyTorch's schedulers sets it."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], rate)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("steps", STEPS)
def test_cosine_is_pytorchs(steps):
    theirs = pytorch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, steps), steps, 0.3)
    assert rates(steps, learning_rate=0.3) == pytest.approx(theirs, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("epochs", [1, 10])
def test_one_cycle_is_pytorchs(steps, epochs):
    def make(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=steps, cycle_momentum=False)

    # PyTorch itself divides by zero at one step; and it counts one step beyond the last.
    theirs = pytorch_rates(make, steps - 1, 0.3) if steps > 1 else []
    found = rates(steps, learning_rate=0.3, schedule="onecycle", epochs=epochs)
    assert found[: len(theirs)] == pytest.approx(theirs, rel=1e-9)
    assert found[-1] == pytest.approx(0.3 / 25 / 1e4, rel=1e-9)


@pytest.mark.parametrize("milestones", [(), (0.5,), (0.5, 0.75), (0.1, 0.2, 0.9)])
def test_steps_are_pytorchs(milestones):
    def make(optimizer):
        after = [round(100 * share) for share in milestones]
        return lr_scheduler.MultiStepLR(optimizer, after, gamma=0.2)

    settings = {"schedule": "step", "milestones": milestones, "gamma": 0.2, "learning_rate": 0.3}
    assert rates(100, **settings) == pytest.approx(pytorch_rates(make, 100, 0.3), rel=1e-12)


def test_paper_drops_at_32_and_48_thousand_of_64():
    config = TrainConfig(schedule="step", milestones=(0.5, 0.75), learning_rate=0.1)
    at = [0, 31_999, 32_000, 47_999, 48_000, 63_999]
    found = [learning_rate(config, step, 64_000) for step in at]
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rel=1e-12)


def test_constant_rate_is_constant():
    assert set(rates(50, schedule="constant", learning_rate=0.3)) == {0.3}


@pytest.mark.parametrize(("warmup", "warm"), [(0.5, 5), (1, 10), (3, 30), (10, 100), (0.04, 0)])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warm_up_is_pytorchs(schedule, warmup, warm):
    """LinearLR from 1/warm in warm - 1 steps reaches the highest rate at update number warm - 1."""
    ours = rates(100, schedule=schedule, epochs=10, warmup_epochs=warmup, learning_rate=0.3)
    if warm > 1:
        assert ours[:warm] == pytest.approx(
            pytorch_rates(lambda o: lr_scheduler.LinearLR(o, 1 / warm, 1, warm - 1), warm, 0.3),
            rel=1e-9,
        )
        assert ours[warm - 1] == 0.3
    unwarmed = rates(100, schedule=schedule, epochs=10, learning_rate=0.3)
    cosine = rates(100 - warm, learning_rate=0.3) if warm < 100 else []
    assert ours[warm:] == (cosine if schedule == "cosine" else unwarmed[warm:])


def test_warm_up_then_cosine_is_pytorchs_sequence():
    def make(optimizer):
        warm = lr_scheduler.LinearLR(optimizer, 1 / 20, 1, 19)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, 80)
        return lr_scheduler.SequentialLR(optimizer, [warm, cosine], [20])

    ours = rates(100, epochs=5, warmup_epochs=1, learning_rate=0.3)
    assert ours == pytest.approx(pytorch_rates(make, 100, 0.3), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "onecycle"])
@pytest.mark.parametrize("warmup", [0, 0.3, 0.5, 1])
def test_shortest_trainings_have_finite_rates(schedule, steps, warmup):
    settings = {"epochs": 1, "warmup_epochs": 0 if schedule == "onecycle" else warmup}
    found = rates(steps, schedule=schedule, learning_rate=0.3, **settings)
    assert len(found) == steps
    assert all(math.isfinite(rate) and 0 < rate <= 0.3 for rate in found)


def names(model, group):
    own = {id(parameter): name for name, parameter in model.named_parameters()}
    return sorted(own[id(parameter)] for parameter in group["params"])


def test_every_parameter_decays_as_in_the_paper():
    net = cnn()
    (group,) = parameter_groups(net, 0.1)
    assert names(net, group) == sorted(name for name, _ in net.named_parameters())
    assert group["weight_decay"] == 0.1


def test_norms_and_biases_do_not_decay_if_asked():
    net = cnn()  # 0: convolution, 1: batch norm, 3: convolution, 7: linear
    decayed, free = parameter_groups(net, 0.1, decay_norm_and_bias=False)
    assert names(net, decayed) == ["0.weight", "3.weight", "7.weight"]
    assert names(net, free) == ["0.bias", "1.bias", "1.weight", "3.bias", "7.bias"]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("decay_norm_and_bias", [True, False])
def test_frozen_parameters_are_left_out(decay_norm_and_bias):
    net = cnn()
    net[0].requires_grad_(False), net[1].requires_grad_(False)
    groups = parameter_groups(net, 0.1, decay_norm_and_bias)
    kept = sorted(name for group in groups for name in names(net, group))
    assert kept == ["3.bias", "3.weight", "7.bias", "7.weight"]


def test_no_group_is_empty():
    only_bias = nn.BatchNorm2d(3)
    (group,) = parameter_groups(only_bias, 0.1, decay_norm_and_bias=False)
    assert names(only_bias, group) == ["bias", "weight"]
    only_weight = nn.Linear(3, 2, bias=False)
    (group,) = parameter_groups(only_weight, 0.1, decay_norm_and_bias=False)
    assert names(only_weight, group) == ["weight"]


@pytest.mark.parametrize("decay_norm_and_bias", [True, False])
@pytest.mark.parametrize("model", [nn.ReLU(), nn.Linear(2, 2).requires_grad_(False)])
def test_nothing_to_train_is_an_error(model, decay_norm_and_bias):
    config = TrainConfig(decay_norm_and_bias=decay_norm_and_bias)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        make_optimizer(model, config)


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({}, torch.optim.SGD, {"momentum": 0.9, "nesterov": False, "dampening": 0}),
        ({"nesterov": True}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        ({"momentum": 0}, torch.optim.SGD, {"momentum": 0.0}),
        ({"optimizer": "adam"}, torch.optim.Adam, {"betas": (0.9, 0.999), "eps": 1e-8}),
        ({"optimizer": "adamw", "momentum": 0.8}, torch.optim.AdamW, {"betas": (0.8, 0.999)}),
    ],
)
def test_optimizer_is_the_one_asked_for(settings, kind, expected):
    config = TrainConfig(learning_rate=0.3, weight_decay=0.02, **settings)
    optimizer = make_optimizer(cnn(), config)
    assert type(optimizer) is kind
    expected = expected | {"lr": 0.3, "weight_decay": 0.02}
    for group in optimizer.param_groups:
        assert {name: group[name] for name in expected} == expected


def in_groups(net, groups):
    """The names of the parameters in each group, with its rate."""
    names = {id(p): name for name, p in net.named_parameters()}
    return [([names[id(p)] for p in group["params"]], group["lr"]) for group in groups]


def test_each_part_has_its_rate_and_the_others_theirs():
    net = CifarResNet(8)
    head, inner, outer, rest = in_groups(
        net, rates_by_part(net, {"fc": 0.1, "layer3.0.bn1": 0.05, "layer3": 0.02}, 0.01)
    )
    assert head == (["fc.weight", "fc.bias"], 0.1)
    assert inner == (["layer3.0.bn1.weight", "layer3.0.bn1.bias"], 0.05)
    assert outer[1] == 0.02
    assert all(name.startswith("layer3.") for name in outer[0])
    assert rest[1] == 0.01
    names = [name for group in (head, inner, outer, rest) for name in group[0]]
    assert sorted(names) == sorted(name for name, _ in net.named_parameters())
    assert {"conv1.weight", "bn1.bias"} <= set(rest[0])


def test_a_name_that_begins_alike_is_another_part():
    net = nn.ModuleDict({"fc": nn.Linear(1, 1), "fc2": nn.Linear(1, 1)})
    first, others = in_groups(net, rates_by_part(net, {"fc": 0.1}, 0.01))
    assert first[0] == ["fc.weight", "fc.bias"]
    assert others[0] == ["fc2.weight", "fc2.bias"]


def test_frozen_parts_have_no_rate():
    net = freeze(CifarResNet(8), "conv1", "bn1", "layer1", "layer2", "layer3")
    (only,) = in_groups(net, rates_by_part(net, {"fc": 0.1}, 0.01))
    assert only == (["fc.weight", "fc.bias"], 0.1)


@pytest.mark.parametrize("part", ["layer1", "classifier"])
def test_a_part_without_a_parameter_to_train_is_refused(part):
    net = freeze(CifarResNet(8), "layer1")
    with pytest.raises(ValueError, match=f"rates names '{part}', in which no parameter"):
        rates_by_part(net, {part: 0.1}, 0.01)


def test_an_optimiser_takes_the_groups():
    net = CifarResNet(8)
    groups = rates_by_part(net, {"fc": 0.1}, 0.01)
    assert [g["lr"] for g in torch.optim.SGD(groups, 1.0).param_groups] == [0.1, 0.01]

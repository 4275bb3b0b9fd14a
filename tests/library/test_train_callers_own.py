"""`fit` with what the caller brings: loss, metrics, optimiser, schedule, other labels."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toy_training import BATCH, IMAGES, batches, bits, cnn, held_out, rows, task, trained

from resnet_lib.data import Batches
from resnet_lib.train import (
    CheckpointError,
    Checkpoints,
    TrainConfig,
    evaluate,
    learning_rate,
    right_answers,
)

CLASSES = 3


class Listed(list):
    """A list of batches."""


def soft(values=None, count=IMAGES, size=BATCH):
    images, labels = task(count)
    shares = F.one_hot(labels, CLASSES).float() if values is None else values(labels)
    return Listed(zip(images.split(size), shares.split(size), strict=True))


def hard(count=IMAGES, size=BATCH):
    images, labels = task(count)
    return Listed(zip(images.split(size), labels.split(size), strict=True))


# The loss


def test_cross_entropy_given_is_the_one_built_in():
    one, history = trained()
    other, again = trained(loss=nn.CrossEntropyLoss())
    assert bits(one) == bits(other)
    assert again["validation_loss"] == pytest.approx(history["validation_loss"], rel=1e-6)


def test_class_weights_are_those_of_the_loss():
    weight = torch.tensor([1.0, 5.0, 0.2])
    net = cnn(dropout=0)
    twin = copy.deepcopy(net)
    config = TrainConfig(epochs=1, schedule="constant", momentum=0, weight_decay=0)
    trained(config, net, train=hard(), loss=nn.CrossEntropyLoss(weight=weight))
    optimizer = torch.optim.SGD(twin.parameters(), 0.1)
    for images, labels in hard():
        loss = F.cross_entropy(twin(images), labels, weight=weight)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert bits(net) == bits(twin)


def test_history_and_evaluation_hold_the_callers_loss():
    def squares(scores, labels):
        return F.mse_loss(scores, F.one_hot(labels, CLASSES).float())

    net, history = trained(loss=squares)
    found = evaluate(net, held_out(), loss=squares)
    assert found.loss == history["validation_loss"][-1]
    with torch.no_grad():
        images, labels = task(10, seed=1)
        expected = squares(net.eval()(images), labels).item()
    assert found.loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (nn.CrossEntropyLoss(reduction="none"), r"batch's mean, a tensor without .* got \(8,\)"),
        (lambda scores, labels: 1.0, "got float"),
    ],
)
def test_loss_that_is_no_mean_is_named(loss, words):
    with pytest.raises(ValueError, match=f"^loss must give the {words}|^loss must .* {words}"):
        trained(loss=loss)


def test_loss_must_be_callable_and_smooths_by_itself():
    with pytest.raises(TypeError, match=r"^loss must be callable, got str"):
        trained(loss="mse")
    with pytest.raises(ValueError, match=r"^label_smoothing must be 0 with a loss of your own"):
        trained(TrainConfig(label_smoothing=0.1), loss=nn.CrossEntropyLoss())


# Labels that are shares of classes


def test_one_hot_shares_train_as_classes_do():
    one, history = trained(train=hard(), net=cnn(dropout=0))
    other, again = trained(train=soft(), net=cnn(dropout=0))
    assert again["train_accuracy"] == history["train_accuracy"]
    assert again["train_loss"] == pytest.approx(history["train_loss"], rel=1e-5)
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [3, 8, 22])  # 3 images, 3 classes: the shapes agree by chance
def test_accuracy_of_shares_is_a_share(size):
    net = cnn(seed=4)
    expected = evaluate(net, hard(size=size))
    found = evaluate(net, soft(size=size))
    assert found.accuracy == expected.accuracy
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.top5 is None


def test_shares_in_double_precision_are_taken():
    _, history = trained(train=soft(lambda labels: F.one_hot(labels, CLASSES).double()))
    assert len(history.epochs) == 2


def test_any_of_several_labels_is_right():
    scores = torch.tensor([[3.0, 1, 0], [0, 1, 3], [0, 5, 1], [1, 0, 0]])
    shares = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0.2, 0.5, 0.3], [0, 0, 0]])
    assert right_answers(scores, shares).tolist() == [True, False, True, False]


def test_several_labels_with_their_own_loss_and_metric():
    def recall(scores, labels):
        return ((scores > 0) & (labels > 0.5)).sum(1) / labels.sum(1)

    several = soft(lambda labels: (F.one_hot(labels, 3) + F.one_hot((labels + 1) % 3, 3)).float())
    net, history = trained(
        TrainConfig(epochs=3), train=several, validation=several, loss=nn.BCEWithLogitsLoss(),
        metrics={"recall": recall},
    )  # fmt: skip
    with torch.no_grad():
        scores = net.eval()(torch.cat([images for images, _ in several]))
    labels = torch.cat([labels for _, labels in several])
    assert history["validation_recall"][-1] == pytest.approx(recall(scores, labels).mean().item())
    loss = F.binary_cross_entropy_with_logits(scores, labels).item()
    assert history["validation_loss"][-1] == pytest.approx(loss, rel=1e-5)


# Metrics


def test_metrics_are_averages_over_samples():
    def per_sample(scores, labels):
        return scores[:, 0] + labels

    metrics = {"each": per_sample, "mean": lambda *pair: per_sample(*pair).mean()}
    net = cnn(seed=4)
    images, labels = task(10, seed=1)
    with torch.no_grad():
        expected = per_sample(net.eval()(images), labels).mean().item()
    found = evaluate(net, held_out(4), metrics=metrics).metrics  # batches of 4, 4 and 2
    assert found == {"each": pytest.approx(expected), "mean": pytest.approx(expected)}


def test_metric_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"^metrics\['odd'\] must give .*, got \(4, 3\)$"):
        evaluate(cnn(), held_out(), metrics={"odd": lambda scores, labels: scores})
    with pytest.raises(ValueError, match=r"^metrics\['odd'\] must give .*, got int$"):
        evaluate(cnn(), held_out(), metrics={"odd": lambda scores, labels: 1})


def test_metrics_need_validation():
    with pytest.raises(ValueError, match=r"^metrics needs validation batches, got None"):
        trained(validation=None, metrics={"one": right_answers})


# Optimiser and schedule


def test_same_optimizer_given_trains_the_same():
    net, twin = cnn(), cnn()
    config = TrainConfig(epochs=3, weight_decay=0.01, learning_rate=1.0)
    given = torch.optim.SGD(twin.parameters(), 1.0, momentum=0.9, weight_decay=0.01)
    _, history = trained(config, net)
    _, again = trained(config, twin, optimizer=given)
    assert bits(net) == bits(twin)
    assert rows(history) == rows(again)


@pytest.mark.parametrize("schedule", ["cosine", "step", "onecycle"])
def test_each_group_keeps_its_own_rate(schedule):
    net, seen = cnn(), []
    groups = [
        {"params": net[0].parameters(), "lr": 0.001},
        {"params": net[7].parameters(), "lr": 0.1},
    ]
    optimizer = torch.optim.AdamW(groups)
    optimizer.register_step_pre_hook(
        lambda one, *_: seen.append([group["lr"] for group in one.param_groups])
    )
    config = TrainConfig(epochs=2, schedule=schedule, learning_rate=7.0)
    before = bits(net)
    trained(config, net, optimizer=optimizer)
    courses = [
        TrainConfig(epochs=2, schedule=schedule, learning_rate=rate) for rate in (0.001, 0.1)
    ]
    for step, rates in enumerate(seen):
        assert rates == pytest.approx([learning_rate(one, step, 6) for one in courses])
    after = bits(net)
    changed = {name.split(".")[0] for name in after if after[name] != before[name]}
    assert changed == {"0", "1", "7"}  # 1: batch norm's statistics


def test_schedule_is_a_factor_on_the_rate():
    asked = []

    def halves(step, steps):
        asked.append((step, steps))
        return 0.5**step

    _, history = trained(TrainConfig(epochs=2, learning_rate=0.2), schedule=halves)
    assert asked == [(step, 6) for step in range(6)]
    assert history["learning_rate"] == [0.2 * 0.5**2, 0.2 * 0.5**5]


@pytest.mark.parametrize("factor", [-1, float("nan"), float("inf")])
def test_schedule_that_gives_no_rate_is_named(factor):
    with pytest.raises(
        ValueError, match=r"^schedule must give a finite factor .* for update 0 of 6"
    ):
        trained(schedule=lambda step, steps: factor)


def test_optimizer_of_another_model_is_refused():
    other = torch.optim.SGD(cnn().parameters(), 0.1)
    with pytest.raises(ValueError, match=r"^optimizer must be made of the model's .* got 8 of 8"):
        trained(optimizer=other)
    with pytest.raises(TypeError, match=r"^optimizer must be a torch optimiser, got str"):
        trained(optimizer="sgd")
    net = cnn()
    frozen = torch.optim.SGD(net.requires_grad_(False).parameters(), 0.1)
    with pytest.raises(ValueError, match=r"^optimizer has no parameter .* nothing to train"):
        trained(net=net, optimizer=frozen)


def begun(folder, **own):
    checkpoints = Checkpoints(folder)

    def fail(row):
        raise ZeroDivisionError

    net = cnn()
    with pytest.raises(ZeroDivisionError):
        trained(net=net, checkpoints=checkpoints, on_epoch=fail, **made(net, own))
    return checkpoints


def made(net, own):
    if "optimizer" in own:
        own = own | {"optimizer": own["optimizer"](net.parameters())}
    return own


def adam(rate):
    return lambda parameters: torch.optim.Adam(parameters, rate)


def course(step, steps):
    return 1 - step / steps


@pytest.mark.parametrize(
    "own", [{"optimizer": adam(0.01)}, {"schedule": course}, {"loss": nn.CrossEntropyLoss()}]
)
def test_run_with_parts_of_the_callers_goes_on_with_the_same_bits(tmp_path, own):
    net = cnn()
    whole, history = trained(net=net, **made(net, own))
    checkpoints = begun(tmp_path, **own)
    net = cnn(seed=9)
    resumed, again = trained(net=net, checkpoints=checkpoints, **made(net, own))
    assert bits(resumed) == bits(whole)
    assert rows(again) == rows(history)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({}, "optimizer was 'Adam', is None"),
        ({"optimizer": adam(0.02)}, r"rates was \[\[8, 0.01\]\], is \[\[8, 0.02\]\]"),
        ({"optimizer": adam(0.01), "schedule": course}, "schedule was None, is 'course'"),
        ({"optimizer": adam(0.01), "loss": nn.CrossEntropyLoss()}, "loss was None, is 'CrossEnt"),
    ],
)
def test_run_with_other_parts_is_refused(tmp_path, own, words):
    checkpoints = begun(tmp_path, optimizer=adam(0.01))
    net = cnn(seed=9)
    with pytest.raises(CheckpointError, match=f"run with other parts of your own: .*{words}"):
        trained(net=net, checkpoints=checkpoints, **made(net, own))


# Which weights are left


def test_best_weights_are_left_without_stopping():
    seen, net = [], cnn()
    config = TrainConfig(epochs=12, keep_best=True, learning_rate=1.5, momentum=0)
    _, history = trained(config, net, on_epoch=lambda _: seen.append(bits(net)))
    best = history["validation_loss"].index(min(history["validation_loss"]))
    assert len(history.epochs) == 12
    assert not history.stopped_early
    assert history.best_epoch == best + 1 < 12
    assert bits(net) == seen[best] != seen[-1]


def test_best_weights_survive_a_resume(tmp_path):
    config = TrainConfig(epochs=2, keep_best=True)
    whole, _ = trained(config)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(ZeroDivisionError):
        trained(config, checkpoints=checkpoints, on_epoch=lambda row: 1 / (row["epoch"] - 1))
    resumed, _ = trained(config, cnn(seed=9), checkpoints=checkpoints)
    assert bits(resumed) == bits(whole)
    with pytest.raises(ValueError, match=r"^keep_best needs validation batches, got None"):
        trained(config, validation=None)


def test_average_of_a_short_run_is_near_its_weights():
    """With a decay of 0.999 from the first step on it would be the weights of the beginning."""
    plain = TrainConfig(epochs=12, learning_rate=0.05)
    averaged = TrainConfig(epochs=12, learning_rate=0.05, ema_decay=0.999)
    train = Batches(*task(), BATCH, shuffle=True)
    accuracies = [
        trained(config, cnn(dropout=0), train=train, validation=batches(augmented=False))[1][
            "validation_accuracy"
        ][-1]
        for config in (plain, averaged)
    ]
    assert accuracies[0] > 0.9
    assert accuracies[1] > 0.9

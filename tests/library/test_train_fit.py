"""`fit` as a whole: what it reports, when it stops, which weights are left."""

import copy
import itertools
import math
import shutil
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from toy_training import BATCH, IMAGES, batches, bits, cnn, held_out, rows, task, trained

from resnet_lib.data import Batches
from resnet_lib.train import TrainConfig, evaluate, fit, learning_rate

COLUMNS = ["epoch", "steps", "learning_rate", "train_loss", "train_accuracy", "seconds"]
VALIDATION = ["validation_loss", "validation_accuracy"]


class Loader(list):
    """A list of batches that does not know about epochs."""


def pairs(count=IMAGES, size=BATCH, seed=0):
    images, labels = task(count, seed)
    return Loader(zip(images.split(size), labels.split(size), strict=True))


def test_history_has_a_row_for_each_epoch():
    config = TrainConfig(epochs=3, warmup_epochs=1)
    seen = []
    _, history = trained(config, on_epoch=lambda row: seen.append(dict(row)))
    assert [list(row) for row in history.epochs] == [COLUMNS + VALIDATION] * 3
    assert history["epoch"] == [1, 2, 3]
    assert history["steps"] == [3, 6, 9]
    assert history["learning_rate"] == [learning_rate(config, step, 9) for step in (2, 5, 8)]
    assert seen == history.epochs
    assert (history.stopped_early, history.best_epoch) == (False, None)


def test_without_validation_there_are_no_such_columns():
    _, history = trained(validation=None)
    assert [list(row) for row in history.epochs] == [COLUMNS] * 2


def test_training_columns_are_averages_over_samples():
    """Two epochs by hand: the last of the three batches is shorter and counts for less."""
    net = cnn(dropout=0)
    twin = copy.deepcopy(net)
    config = TrainConfig(epochs=2, schedule="constant", momentum=0, weight_decay=0)
    _, history = trained(config, net, train=pairs())
    optimizer, losses, accuracies = torch.optim.SGD(twin.train().parameters(), 0.1), [], []
    for _ in range(2):
        loss_sum = right = 0
        for images, labels in pairs():
            scores = twin(images)
            loss = F.cross_entropy(scores, labels)
            optimizer.zero_grad(), loss.backward(), optimizer.step()
            loss_sum += loss.item() * len(images)
            right += (scores.argmax(1) == labels).sum().item()
        losses.append(loss_sum / IMAGES), accuracies.append(right / IMAGES)
    assert bits(net) == bits(twin)
    assert history["train_loss"] == pytest.approx(losses, rel=1e-6)
    assert history["train_accuracy"] == accuracies


def test_training_loss_is_what_is_minimised():
    net = cnn(dropout=0, norm=False)
    twin = copy.deepcopy(net)
    config = TrainConfig(epochs=1, learning_rate=1e-12, label_smoothing=0.3)
    _, history = trained(config, net, train=pairs(), validation=pairs())
    with torch.no_grad():
        scores, labels = twin(task()[0]), task()[1]
    smoothed = F.cross_entropy(scores, labels, label_smoothing=0.3).item()
    assert history["train_loss"] == [pytest.approx(smoothed, rel=1e-6)]
    plain = F.cross_entropy(scores, labels).item()
    assert history["validation_loss"] == [pytest.approx(plain, rel=1e-6)]


def test_validation_columns_are_those_of_evaluate():
    net, history = trained()
    found = evaluate(net, held_out())
    assert history["validation_loss"][-1] == found.loss
    assert history["validation_accuracy"][-1] == found.accuracy


def test_network_learns_and_is_left_in_train_mode():
    config = TrainConfig(epochs=30, learning_rate=0.05)
    net, history = trained(config, cnn(dropout=0), train=batches(augmented=False))
    assert history["train_loss"][-1] < history["train_loss"][0] / 2
    assert history["validation_accuracy"][-1] == 1
    assert net.training


@pytest.mark.parametrize("settings", [{}, {"precision": "bf16"}, {"ema_decay": 0.9}], ids=str)
def test_same_seed_same_bits(settings):
    config = TrainConfig(epochs=2, **settings)
    (one, history), (other, again) = trained(config), trained(config)
    assert bits(one) == bits(other)
    assert rows(history) == rows(again)
    third, _ = trained(TrainConfig(epochs=2, seed=1, **settings))
    assert bits(third) != bits(one)


def test_what_on_epoch_does_to_random_numbers_does_not_matter():
    """A run that was killed never sees the callbacks before, and must end with the same bits."""
    quiet, _ = trained()
    drawing, _ = trained(on_epoch=lambda row: torch.rand(row["epoch"]))
    assert bits(quiet) == bits(drawing)


# Order and shape of the data


class Epochs:
    def __init__(self, source):
        self.source, self.seen = source, []

    def __iter__(self):
        return iter(self.source)

    def __len__(self):
        return len(self.source)

    def set_epoch(self, epoch):
        self.seen.append(epoch)


def test_set_epoch_of_the_loader_is_called():
    loader = Epochs(pairs())
    trained(TrainConfig(epochs=3), train=loader)
    assert loader.seen == [0, 1, 2]


def test_set_epoch_of_a_sampler_is_called():
    class Sampler(Epochs, RandomSampler):
        pass

    data = TensorDataset(*task())
    sampler = Sampler(range(IMAGES))
    trained(TrainConfig(epochs=3), train=DataLoader(data, BATCH, sampler=sampler))
    assert sampler.seen == [0, 1, 2]


def test_batches_shuffle_anew_each_epoch():
    seen = []

    class Looks(nn.Sequential):
        def forward(self, x):
            if self.training:
                seen.append(x.flatten(1).sum(1))
            return super().forward(x)

    trained(net=Looks(*cnn()), train=batches(augmented=False))
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)


@pytest.mark.parametrize("workers", [0, 1])
def test_data_loader_trains_as_batches_do(workers):
    images, labels = task()
    loader = DataLoader(TensorDataset(images, labels), BATCH, num_workers=workers)
    one, history = trained(net=cnn(dropout=0), train=loader)
    other, again = trained(net=cnn(dropout=0), train=Batches(images, labels, BATCH))
    assert bits(one) == bits(other)
    assert rows(history) == rows(again)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "onecycle"])
def test_shortest_trainings(schedule, steps):
    config = TrainConfig(epochs=steps, schedule=schedule)
    _, history = trained(config, train=pairs(8))
    assert history["steps"] == list(range(1, steps + 1))
    assert all(math.isfinite(loss) for loss in history["train_loss"])


def test_empty_training_set_is_an_error():
    with pytest.raises(ValueError, match="train must have at least one batch, got none"):
        fit(cnn(), [])


def test_training_set_without_a_length_is_an_error():
    for endless in (iter(pairs()), itertools.repeat(task())):
        with pytest.raises(TypeError, match=r"^train must have a length, .*, got \w+$"):
            fit(cnn(), endless)


def test_patience_needs_validation():
    with pytest.raises(ValueError, match="patience needs validation batches, got None"):
        fit(cnn(), batches(), config=TrainConfig(patience=1))


def test_synchronised_batch_norm_needs_gpus():
    with pytest.raises(ValueError, match=r"sync_batch_norm needs GPUs .*, got cpu"):
        trained(TrainConfig(sync_batch_norm=True))


def test_nothing_to_train_is_an_error():
    with pytest.raises(ValueError, match="nothing to train"):
        trained(net=cnn().requires_grad_(False))


# Early stopping and averaging


class Replays(nn.Module):
    """A network whose validation loss in each epoch is given: the score of the right class."""

    def __init__(self, losses):
        super().__init__()
        self.weight, self.losses = nn.Parameter(torch.zeros(1, 2)), losses
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, x):
        if self.training:
            return x.flatten(1)[:, :1] * self.weight
        self.epoch += 1
        loss = self.losses[int(self.epoch) - 1]
        score = -math.log(math.expm1(loss))  # log(1 + exp(-score)) is the loss
        return torch.tensor([[score, 0.0]]).expand(len(x), 2)


def replayed(losses, patience, epochs=None):
    net = Replays(losses)
    config = TrainConfig(epochs=epochs or len(losses), patience=patience)
    one = torch.ones(2, 1, 1, 1), torch.zeros(2, dtype=torch.int64)
    return net, fit(net, [one], [one], config, progress=False)


@pytest.mark.parametrize(
    ("losses", "patience", "ends", "best"),
    [
        ([0.5, 0.4, 0.3, 0.2], 1, 4, 4),
        ([0.5, 0.6, 0.1, 0.1], 1, 2, 1),
        ([0.5, 0.6, 0.4, 0.45, 0.45, 0.1], 2, 5, 3),
        ([0.5, 0.4, 0.4, 0.4, 0.1], 3, 5, 5),  # a tie is no better, and one epoch more is left
        ([0.5, 0.4, 0.4, 0.1], 1, 3, 2),  # of equal ones the first is the best
        ([0.5, 0.6, 0.6], 2, 3, 1),
        ([0.5, 0.6, 0.6], 3, 3, 1),
        ([0.5], 1, 1, 1),
    ],
)
def test_patience_runs_out(losses, patience, ends, best):
    net, history = replayed(losses, patience)
    assert history["validation_loss"] == pytest.approx(losses[:ends], rel=1e-5)
    assert history.best_epoch == best
    assert int(net.epoch) == best  # its weights are back
    patience_ran_out = ends - best >= patience
    assert history.stopped_early == patience_ran_out


def test_best_weights_are_those_of_that_epoch():
    seen = []
    net = cnn()
    config = TrainConfig(epochs=12, patience=3, learning_rate=1.5, momentum=0)
    _, history = trained(config, net, on_epoch=lambda _: seen.append(bits(net)))
    best = history["validation_loss"].index(min(history["validation_loss"]))
    assert history.best_epoch == best + 1 < len(history.epochs)
    assert bits(net) == seen[best] != seen[-1]
    assert evaluate(net, held_out()).loss == min(history["validation_loss"])


def test_average_is_validated_and_kept():
    """Each epoch's average by hand, from the weights after every update."""
    net, mean, seen, updates = cnn(dropout=0), [], [], []
    config = TrainConfig(epochs=3, ema_decay=0.8)

    class Looks:  # no list: a list's labels are looked at before the training, too
        def __len__(self):
            return len(pairs())

        def __iter__(self):
            for pair in pairs():
                yield pair
                look()

    def look():
        now = {k: v.clone().double() for k, v in net.state_dict().items() if v.is_floating_point()}
        updates.append(1)
        decay = min(0.8, len(updates) / (9 + len(updates)))
        mean[:] = [{k: decay * mean[0][k] + (1 - decay) * now[k] for k in now} if mean else now]

    def judge(row):
        twin = cnn(dropout=0)
        twin.load_state_dict(mean[0], strict=False)
        seen.append(evaluate(twin, held_out()).loss)

    _, history = trained(config, net, train=Looks(), on_epoch=judge)
    assert history["validation_loss"] == pytest.approx(seen, rel=1e-5)
    for name, value in mean[0].items():
        torch.testing.assert_close(net.state_dict()[name].double(), value, rtol=1e-5, atol=1e-6)
    assert history["validation_loss"][-1] == evaluate(net, held_out()).loss


def test_best_average_is_kept():
    config = TrainConfig(epochs=15, ema_decay=0.5, patience=2, learning_rate=1.5, momentum=0)
    net, history = trained(config)
    assert history.stopped_early
    assert evaluate(net, held_out()).loss == min(history["validation_loss"])


# What else is asked for


def test_progress_off_leaves_nothing_on_stderr(capfd):
    trained(progress=False)
    assert capfd.readouterr() == ("", "")


def test_progress_shows_each_epoch_in_a_terminal(capfd, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    trained(progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "epoch 1/2" in shown.err
    assert "epoch 2/2" in shown.err


def test_progress_stays_out_of_log_files(capfd, monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # a plugin of pytest loads it
    trained(progress=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("deterministic", [True, False])
def test_cudnn_is_set_for_the_run_alone(deterministic):
    flags, seen = torch.backends.cudnn, []
    before = flags.benchmark, flags.deterministic
    config = TrainConfig(epochs=1, deterministic=deterministic)
    trained(config, on_epoch=lambda _: seen.append((flags.benchmark, flags.deterministic)))
    assert seen == [(not deterministic, deterministic)]
    assert (flags.benchmark, flags.deterministic) == before


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no compiler")
class OneLayer(nn.Module):
    """A module of its own: torch 2.6 leaves a bare nn.Sequential uncompiled."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 3)

    def forward(self, x):
        return self.fc(x.flatten(1))


def test_compiled_network_learns_the_same():
    net, twin = OneLayer(), OneLayer()
    twin.load_state_dict(net.state_dict())
    options = {"train": batches(size=11), "validation": None}
    _, history = trained(TrainConfig(epochs=2, compile=True), net, **options)
    _, expected = trained(TrainConfig(epochs=2), twin, **options)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert history["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)
    assert list(net.state_dict()) == list(twin.state_dict())
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_channels_last_is_the_weights_layout():
    net, _ = trained(TrainConfig(epochs=1, channels_last=True))
    assert net[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert not net[3].weight.is_contiguous()

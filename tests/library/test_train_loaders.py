"""What `fit` and `evaluate` say of loaders, batches and labels, before work is lost to them."""

import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from toy_training import CLASSES, batches, bits, cnn, held_out, task, trained

from resnet_lib.data import Batches
from resnet_lib.train import Checkpoints, TrainConfig, evaluate

# The form of a batch


def dictionaries():
    images, labels = task()
    return [{"image": images, "label": labels}]


def parts(*more):
    return [(*task(), *more)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dictionaries(), "a dict with 'image', 'label'"),
        (parts(["a.png"]), r"3 parts: tensor \(22, 1, 6, 6\), tensor \(22,\), list"),
        (parts(torch.ones(22)), r"3 parts: .*, tensor \(22,\)"),
        ([task()[0]], r"tensor \(22, 1, 6, 6\)"),
        ([(task()[0], task()[1].tolist())], r"2 parts: tensor \(22, 1, 6, 6\), list"),
        (["images"], "str"),
    ],
)
def test_batch_of_another_form_is_named(given, words):
    match = rf"^a batch must be \(images, labels\), two tensors, got {words}\. Let the loader's"
    for call in (lambda: trained(train=given), lambda: evaluate(cnn(), given)):
        with pytest.raises(TypeError, match=match):
            call()


@pytest.mark.parametrize(
    "labels",
    [
        task()[1].int(),
        task()[1].float(),
        task()[1][:, None],
        torch.nn.functional.one_hot(task()[1]),
    ],
    ids=lambda one: f"{one.dtype} {tuple(one.shape)}",
)
def test_labels_of_another_form_are_named(labels):
    given = [(task()[0], labels)]
    match = rf"^labels must be classes, torch.int64 .* got {labels.dtype} \({len(labels)},"
    for call in (lambda: trained(train=given), lambda: evaluate(cnn(), given)):
        with pytest.raises(ValueError, match=match):
            call()


def test_labels_of_another_number_are_named():
    images, labels = task()
    with pytest.raises(ValueError, match="images and labels must be equally many, got 22 and 21"):
        trained(train=[(images, labels[1:])])


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (nn.Conv2d(1, 3, 3), ValueError, r"scores \(N, K\) for 22 images, got \(22, 3, 4, 4\)"),
        (nn.Sequential(cnn(), nn.Flatten(0)), ValueError, r"for 22 images, got \(66,\)"),
    ],
)
def test_scores_of_another_form_are_named(model, error, words):
    for call in (lambda: trained(net=model, train=parts()), lambda: evaluate(model, parts())):
        with pytest.raises(error, match=f"^model must give .*{words}"):
            call()


def test_several_outputs_are_named():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = cnn()

        def forward(self, x):
            return self.inner(x), x

    with pytest.raises(
        TypeError, match=r"^model must give scores \(N, K\) as one tensor, got tuple"
    ):
        evaluate(Two(), parts())


# Labels out of range


def with_label(value, place):
    images, labels = task()
    labels = labels.clone()
    labels[place] = value
    return images, labels


def test_label_that_other_losses_pass_over_is_named():
    images, labels = with_label(-100, 21)
    given = list(zip(images.split(8), labels.split(8), strict=True))
    with pytest.raises(ValueError, match=r"^labels must be classes 0 to 2, .* got -100$"):
        evaluate(cnn(), given)


@pytest.mark.parametrize("value", [CLASSES, 7])
@pytest.mark.parametrize("place", [0, 21])  # in the first batch, in the last
@pytest.mark.parametrize("listed", [True, False])
def test_label_out_of_range_is_named(value, place, listed):
    images, labels = with_label(value, place)
    given = Batches(images, labels, 8)
    given = given if listed else list(given)
    said = rf"^labels must be classes 0 to 2, as the model gives 3 scores, got {value}$"
    net = cnn()
    before = bits(net)
    with pytest.raises(ValueError, match=said):
        trained(net=net, train=given)
    if listed:  # the loader has all labels, so the last one is seen before the first update
        after = bits(net)
        weights = [name for name, _ in net.named_parameters()]
        assert all(after[name] == before[name] for name in weights)
    with pytest.raises(ValueError, match=said):
        evaluate(cnn(), given)


def test_a_negative_label_is_named():
    images, labels = with_label(-1, 0)
    given = [(images, labels)]  # `Batches` would refuse it
    for judge in (lambda: trained(train=given), lambda: evaluate(cnn(), given)):
        with pytest.raises(ValueError, match=r"^labels must be classes 0 to 2, .*, got -1$"):
            judge()


def test_labels_counted_from_one_are_told_so():
    images, labels = task()
    with pytest.raises(ValueError, match=r"got 3; they seem to be counted from 1: subtract 1$"):
        trained(train=Batches(images, labels + 1, 8, shuffle=True))


def test_shares_of_another_number_of_classes_are_named():
    shares = torch.full((22, 4), 0.25)
    with pytest.raises(
        ValueError, match=r"shares of the model's 3 classes \(N, 3\), got \(22, 4\)"
    ):
        evaluate(cnn(), [(task()[0], shares)])


# A last part of one image


def pooled():
    """Batch norm behind global pooling has one value per channel and image."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4, CLASSES))


def of(count, size, kind):
    images, labels = task(count)
    if kind == "Batches":
        return Batches(images, labels, size, shuffle=True)
    if kind == "list":
        return list(zip(images.split(size), labels.split(size), strict=True))
    return DataLoader(TensorDataset(images, labels), size, shuffle=True)


@pytest.mark.parametrize("kind", ["Batches", "list", "DataLoader"])
@pytest.mark.parametrize(("count", "size", "micro"), [(17, 8, 1), (16, 4, 4), (9, 9, 5), (3, 1, 1)])
def test_last_part_of_one_image_is_refused_before_any_work(tmp_path, kind, count, size, micro):
    net = pooled()
    before = bits(net)
    config = TrainConfig(epochs=1, micro_batches=micro)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(ValueError, match=r"^train must leave no part of 1 image, .*drop_last=True"):
        trained(config, net, train=of(count, size, kind), checkpoints=checkpoints)
    assert bits(net) == before
    assert checkpoints.paths() == []


@pytest.mark.parametrize("kind", ["Batches", "list", "DataLoader"])
def test_part_of_one_image_is_taken_where_the_network_takes_it(kind):
    train = of(17, 8, kind)
    for net in (cnn(), cnn(norm=False), pooled()):
        if net[-1].in_features == 4:
            net[2].eval()
        before = bits(net)
        torch.manual_seed(1)
        one, _ = trained(net=net, train=train)
        assert bits(one) != before


def test_the_look_at_one_image_changes_nothing():
    images, labels = task(17)
    with_rest = DataLoader(TensorDataset(images, labels), 8, shuffle=True)
    one, _ = trained(train=with_rest)
    hidden = Hidden(with_rest)
    other, _ = trained(train=hidden)
    assert bits(one) == bits(other)


class Hidden:
    """A loader whose batch size cannot be told."""

    def __init__(self, loader):
        self.inner = loader

    def __iter__(self):
        return iter(self.inner)

    def __len__(self):
        return len(self.inner)


def test_left_out_last_batch_is_no_fault():
    images, labels = task(17)
    loader = DataLoader(TensorDataset(images, labels), 8, shuffle=True, drop_last=True)
    _, history = trained(net=pooled(), train=loader)
    assert history["steps"] == [2, 4]


# The order of the classes


def sorted_task(count=48):
    images, labels = task(count)
    order = labels.argsort(stable=True)
    return images[order], labels[order]


@pytest.mark.parametrize("size", [4, 16, 48])
@pytest.mark.parametrize("kind", ["Batches", "DataLoader", "shares"])
def test_classes_one_after_the_other_are_said_once(size, kind):
    images, labels = sorted_task()
    if kind == "shares":
        labels = nn.functional.one_hot(labels).float()
    set_ = TensorDataset(images, labels)
    train = Batches(images, labels, size) if kind == "Batches" else DataLoader(set_, size)
    with pytest.warns(UserWarning, match="^train gives its samples class by class") as caught:
        trained(TrainConfig(epochs=3, learning_rate=0.01), train=train)
    assert len(caught) == 1


def test_shuffled_and_mixed_classes_are_not_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(train=Batches(*sorted_task(), 4, shuffle=True))
        trained(train=Batches(*task(48), 4))
        trained(train=Batches(*task(2), 1))
        images, labels = task(48)
        trained(train=Batches(images, labels * 0, 4))


def test_random_numbers_of_lasting_workers_are_said(tmp_path):
    train = DataLoader(TensorDataset(*task()), 8, num_workers=1, persistent_workers=True)
    with pytest.warns(UserWarning, match="persistent_workers=True: .* not in the checkpoints"):
        trained(TrainConfig(epochs=1), train=train, checkpoints=Checkpoints(tmp_path))


def test_usual_training_says_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(train=batches(), validation=held_out(), checkpoints=Checkpoints(tmp_path))

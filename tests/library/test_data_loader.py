"""Batches: each image once and with its label, in a fixed order, shared fairly."""

import random
import re
from fractions import Fraction
from itertools import chain

import numpy as np
import pytest
import refusals
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resnet_lib.data import Batches, Normalize, RandomFlip
from resnet_lib.data import loader as loader_module

counts = st.integers(1, 60)


def numbered(n):
    """Images that show their own number, which is their label."""
    labels = torch.arange(n)
    return labels.to(torch.float32).view(n, 1, 1, 1).expand(n, 1, 2, 2).clone(), labels


def batches(n, batch_size, **options):
    return Batches(*numbered(n), batch_size, **options)


def seen(loader):
    """Numbers of the images in each batch."""
    return [labels.tolist() for _, labels in loader]


def shares(n, batch_size, world, **options):
    return [batches(n, batch_size, share=(rank, world), **options) for rank in range(world)]


def flat(lists):
    return list(chain.from_iterable(lists))


# One process


@given(n=counts, batch_size=counts, shuffle=st.booleans(), epoch=st.integers(0, 2**40))
@settings(deadline=None, max_examples=60)
def test_every_image_comes_once_with_its_label(n, batch_size, shuffle, epoch):
    loader = batches(n, batch_size, shuffle=shuffle)
    loader.set_epoch(epoch)
    found = list(loader)
    for images, labels in found:
        assert images.shape == (len(labels), 1, 2, 2)
        assert torch.equal(images, labels.view(-1, 1, 1, 1).expand_as(images).float())
    sizes = [len(labels) for _, labels in found]
    assert sizes == [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)
    assert len(loader) == len(found)
    assert loader.samples == n
    order = torch.cat([labels for _, labels in found]).tolist()
    assert sorted(order) == list(range(n))
    assert shuffle or order == list(range(n))


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch, batch_size=7):
        loader = batches(50, batch_size, shuffle=True, seed=seed)
        loader.set_epoch(epoch)
        return flat(seen(loader))

    orders = {(seed, epoch): order(seed, epoch) for seed in range(4) for epoch in range(4)}
    orders |= {(2**32 - 1, 0): order(2**32 - 1, 0), (0, 2**32): order(0, 2**32)}
    assert len(set(map(tuple, orders.values()))) == len(orders)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert orders[2, 3] == order(2, 3) == order(2, 3, batch_size=50)


def test_order_stays_until_an_epoch_is_set():
    loader = batches(20, 6, shuffle=True)
    first = seen(loader)
    assert seen(loader) == first
    loader.set_epoch(1)
    second = seen(loader)
    assert second != first
    assert seen(loader) == second
    loader.set_epoch(0)
    assert seen(loader) == first


def test_an_epoch_that_runs_keeps_its_order():
    loader = batches(20, 6, shuffle=True)
    whole, running = seen(loader), iter(loader)
    found = [next(running)[1].tolist()]
    loader.set_epoch(3)
    assert found + [labels.tolist() for _, labels in running] == whole


def test_every_place_in_the_order_can_hold_every_image():
    loader = batches(5, 5, shuffle=True)
    places = torch.zeros(5, 5)
    for epoch in range(2000):
        loader.set_epoch(epoch)
        places[torch.arange(5), torch.tensor(seen(loader)[0])] += 1
    assert (places / 2000 - 0.2).abs().max() < 0.045  # five standard deviations


def test_global_random_numbers_are_left_alone():
    def state():
        return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()

    before = state()
    seen(batches(20, 6, shuffle=True))
    assert state() == before


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_copies(shuffle):
    loader = batches(10, 4, shuffle=shuffle)
    for images, labels in loader:
        images.zero_()
        labels.zero_()
    assert torch.equal(loader.images, numbered(10)[0])
    assert torch.equal(loader.labels, numbered(10)[1])


def test_images_lie_on_the_device_once():
    images, labels = numbered(6)
    here = Batches(images, labels, 4)
    assert here.device == torch.device("cpu")
    assert here.images.data_ptr() == images.data_ptr()
    transform = nn.Sequential(RandomFlip(), Normalize([0.5], [0.5]))
    there = Batches(images, labels, 4, shuffle=True, transform=transform, device="meta")
    assert there.device == there.images.device == there.labels.device == torch.device("meta")
    assert transform[1].scale.device == torch.device("meta")
    found = [(tuple(x.shape), x.device.type, y.device.type) for x, y in there]
    assert found == [((4, 1, 2, 2), "meta", "meta"), ((2, 1, 2, 2), "meta", "meta")]


def test_images_too_large_for_the_device_go_over_batch_by_batch(monkeypatch):
    monkeypatch.setattr(loader_module, "_fits", lambda images, device: False)
    images, labels = numbered(6)
    there = Batches(images, labels, 4, shuffle=True, device="meta")
    assert there.images.data_ptr() == images.data_ptr()
    assert there.device == torch.device("meta")
    found = [(tuple(x.shape), x.device.type, y.device.type) for x, y in there]
    assert found == [((4, 1, 2, 2), "meta", "meta"), ((2, 1, 2, 2), "meta", "meta")]


@pytest.mark.parametrize(("free", "fits"), [(96, True), (95, False)])
def test_half_of_a_gpus_free_memory_is_for_images(monkeypatch, free, fits):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1000))
    images = torch.zeros(3, 1, 2, 2)  # 48 bytes
    assert loader_module._fits(images, torch.device("cuda")) is fits
    assert loader_module._fits(images, torch.device("cpu"))


# The transform


class Spy(nn.Module):
    """Notes how it was called."""

    def __init__(self, fails=False):
        super().__init__()
        self.inner = nn.Dropout()
        self.calls, self.fails = [], fails

    def forward(self, images):
        modes = self.training, self.inner.training
        self.calls.append((len(images), *modes, torch.is_grad_enabled()))
        if self.fails:
            raise RuntimeError("cannot")
        return images + 1


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_transform_runs_on_whole_batches_in_the_loaders_mode(shuffle, own, inner):
    spy = Spy().train(own)
    spy.inner.train(inner)
    loader = batches(10, 4, shuffle=shuffle, transform=spy)
    for images, labels in loader:
        assert torch.equal(images, labels.view(-1, 1, 1, 1) + torch.ones_like(images))
        assert (spy.training, spy.inner.training) == (own, inner)
        assert torch.is_grad_enabled()
    assert spy.calls == [(n, shuffle, shuffle, False) for n in (4, 4, 2)]


@pytest.mark.parametrize("shuffle", [True, False])
def test_mode_is_put_back_after_an_error(shuffle):
    spy = Spy(fails=True).train(not shuffle)
    with pytest.raises(RuntimeError, match="cannot"):
        seen(batches(4, 2, shuffle=shuffle, transform=spy))
    assert spy.training is spy.inner.training is not shuffle


def test_one_transform_serves_training_and_evaluation():
    images = torch.arange(200.0).view(50, 1, 1, 4)
    transform = RandomFlip()
    train, test = (
        torch.cat([x for x, _ in Batches(images, torch.arange(50), 50, transform=transform, **o)])
        for o in ({"shuffle": True}, {})
    )
    assert torch.equal(test, images)
    assert {bool(row[0, 0, 0] < row[0, 0, 3]) for row in train} == {True, False}


def test_any_callable_is_a_transform_without_gradients():
    grad = []

    def transform(images):
        grad.append(torch.is_grad_enabled())
        return images * 2

    for images, labels in batches(5, 3, transform=transform):
        assert torch.equal(images[:, 0, 0, 0], 2.0 * labels)
    assert grad == [False, False]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("augment", [True, False, None])
def test_augmentation_may_be_chosen_apart_from_the_order(shuffle, augment):
    spy = Spy()
    loader = batches(4, 4, shuffle=shuffle, transform=spy, augment=augment)
    seen(loader)
    mode = shuffle if augment is None else augment
    assert spy.calls == [(4, mode, mode, False)]
    assert f"transform in {'train' if mode else 'eval'} mode" in repr(loader)


def test_repr_says_what_comes():
    assert repr(batches(10, 4)) == (
        "Batches(10 images of 1 × 2 × 2 in 3 batches of 4, in their order, cpu)"
    )
    words = repr(batches(10, 4, shuffle=True, transform=lambda x: x, share=(1, 2), drop_last=True))
    assert words == (
        "Batches(4 images of 1 × 2 × 2 in 2 batches of 4, shuffled, share 1 of 2, cpu)"
    )


# Labels of other kinds


def test_soft_labels_stay_with_their_images():
    images, labels = numbered(10)
    soft = torch.eye(10)[labels]
    found = list(Batches(images, soft, 4, shuffle=True))
    assert [tuple(y.shape) for _, y in found] == [(4, 10), (4, 10), (2, 10)]
    for x, y in found:
        assert torch.equal(y.argmax(1), x[:, 0, 0, 0].long())


# Smaller last batches


@given(n=counts, batch_size=counts, shuffle=st.booleans(), world=st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_all_batches_are_equal_without_the_last(n, batch_size, shuffle, world):
    batch_size *= world
    if n < batch_size or (not shuffle and n // world < batch_size // world):
        return
    for rank in range(world):
        options = {"shuffle": shuffle, "share": (rank, world)}
        every, whole = (
            batches(n, batch_size, **options),
            batches(n, batch_size, drop_last=True, **options),
        )
        size = batch_size // world
        assert seen(whole) == [batch for batch in seen(every) if len(batch) == size]
        assert whole.samples == len(whole) * size
        if shuffle:
            assert len(whole) == n // batch_size


# Many processes


@given(n=counts, per_process=st.integers(1, 12), world=st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_training_is_shared_equally(n, per_process, world):
    if n < world:
        return
    batch_size = per_process * world
    loaders = shares(n, batch_size, world, shuffle=True, seed=3)
    alone = seen(batches(n, batch_size, shuffle=True, seed=3))
    parts = [seen(loader) for loader in loaders]
    assert len({tuple(map(len, part)) for part in parts}) == 1, "unequal numbers of equal steps"
    assert all(parts[0]), "a step without images"
    assert {(len(loader), loader.samples) for loader in loaders} == {
        (len(parts[0]), sum(map(len, parts[0])))
    }
    together = [flat(step) for step in zip(*parts, strict=True)]
    left_out = n - sum(map(len, together))
    assert left_out == n % batch_size % world < world
    # Together the processes take the batches that one would take alone.
    assert flat(together) == flat(alone)[: n - left_out]
    assert all(step == whole[: len(step)] for step, whole in zip(together, alone, strict=False))


@given(n=counts, batch_size=counts, world=st.integers(1, 70))
@settings(deadline=None, max_examples=60)
def test_evaluation_loses_no_image_and_counts_none_twice(n, batch_size, world):
    loaders = shares(n, batch_size, world)
    parts = [seen(loader) for loader in loaders]
    assert flat(flat(parts)) == list(range(n))
    sizes = [sum(map(len, part)) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [loader.samples for loader in loaders]
    assert [len(part) for part in parts] == [len(loader) for loader in loaders]
    most = max(1, Fraction(batch_size, world))
    assert all(0 < len(step) <= most for part in parts for step in part)


def test_those_who_sit_out_change():
    left_out = set()
    for epoch in range(40):
        loaders = shares(7, 4, 2, shuffle=True)
        for loader in loaders:
            loader.set_epoch(epoch)
        left_out |= set(range(7)) - set(flat(flat(map(seen, loaders))))
    assert left_out == set(range(7))


# The door


def refused(error, message, *, images=None, labels=None, batch_size=4, **options):
    own_images, own_labels = numbered(10)
    images, labels = (
        own if given is None else given
        for own, given in ((own_images, images), (own_labels, labels))
    )
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        Batches(images, labels, batch_size, **options)


@pytest.mark.parametrize("size", [0, -1, 2.0, "4", None, True])
def test_wrong_batch_size(size):
    refused(
        refusals.for_whole(size),
        f"batch_size must be a whole number of at least 1, got {size!r}",
        batch_size=size,
    )


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None])
def test_wrong_seed(seed):
    message = f"seed must be a whole number from 0 to {2**32 - 1}"
    refused(refusals.for_whole(seed), message, seed=seed)


@pytest.mark.parametrize("epoch", [-1, 0.5, None, True])
def test_wrong_epoch(epoch):
    loader = batches(4, 2, shuffle=True)
    error = refusals.for_whole(epoch)
    with pytest.raises(error, match=r"^epoch must be a whole number of at least 0, got"):
        loader.set_epoch(epoch)
    assert loader.epoch == 0


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((10, 1, 2, 2)), TypeError, "images must be a tensor (N, C, H, W), got ndarray"),
        (torch.zeros(10, 4), ValueError, "images must have four dimensions (N, C, H, W), none 0"),
        (
            torch.zeros(0, 1, 2, 2),
            ValueError,
            "images must have four dimensions (N, C, H, W), none 0",
        ),
        (
            torch.zeros(10, 1, 0, 2),
            ValueError,
            "images must have four dimensions (N, C, H, W), none 0",
        ),
        (torch.zeros(10, 1, 2, 2).long(), ValueError, "images must be uint8 or floating point"),
        (torch.zeros(9, 1, 2, 2), ValueError, "images and labels must be equally many, got 9 and"),
    ],
)
def test_wrong_images(images, error, message):
    refused(error, message, images=images)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (list(range(10)), TypeError, "labels must be a tensor (N,), got list"),
        (torch.arange(10).int(), ValueError, "labels must be classes, torch.int64 of sh"),
        (torch.zeros(10, 3).long(), ValueError, "labels must be classes, torch.int64 of sh"),
        (torch.zeros(10), ValueError, "labels must be classes, torch.int64 of sh"),
        (torch.zeros(10, 3, 2), ValueError, "labels must be classes, torch.int64 of sh"),
        (torch.zeros(9, 3), ValueError, "images and labels must be equally many, got 10 and 9"),
        (torch.full((10, 3), torch.nan), ValueError, "labels must be finite, got NaN or inf"),
        (torch.arange(10) - 1, ValueError, "labels must be classes from 0 on, got -1"),
        (torch.arange(10) - 100, ValueError, "labels must be classes from 0 on, got -100"),
        (torch.arange(11), ValueError, "images and labels must be equally many, got 10 and 11"),
    ],
)
def test_wrong_labels(labels, error, message):
    refused(error, message, labels=labels)


wrong_shares = [(1, 1), (-1, 2), (0, 0), (0,), (0, 1, 2), 0, None, (0.0, 1), (False, True), "01"]


@pytest.mark.parametrize("share", wrong_shares)
def test_wrong_share(share):
    message = "share must be (rank, processes) with 0 <= rank < processes, got "
    refused(ValueError, message + repr(share), share=share)


def test_what_cannot_be_shared():
    message = "batch_size must be a multiple of the 3 processes that share it, got 4"
    refused(ValueError, message, shuffle=True, share=(0, 3))
    message = "batch_size must be a multiple of the 8 processes that share it, got 4"
    refused(ValueError, message, shuffle=True, share=(0, 8))
    message = "images must be at least one per process (12), got 10"
    refused(ValueError, message, shuffle=True, share=(0, 12), batch_size=24)


def test_other_wrong_arguments():
    refused(ValueError, "shuffle must be one of True, False, got 1", shuffle=1)
    refused(ValueError, "drop_last must be one of True, False, got None", drop_last=None)
    refused(ValueError, "augment must be one of True, False, None, got 1", augment=1)
    message = "drop_last leaves nothing of 10 images in batches of 12"
    refused(ValueError, message, drop_last=True, batch_size=12)
    refused(TypeError, "transform must be callable, got str", transform="flip")
    refused(ValueError, "device 'warp' cannot be used: ", device="warp")
    refused(ValueError, "device 'cuda:77' cannot be used: ", device="cuda:77")

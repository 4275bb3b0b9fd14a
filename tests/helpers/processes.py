"""What test_train_processes.py has two real processes do.

    python -m torch.distributed.run --standalone --nproc-per-node=2 processes.py SCENE FOLDER

Each process writes what it found to FOLDER/found-RANK.pt. The builders are here for the tests too,
which do the same with one process and compare.
"""

import os
import signal
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import nn

from resnet_lib import data, nets, train
from resnet_lib.train import Checkpoints, TrainConfig, TrainState, World

CONFIG = TrainConfig(epochs=3, learning_rate=0.05, seed=1)
ODD_SIZES = (1, 2, 3, 50, 101)
IMAGES, VALIDATION = 100, 51  # with batches of 32, the last one holds 4
CPU = torch.device("cpu")


def network(kind="batch norm", seed=0):
    torch.manual_seed(seed)
    net = nets.CifarResNet(8, in_channels=1)
    if kind == "no norm":
        for module in list(net.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
    if kind == "frozen norm":
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return net


def one_batch(count=32):
    digits = data.digits()
    return digits.normalize(digits.train_images[:count]), digits.train_labels[:count]


def update(kind, world, micro_batches=1, count=32, clip_norm=None):
    """One update with this process's part of a batch: gradient, buffers and weights after it."""
    options = {"micro_batches": micro_batches, "clip_norm": clip_norm}
    config = TrainConfig(epochs=1, learning_rate=0.1, momentum=0, weight_decay=0, **options)
    state = TrainState(network(kind, seed=world.rank), config, world)  # as different as they come
    state.model.train(kind != "frozen norm")
    images, labels = (part.chunk(world.size)[world.rank] for part in one_batch(count))
    train.training_step(state, images, labels)
    return {
        "gradient": torch.cat([p.grad.flatten() for p in state.model.parameters()]),
        "buffers": {name: b.clone() for name, b in state.model.named_buffers()},
        "weights": weights_of(state.model),
    }


def weights_of(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def loaders(world, kind=data.Batches, images=IMAGES):
    digits, share = data.digits(), (world.rank, world.size)
    last = slice(-VALIDATION, None)
    return (
        kind(
            digits.train_images[:images],
            digits.train_labels[:images],
            32,
            shuffle=True,
            transform=torch.nn.Sequential(data.RandomCrop(1), digits.normalize),
            share=share,
        ),
        data.Batches(
            digits.normalize(digits.test_images[last]), digits.test_labels[last], 32, share=share
        ),
    )


def run(world, folder, config=CONFIG, kind=data.Batches):
    """A whole training; weights, buffers and history at its end."""
    net = network()
    batches, validation = loaders(world, kind)
    # A folder for each process shows which of them writes.
    checkpoints = Checkpoints(folder / f"rank-{world.rank}", every=2)
    history = train.fit(
        net, batches, validation, config, checkpoints=checkpoints, world=world, progress=False
    )
    state = net.state_dict()
    return {"net": state, "history": vars(history), "after": evaluation(net, VALIDATION, world)}


def evaluation(net, count, world):
    digits, share = data.digits(), (world.rank, world.size)
    images, labels = digits.normalize(digits.test_images[:count]), digits.test_labels[:count]
    found = train.evaluate(net, data.Batches(images, labels, 16, share=share), world=world)
    return [found.loss, found.accuracy, found.samples]


# The scenes


def together(world, folder):
    """All that needs no accident."""
    found = {"world": methods(world)}
    for kind in ("no norm", "frozen norm", "batch norm"):
        found[kind] = update(kind, world)
    found["clipped"] = update("no norm", world, clip_norm=0.01)
    found["parts"] = update("no norm", world, micro_batches=4)
    found["odd parts"] = update("no norm", world, micro_batches=4, count=20)  # of 3, 3, 3 and 1
    found["labels"] = seen(world)
    net = network("frozen norm")
    found["evaluation"] = {n: evaluation(net, n, world) for n in ODD_SIZES}
    found["run"] = run(world, folder / "whole")
    found["average"] = run(world, folder / "average", TrainConfig(epochs=2, ema_decay=0.5))
    found["patience"] = run(world, folder / "patience", TrainConfig(epochs=30, patience=1))
    found["refused"] = refusal(world)
    found["not finite"] = with_nan(world)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found["gone on"] = run(world, folder / "alone", TrainConfig(epochs=4))
    found["warnings"] = [str(one.message) for one in caught]
    return found


def methods(world):
    net = nn.BatchNorm1d(2)
    net.running_mean += world.rank + 3
    net.num_batches_tracked += world.rank + 5
    world.equalise_buffers(net)
    total = torch.tensor([1.5, world.rank], dtype=torch.float64)
    same = world.sum(total) is total
    other = network("no norm", seed=world.rank)
    wrapped = world.wrap(other)
    return {
        "who": [world.rank, world.size, world.is_main, str(world.device)],
        "sum": total,
        "sum is in place": same,
        "any": [world.any(world.rank in ranks) for ranks in ((), (0,), (1,), (0, 1))],
        "share": world.share({"from": world.rank, "tensor": torch.arange(2) + world.rank}),
        "gather": world.gather([world.rank, str(world.rank)]),
        "buffers": {name: buffer.clone() for name, buffer in net.named_buffers()},
        "wrapped": type(wrapped).__name__,
        "wraps it": wrapped.module is other,
        "weights": weights_of(other),
    }


def seen(world):
    """The numbers of the images of each batch of this process, two epochs of training."""
    images = torch.zeros(IMAGES, 1, 2, 2)
    share = (world.rank, world.size)
    batches = data.Batches(images, torch.arange(IMAGES), 32, shuffle=True, share=share)
    epochs = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        epochs.append([labels.tolist() for _, labels in batches])
    return epochs


def refusal(world):
    try:
        TrainState(network(), TrainConfig(sync_batch_norm=True), world)
    except ValueError as error:
        return str(error)
    return None


def with_nan(world):
    """What a training says in which one batch of process 1 alone holds a NaN."""
    images, labels = (part.clone() for part in one_batch(64))
    if world.rank == 1:
        images[:] = torch.nan
    batches = data.Batches(images, labels, 32, shuffle=True, share=(world.rank, world.size))
    try:
        train.fit(network(), batches, None, CONFIG, world=world, progress=False)
    except train.NonFiniteLoss as error:
        return str(error)
    return None


class KilledAtNine(data.Batches):
    """Process 1 is killed before its ninth batch: in the third epoch of three, at step 8."""

    def __iter__(self):
        for number, batch in enumerate(super().__iter__(), start=self.epoch * len(self) + 1):
            if number == 9 and self.share[0] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


class StoppedAtSeven(data.Batches):
    """Says that it is there before its seventh batch, and goes on once a signal has come."""

    here: Path

    def __iter__(self):
        for number, batch in enumerate(super().__iter__(), start=self.epoch * len(self) + 1):
            if number == 7 and self.share[0] == 0:
                self._wait()
            yield batch

    def _wait(self):
        handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        self.here.touch()
        for _ in range(6000):
            # The first signal puts back both handlers.
            if (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) != handlers:
                return
            time.sleep(0.01)
        raise TimeoutError("no signal came")


class AloneStoppedAtSeven(data.Batches):
    """Process 1, and it alone, gets a signal before its seventh batch."""

    def __iter__(self):
        for number, batch in enumerate(super().__iter__(), start=self.epoch * len(self) + 1):
            if number == 7 and self.share[0] == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch


class BrokenAtSix(data.Batches):
    """Process 1 has a fault before its sixth batch."""

    def __iter__(self):
        for number, batch in enumerate(super().__iter__(), start=self.epoch * len(self) + 1):
            if number == 6 and self.share[0] == 1:
                raise RuntimeError("a fault of process 1 alone")
            yield batch


def killed(world, folder):
    return run(world, folder, kind=KilledAtNine)


def stopped(world, folder):
    StoppedAtSeven.here = folder / "here"
    return run(world, folder, kind=StoppedAtSeven)


def one_stopped(world, folder):
    return run(world, folder, kind=AloneStoppedAtSeven)


def broken(world, folder):
    return run(world, folder, kind=BrokenAtSix)


def again(world, folder):
    """Go on with every run that was begun there."""
    begun = sorted(path.name for path in folder.iterdir() if (path / "rank-0").exists())
    return {name: run(world, folder / name) for name in begun}


def alone(folder):
    """One process's run, one epoch of four, for two processes to go on with."""

    class Enough(Exception):
        pass

    def stop(row):
        raise Enough

    net, world = network(), World(CPU)
    batches, validation = loaders(world)
    checkpoints, config = Checkpoints(folder / "rank-0"), TrainConfig(epochs=4)
    options = {"checkpoints": checkpoints, "world": world, "progress": False}
    try:
        train.fit(net, batches, validation, config, on_epoch=stop, **options)
    except Enough:
        return


SCENES = {
    scene.__name__: scene for scene in (together, killed, stopped, one_stopped, broken, again)
}

if __name__ == "__main__":
    scene, place = SCENES[sys.argv[1]], Path(sys.argv[2])
    with train.join("cpu") as this:
        result = scene(this, place)
        torch.save(result, place / f"found-{this.rank}.pt")

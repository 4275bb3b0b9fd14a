"""What `fit` costs beside the step that it does: both take turns inside one run of it."""

import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_lib import data, nets, train

SEED = 0
MEAN, STD = (0.5,), (0.25,)
WARM_UP_TURNS = 2
SIDES = ("fit", "bare", "control")


def overhead(
    depth: int, size: int, batch: int, precision: str, device: str, turns: int, steps: int
) -> dict[str, list[float]]:
    """Milliseconds per step of `fit`, of a bare loop and of a second bare loop, turn by turn.

    Each has a network of its own with the same weights, and batches of its own in the same order.
    """
    generator = torch.Generator().manual_seed(SEED)
    shape = (max(1024, 4 * batch), 1, size, size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (len(images),), generator=generator)

    def batches() -> data.Batches:
        parts = data.RandomCrop(4), data.RandomFlip(), data.Normalize(MEAN, STD)
        transform = nn.Sequential(*parts)
        return data.Batches(images, labels, batch, shuffle=True, transform=transform, device=device)

    def network() -> nn.Module:
        torch.manual_seed(SEED)
        return nets.CifarResNet(depth, in_channels=1).to(device, memory_format=torch.channels_last)

    bare = {name: BareLoop(network(), batches(), precision, device) for name in SIDES[1:]}
    turned = Turns(batches(), bare, turns, steps, device)
    config = train.TrainConfig(epochs=1, precision=precision, channels_last=True)
    world = train.World(torch.device(device))
    train.fit(network(), turned, config=config, world=world, progress=False)
    return {name: times[WARM_UP_TURNS:] for name, times in turned.milliseconds.items()}


def endless(batches: data.Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Its batches, epoch after epoch."""
    while True:
        yield from batches
        batches.set_epoch(batches.epoch + 1)


class BareLoop:
    """The least that trains as `fit` does: load, forward, backward, update."""

    def __init__(self, net: nn.Module, batches: data.Batches, precision: str, device: str):
        self.net, self.batches = net.train(), endless(batches)
        self.device, self.mixed = device, precision == "bf16"
        self.optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            images, labels = next(self.batches)
            images = images.to(memory_format=torch.channels_last)
            self.optimizer.zero_grad()
            with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
                scores = self.net(images)  # (N, 10)
            F.cross_entropy(scores.float(), labels).backward()
            self.optimizer.step()


class Turns:
    """Batches for `fit` that let the others have their turn in between, and time all of them.

    Between handing `fit` a batch and being asked for the next one lies all that `fit` does for it.
    """

    def __init__(
        self,
        batches: data.Batches,
        others: dict[str, BareLoop],
        turns: int,
        steps: int,
        device: str,
    ):
        self.batches, self.others = endless(batches), others
        self.turns, self.steps, self.device = turns + WARM_UP_TURNS, steps, device
        self.milliseconds: dict[str, list[float]] = {name: [] for name in ("fit", *others)}

    def __len__(self) -> int:
        return self.turns * self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        names = list(self.others)
        for turn in range(self.turns):
            # `fit` begins every second turn, and the others change places every fourth.
            if turn % 2:
                self._let(names)
            began = self._now()
            for _ in range(self.steps):
                yield next(self.batches)
            self._note("fit", began)
            if not turn % 2:
                self._let(names)
            if turn % 4 > 1:
                names.reverse()

    def _let(self, names: list[str]) -> None:
        for name in names:
            began = self._now()
            self.others[name].run(self.steps)
            self._note(name, began)

    def _note(self, name: str, began: float) -> None:
        self.milliseconds[name].append(1000 * (self._now() - began) / self.steps)

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

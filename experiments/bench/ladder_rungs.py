"""The rungs of the training ladder: how each trains a network, one change after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench import measure
from resnet_lib import data, nets
from resnet_lib.blocks import conv3x3

SEED = 0
RATE, RATE_BATCH = 0.1, 128  # the rate grows with the batch (Goyal et al. 2017, section 2.1)
MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)  # about those of CIFAR-10
WARM_UP_STEPS = 3
LAYOUTS = {False: torch.contiguous_format, True: torch.channels_last}


@dataclass(frozen=True)
class Rung:
    """How a network is trained; the defaults are the loop that the tutorials have."""

    name: str = "naive"
    batch: int = 128
    workers: int = 0
    keeps_memory: bool = False
    data_on_device: bool = False
    waits: bool = True
    benchmark: bool = False
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    fused: bool = False
    graph: bool = False


BOTH = ("cpu", "cuda")
CHANGES = {
    "naive": ({}, BOTH),
    "memory": ({"keeps_memory": True}, ("cpu",)),
    "workers": ({"workers": 2}, BOTH),
    "data": ({"data_on_device": True, "workers": 0}, BOTH),
    "no-wait": ({"waits": False}, ("cuda",)),
    "benchmark": ({"benchmark": True}, ("cuda",)),
    "bf16": ({"precision": "bf16"}, BOTH),
    "channels-last": ({"channels_last": True}, BOTH),
    "batch": ({"batch": 512}, BOTH),
    "compile": ({"compile": True}, BOTH),
    "fused": ({"fused": True}, ("cuda",)),
    "graph": ({"graph": True, "fused": True, "waits": False}, ("cuda",)),
}
"""What each rung changes on the one below it, and on which devices it is a change at all."""


def ladder(names: list[str], device: str) -> list[Rung]:
    """Those of the named rungs that the device can climb, from the lowest up."""
    rungs: list[Rung] = []
    for name, (change, devices) in CHANGES.items():
        if name in names and device in devices:
            rungs.append(replace(rungs[-1] if rungs else Rung(), name=name, **change))
    return rungs


def make_network(name: str) -> nn.Module:
    """A network for 32 × 32 images: one of the paper's, or ResNet-18 with a stem for them."""
    torch.manual_seed(SEED)
    if name != "resnet18":
        return nets.CifarResNet(int(name.removeprefix("resnet")))
    net = nets.resnet18(num_classes=10)
    # Its own stem would leave 8 × 8 of 32 × 32. This is the usual one for CIFAR-10.
    net.conv1, net.maxpool = conv3x3(3, 64), nn.Identity()
    return net


def make_images(count: int, source: str = "synthetic") -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) uint8 and labels: noise of CIFAR-10's form, or CIFAR-10 itself.

    Speed does not depend on what is in them.
    """
    if source == "cifar10":
        cifar = data.cifar10(download=False)
        return cifar.train_images[:count], cifar.train_labels[:count]
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return images, torch.randint(10, (count,), generator=generator)


class Pictures(Dataset):
    """Images one by one, as torchvision's CIFAR10 has them: stored raw, handed out by PIL."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.images = images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, 3)
        self.labels = labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


Batch = tuple[Tensor, Tensor]


def make_loader(
    rung: Rung, images: Tensor, labels: Tensor, device: str
) -> data.Batches | DataLoader:
    """Full batches of an epoch, augmented."""
    if rung.data_on_device:
        whole = len(images) // rung.batch * rung.batch
        parts = data.RandomCrop(4), data.RandomFlip(), data.Normalize(MEAN, STD)
        return data.Batches(
            images[:whole], labels[:whole], rung.batch,
            shuffle=True, transform=nn.Sequential(*parts), device=device,
        )  # fmt: skip
    options = {"persistent_workers": True, "pin_memory": device == "cuda"}
    return DataLoader(
        Pictures(images, labels), rung.batch, shuffle=True, drop_last=True,
        num_workers=rung.workers, **(options if rung.workers else {}),
    )  # fmt: skip


def endless(loader: data.Batches | DataLoader, device: str) -> Iterator[Batch]:
    """Its batches, on the device, epoch after epoch."""
    epoch = 0
    while True:
        if isinstance(loader, data.Batches):
            loader.set_epoch(epoch)
        for some, theirs in loader:
            yield some.to(device, non_blocking=True), theirs.to(device, non_blocking=True)
        epoch += 1


Step = Callable[[Tensor, Tensor], object]


def make_step(net: nn.Module, rung: Rung, device: str) -> tuple[Step, torch.optim.Optimizer]:
    """One update of the network, and the optimiser that does it."""
    rate, options = RATE * rung.batch / RATE_BATCH, {"momentum": 0.9, "weight_decay": 1e-4}
    options |= {"fused": True} if rung.fused else {}
    if rung.graph:
        # A graph keeps the numbers it was captured with. A tensor's can be changed later, and of
        # PyTorch's SGDs only the fused one leaves it on the device.
        rate = torch.tensor(rate, device=device)
    optimizer = torch.optim.SGD(net.parameters(), rate, **options)
    mixed = torch.autocast(
        device, torch.bfloat16, enabled=rung.precision == "bf16", cache_enabled=not rung.graph
    )
    total = torch.zeros((), device=device)

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        with mixed:
            scores = net(images)  # (N, 10)
        loss = F.cross_entropy(scores.float(), labels)
        loss.backward()
        optimizer.step()
        total.add_(loss.item() if rung.waits else loss.detach())

    return step, optimizer


def captured(step: Step, optimizer: torch.optim.Optimizer, batch: Batch) -> Step:
    """The step as one CUDA graph, recorded once and then replayed on new images.

    After PyTorch's notes on CUDA graphs, whole-network capture. Warm-up runs on a side stream, so
    that lazy set-up and cuDNN's trials are over before the recording. Gradients are let go of
    before it: the recorded backward pass makes them in the graph's own memory, and each replay
    overwrites them, so that none has to be zeroed.
    """
    static = [part.clone() for part in batch]  # in the layout of the batch
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_STEPS):
            step(*static)
    torch.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad(set_to_none=True)
    torch.cuda.reset_peak_memory_stats()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*static)

    def replay(images: Tensor, labels: Tensor) -> None:
        for place, part in zip(static, (images, labels), strict=True):
            place.copy_(part)
        graph.replay()

    return replay


def climb(
    rung: Rung, network: str, device: str, threads: int, count: int, source: str
) -> dict[str, Callable]:
    """Set a rung up in this process; return what it can be asked for.

    Returns:
        milliseconds(steps): mean time of a step, loading included.
        peak(): most bytes of tensors during a step: weights, momenta, gradients, activations and
            the batch. A data set on the device is not in it.
    """
    if rung.keeps_memory:
        measure.keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = rung.benchmark
    layout = LAYOUTS[rung.channels_last]
    net = make_network(network).to(device, memory_format=layout)
    if rung.compile:
        net.compile()
    step, optimizer = make_step(net, rung, device)
    loader = make_loader(rung, *make_images(count, source), device)
    batches = endless(loader, device)

    def load() -> Batch:
        images, labels = next(batches)
        return images.to(memory_format=layout), labels

    for _ in range(WARM_UP_STEPS):
        step(*load())
    if rung.graph:
        step = captured(step, optimizer, load())

    def milliseconds(steps: int) -> float:
        for _ in range(2 * rung.workers):  # what workers have loaded while others had their turn
            next(batches)
        return measure.milliseconds(lambda: [step(*load()) for _ in range(steps)], device) / steps

    def peak() -> int:
        if rung.graph:  # it keeps its memory, so there is nothing to be seen of a single replay
            stored = [loader.images, loader.labels] if rung.data_on_device else []
            return torch.cuda.max_memory_allocated() - measure.held_bytes(stored)
        batch = load()
        optimizer.zero_grad()
        momenta = [state["momentum_buffer"] for state in optimizer.state.values()]
        held = [*net.parameters(), *net.buffers(), *momenta, *batch]
        return measure.held_bytes(held) + measure.peak_rise(lambda: step(*batch), device)

    return {"milliseconds": milliseconds, "peak": peak}

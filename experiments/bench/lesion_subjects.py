"""The networks and pictures of experiments/lesions.py."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resnet_lib import data, nets, train, weights
from resnet_lib.paths import without_blocks

NETWORKS = {
    "cifar10": ("resnet20", "resnet56", "plain20"),
    "digits": ("resnet20", "plain20", "ensemble"),
}
PADDING = {"cifar10": 4, "digits": 1}  # of the random crops in training
STAGES = ("layer1", "layer2", "layer3")
MEMBERS = 9


class Pictures(NamedTuple):
    """What a network is judged on, and what it has learned; (N, C, H, W)."""

    images: Tensor
    labels: Tensor
    known: Tensor
    known_labels: Tensor
    cropped: Tensor


def fresh(model: nn.Module, pictures: Pictures) -> nn.Module:
    """A copy whose running statistics are those of known images, cropped as in training."""
    other = without_blocks(model)
    torch.optim.swa_utils.update_bn(pictures.cropped.split(250), other)
    return other.eval()


def block_names(model: nn.Module) -> list[str]:
    """The blocks in their order."""
    return [f"{stage}.{n}" for stage in STAGES for n in range(len(getattr(model, stage)))]


@torch.no_grad()
def error(model: nn.Module, pictures: Pictures) -> float:
    """Test error in percent."""
    answers = [model(part).argmax(dim=1) for part in pictures.images.split(50)]
    return round(100 * (torch.cat(answers) != pictures.labels).float().mean().item(), 2)


class Ensemble(nn.Module):
    """Several networks; the mean of their probabilities."""

    def __init__(self, members: list[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x).softmax(dim=1) for member in self.members]).mean(dim=0)

    def without(self, gone: list[int]) -> "Ensemble":
        """The ensemble of the others."""
        return Ensemble([m for number, m in enumerate(self.members) if number not in gone])


def network_of(name: str, network: str, seed: int, rate: float, epochs: int) -> nn.Module:
    """A trained network in eval mode."""
    if name == "cifar10":
        model = getattr(weights, network)("cifar10").eval()
        return model.to(memory_format=torch.channels_last)  # a quarter less time
    if network == "ensemble":
        first = 1000 + MEMBERS * seed
        return Ensemble([trained("resnet8", first + n, rate, epochs) for n in range(MEMBERS)])
    return trained(network, seed, rate, epochs)


@cache
def trained(network: str, seed: int, rate: float, epochs: int) -> nn.Module:
    """A network that has learned the 360 digits."""
    torch.manual_seed(seed)
    model = nets.by_name(network, 10, 1)
    digits = data.digits()
    steps = nn.Sequential(data.RandomCrop(PADDING["digits"]), digits.normalize)
    learn = digits.test_images, digits.test_labels
    batches = data.Batches(*learn, 32, shuffle=True, transform=steps, seed=seed)
    config = train.TrainConfig(epochs=epochs, learning_rate=rate, seed=seed)
    train.fit(model, batches, config=config, world=train.World(torch.device("cpu")), progress=False)
    return model.eval()


@cache
def pictures_of(name: str, images: int, known: int) -> Pictures:
    """The pictures, normalised; of CIFAR-10 the first so many to judge on, and known."""
    if name == "digits":
        found = data.digits()
        judged, learned = slice(None), (found.test_images, found.test_labels)
        seen = found.train_images, found.train_labels
    else:
        found = data.cifar10()
        judged, learned = slice(images), (found.train_images[:known], found.train_labels[:known])
        seen = found.test_images, found.test_labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cropped = data.RandomCrop(PADDING[name])(learned[0])
    normalize = found.normalize
    return Pictures(
        normalize(seen[0][judged]), seen[1][judged], normalize(learned[0]), learned[1],
        normalize(cropped),
    )  # fmt: skip

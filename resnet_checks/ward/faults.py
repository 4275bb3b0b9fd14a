"""The faulty parts: networks and functions as people write them, each with one mistake."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_checks.ward.trainings import Parts, digits_parts, normalised, resnet8, scored
from resnet_lib.blocks import conv3x3

LOSS_SCALE = 2.0**24
DETECTOR_PRIOR = -math.log((1 - 0.01) / 0.01)  # Lin et al. 2017 (RetinaNet), section 4.1


class StridelessShortcut(nn.Module):
    """A basic block whose shortcut adapts the channels and forgets the stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            project = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            self.downsample = nn.Sequential(project, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


class LostInput(nn.Module):
    """A basic block that keeps its input under a name, and then gives the name away."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        return F.relu(out + x)


def with_blocks(block: type[nn.Module]) -> nn.Module:
    """ResNet-8 with three blocks of this class."""
    model = resnet8()
    model.layer1 = nn.Sequential(block(16, 16))
    model.layer2 = nn.Sequential(block(16, 32, 2))
    model.layer3 = nn.Sequential(block(32, 64, 2))
    return model


class Flattened(nn.Module):
    """ResNet-8 without the mean over positions: its classifier takes them one by one."""

    def __init__(self):
        super().__init__()
        whole = resnet8()
        stem = (whole.conv1, whole.bn1, nn.ReLU())
        self.features = nn.Sequential(*stem, whole.layer1, whole.layer2, whole.layer3)
        self.fc = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).flatten(1))


class Detached(nn.Module):
    """ResNet-8 whose features are taken for a look at them, and never given back."""

    def __init__(self):
        super().__init__()
        self.whole = resnet8()

    def forward(self, x: Tensor) -> Tensor:
        whole = self.whole
        x = F.relu(whole.bn1(whole.conv1(x)))
        x = whole.layer2(whole.layer1(x))
        x = x.detach()  # or x.data: for a histogram
        return whole.fc(whole.layer3(x).mean(dim=(2, 3)))


def with_softmax() -> nn.Module:
    """ResNet-8 that puts out probabilities; the loss takes the softmax once more."""
    return nn.Sequential(resnet8(), nn.Softmax(dim=1))


def with_prior() -> nn.Module:
    """ResNet-8 whose biases all begin where those of a detector's last layer belong."""
    model = resnet8()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, DETECTOR_PRIOR)
    return model


def step_to_eval(model: nn.Module, optimizer, images: Tensor, labels: Tensor) -> float:
    """A step that sets eval mode for what comes after it, and never train mode again."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    model.eval()
    return loss.item()


def step_in_half(model: nn.Module, optimizer, images: Tensor, labels: Tensor) -> float:
    """A step in 16-bit numbers with a loss scale of its own, and no look at the gradients."""
    optimizer.zero_grad()
    with torch.autocast(images.device.type, torch.float16):
        scores = model(images)
    loss = F.cross_entropy(scores.float(), labels)
    (LOSS_SCALE * loss).backward()
    for parameter in model.parameters():
        parameter.grad /= LOSS_SCALE
    optimizer.step()
    return loss.item()


def accumulate(model: nn.Module, optimizer, batches, every: int) -> list[float]:
    """Adds up the gradients of `every` micro-batches, and does not divide."""
    losses = []
    optimizer.zero_grad()
    for number, (images, labels) in enumerate(batches, start=1):
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        losses.append(loss.item())
        if number % every == 0 or number == len(batches):
            optimizer.step()
            optimizer.zero_grad()
    return losses


def accumulated(model: nn.Module, optimizer, images: Tensor, labels: Tensor) -> float:
    """One update from four quarters of the batch."""
    quarters = list(zip(images.chunk(4), labels.chunk(4), strict=True))
    return sum(accumulate(model, optimizer, quarters, 4)) / 4


def evaluate_as_it_is(model: nn.Module, batches) -> tuple[float, float]:
    """Loss and accuracy in whatever mode the model is in."""
    with torch.no_grad():
        return scored(model, batches)


def next_label(labels: Tensor) -> Tensor:
    """Labels that count from 1 where the network's outputs count from 0; ten becomes nought."""
    return (labels + 1) % 10


def sorted_rows(labels: Tensor) -> Tensor:
    """Class by class, as files lie in folders."""
    return labels.argsort()


def raw(pixels: Tensor) -> Tensor:
    """Bytes as numbers from 0 to 255."""
    return pixels.float()


def larger(pixels: Tensor) -> Tensor:
    """Normalised, at twice the height and width."""
    return F.interpolate(normalised(pixels), scale_factor=2)


def twice(pixels: Tensor) -> Tensor:
    """Normalised by the data set, and by the program that uses it."""
    once = normalised(pixels)
    mean, std = normalisation()
    return (once - mean) / std


def normalisation() -> tuple[float, float]:
    """Mean and deviation of the digits, on the scale 0 to 1."""
    black, white = normalised(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)).flatten()
    std = 1 / (white - black).item()
    return -black.item() * std, std


def copies_split(number: int = 40, copies: int = 16) -> Parts:
    """Noisy copies of few digits, and only then the split: both parts hold the same digits."""
    sound = digits_parts(number)
    dice = torch.Generator().manual_seed(0)
    images = sound.images.repeat(copies, 1, 1, 1).float()
    images += 12 * torch.randn(images.shape, generator=dice)
    images = images.clamp(0, 255).round().to(torch.uint8)
    labels = sound.labels.repeat(copies)
    train, test = torch.randperm(len(labels), generator=dice).split([512, 128])
    return Parts(images[train], labels[train], images[test], labels[test], *sound[4:])


def few_digits() -> Parts:
    """Forty digits, four of a class on average."""
    return digits_parts(40)

"""How weights begin: He's distribution, and branches that begin as zero."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet as torchvision_resnet
from toy_models import state

from resnet_lib.blocks import BasicBlock, Bottleneck
from resnet_lib.nets import CifarResNet, PlainStack, ResNet, he_init, resnet18, zero_gamma

every_block = pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
BLOCKS = (BasicBlock, Bottleneck)


def test_he_init_draws_convolutions_and_nothing_else():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(50, 80, 3), nn.BatchNorm2d(80), nn.Linear(80, 9))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert he_init(model) is model
    weight = model[0].weight.detach().double()  # 36,000 draws
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 80)), rel=0.02)
    assert abs(weight.mean().item()) < 0.001
    assert weight.abs().max() > 3.5 * weight.std(), "a normal distribution, not a uniform one"
    changed = {
        name for name, tensor in model.state_dict().items() if (tensor != before[name]).any()
    }
    assert changed == {"0.weight"}


@every_block
def test_zero_gamma_is_torchvisions(block):
    theirs = getattr(torchvision_resnet, block.__name__)
    torch.manual_seed(3)
    ours = zero_gamma(ResNet(block, (1, 2, 1, 1), num_classes=7)).state_dict()
    torch.manual_seed(3)
    expected = torchvision_resnet.ResNet(
        theirs, [1, 2, 1, 1], num_classes=7, zero_init_residual=True
    ).state_dict()
    assert list(ours) == list(expected)
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_zero_gamma_changes_nothing_else():
    model = resnet18(num_classes=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_numbers = torch.get_rng_state()
    assert zero_gamma(model) is model
    changed = [n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])]
    assert changed == [f"layer{s}.{b}.bn2.weight" for s in (1, 2, 3, 4) for b in (0, 1)]
    assert all(p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_numbers)


NETWORKS = {
    "basic": lambda option: ResNet(BasicBlock, (1, 2, 1, 1), 3, 2, shortcut=option),
    "bottleneck": lambda option: ResNet(
        Bottleneck, (1, 2, 1, 1), 3, 2, shortcut=option, stride_in_1x1=True
    ),
    "CIFAR": lambda option: CifarResNet(14, 3, 2, shortcut=option),
    "one block": lambda option: BasicBlock(2, 4, 2, shortcut=option),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("option", "ABC")
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_block_is_then_its_shortcut(name, option, train):
    torch.manual_seed(0)
    model = zero_gamma(NETWORKS[name](option)).train(train)
    seen = []

    def compare(block, given, output):
        seen.append(torch.equal(output, F.relu(block.downsample(given[0]))))

    blocks = [module for module in model.modules() if isinstance(module, BLOCKS)]
    for block in blocks:
        block.register_forward_hook(compare)
    outputs = model(torch.randn(2, 2, 33, 32))
    assert seen == [True] * len(blocks)
    assert outputs.std() > 0


def test_zeroed_scales_can_still_be_trained():
    model = zero_gamma(CifarResNet(8, 3))
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    for block in (module for module in model.modules() if isinstance(module, BasicBlock)):
        assert block.bn2.weight.grad.any()
        assert not block.conv1.weight.grad.any(), "behind γ = 0 no gradient comes through at first"


class Mixed(nn.Module):
    """A residual block, and one of another kind."""

    def __init__(self, other):
        super().__init__()
        self.good, self.other = BasicBlock(4, 4), other


def without(block, name, put):
    setattr(block, name, put)
    return block


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (PlainStack(4), "^model must hold a BasicBlock or a Bottleneck, got none$"),
        (nn.Linear(2, 2), "^model must hold a BasicBlock or a Bottleneck, got none$"),
        (CifarResNet(8, residual=False), "^model must be residual: .* block with residual=False$"),
        (Mixed(Bottleneck(4, 4, residual=False)), "^model must be residual: .* residual=False$"),
        (
            Mixed(without(BasicBlock(4, 4), "bn2", nn.Identity())),
            r"^each block must end with a batch norm .*, got Identity\(\)$",
        ),
        (
            Mixed(without(Bottleneck(4, 4), "bn3", nn.Identity())),
            r"^each block must end with a batch norm .*, got Identity\(\)$",
        ),
        (
            Mixed(without(BasicBlock(4, 4), "bn2", nn.BatchNorm2d(4, affine=False))),
            r"^each block must end with a batch norm .*, got BatchNorm2d\(.*affine=False.*\)$",
        ),
    ],
    ids=["stack", "layer", "plain", "one plain", "no bn2", "no bn3", "no γ"],
)
def test_zero_gamma_refuses_what_it_would_break(model, message):
    before = state(model)
    with pytest.raises(ValueError, match=message):
        zero_gamma(model)
    assert state(model) == before


def test_only_the_last_batch_norm_is_asked_for():
    block = without(Bottleneck(4, 4), "bn2", nn.Identity())
    assert not zero_gamma(block).bn3.weight.any()

"""The variants' parts: timm's and torchvision's with the same weights, and the papers' formulas."""

import math
from functools import partial

import pytest
import timm
import torch
import torchvision
from refusals import for_number, for_whole
from timm import layers
from timm.models import resnetv2
from torch import nn

from resnet_lib import nets, variants
from resnet_lib.blocks import BasicBlock, Bottleneck

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def stirred(model: nn.Module) -> nn.Module:
    """Other weights and statistics than at the start, so that one that is not copied shows."""
    dice = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=dice)
            low = 0.1 if name.endswith("running_var") or tensor.dim() == 1 else -0.05
            tensor.copy_(low + noise / 10 if tensor.dim() < 2 else tensor + low + noise / 10)
    return model.eval()


def assert_twins(ours: nn.Module, theirs: nn.Module, rename=lambda name: name, x=IMAGES) -> None:
    """Theirs' weights load into ours, every one, and the outputs agree."""
    state = {rename(name): tensor for name, tensor in stirred(theirs).state_dict().items()}
    ours.load_state_dict(state, strict=True)
    with torch.no_grad():
        mine, expected = ours.eval()(x), theirs(x)
    assert expected.std() > 0
    torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_squeeze_and_excitation_is_torchvisions(channels):
    x = torch.randn(2, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    theirs = torchvision.ops.SqueezeExcitation(channels, max(1, channels // 16))
    assert_twins(variants.SqueezeExcitation(channels), theirs, x=x)


@pytest.mark.parametrize("channels", [1, 16, 64, 256, 2048])
def test_efficient_attention_is_timms(channels):
    x = torch.randn(2, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    assert_twins(variants.EfficientAttention(channels), layers.EcaModule(channels), x=x)


def test_layer_scale_is_timms():
    x = torch.randn(2, 8, 5, 5)
    assert_twins(variants.LayerScale(8), layers.LayerScale2d(8), x=x)
    assert variants.LayerScale(3, 1e-6).gamma.tolist() == pytest.approx([1e-6] * 3)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
def test_stochastic_depth_is_torchvisions(share):
    x = torch.randn(64, 2, 3, 3)
    gate = variants.StochasticDepth(2, share)
    torch.manual_seed(0)
    ours = gate(x)
    torch.manual_seed(0)
    theirs = torchvision.ops.stochastic_depth(x, share, "row")
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(gate.eval()(x), x)


def test_stochastic_depth_drops_whole_pictures_and_keeps_the_mean():
    torch.manual_seed(0)
    factors = variants.StochasticDepth(3, 0.25)(torch.ones(4000, 3, 2, 2))
    assert torch.equal(factors, factors[:, :1, :1, :1].expand_as(factors))
    assert factors.unique().tolist() == pytest.approx([0, 4 / 3])
    assert factors.mean().item() == pytest.approx(1, abs=0.05)


def test_shares_rise_along_the_papers_line():
    """Huang et al. 2016, section 3: of 54 blocks about 40 are left on average."""
    gate = variants.StochasticDepth
    net = variants.StagedNet(variants.GatedBlock, [18] * 3, [2, 2, 2], stem_channels=2, gate=gate)
    assert variants.stochastic_depth(net, 0.5) is net
    shares = [part.share for part in net.modules() if isinstance(part, gate)]
    assert shares[0] == pytest.approx(0.5 / 54)
    assert shares[-1] == 0.5
    assert sum(1 - share for share in shares) == pytest.approx((3 * 54 - 1) / 4)


@pytest.mark.parametrize("value", [1.0, -0.1, math.nan, "0.5", True])
def test_shares_out_of_range_are_refused(value):
    with pytest.raises(for_number(value), match=r"^share must be a number"):
        variants.StochasticDepth(2, value)
    with pytest.raises(for_number(value), match=r"^last must be a number"):
        variants.stochastic_depth(nn.Sequential(variants.StochasticDepth()), value)


def test_a_network_without_such_gates_is_refused():
    with pytest.raises(ValueError, match=r"^model must hold a StochasticDepth"):
        variants.stochastic_depth(nets.CifarResNet(8), 0.5)


@pytest.mark.parametrize("value", [0, -2, 1.5, True])
@pytest.mark.parametrize(
    "make",
    [
        variants.SqueezeExcitation,
        variants.EfficientAttention,
        variants.LayerScale,
        partial(variants.GatedBlock, 8),
        partial(variants.PreActBlock, 8),
        partial(variants.PreActBottleneck, 8),
        partial(variants.GatedBottleneck, 8),
        partial(variants.NormFreeBlock, 8),
        partial(variants.average_shortcut, 8),
        partial(variants.deep_stem, 3),
    ],
)
def test_channels_that_are_no_positive_whole_number_are_refused(make, value):
    with pytest.raises(for_whole(value), match="must be a whole number of at least 1"):
        make(value)


@pytest.mark.parametrize("gate", [variants.ReZero, partial(variants.LayerScale, start=0)])
def test_with_a_gate_of_zero_a_block_is_its_shortcut(gate):
    x = torch.randn(2, 8, 5, 5)
    blocks = variants.GatedBlock, variants.PreActBlock, variants.PreActBottleneck
    for block in (*blocks, variants.GatedBottleneck):
        found = block(8, 8, gate=gate)(x)
        assert torch.equal(found, x if "Pre" in block.__name__ else x.relu())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(variants.GatedBlock, BasicBlock), (variants.GatedBottleneck, Bottleneck)],
)
def test_without_a_gate_they_are_the_usual_blocks(ours, theirs, stride):
    x = torch.randn(2, 16, 7, 7, generator=torch.Generator().manual_seed(0))
    assert_twins(ours(16, 32, stride), theirs(16, 32, stride), x=x)


TWINS = {
    "resnext50_32x4d": {"groups": 32, "width_per_group": 4},
    "wide_resnet50_2": {"width_per_group": 128},
}


@pytest.mark.parametrize("name", TWINS)
def test_wide_and_grouped_bottlenecks_are_torchvisions(name):
    ours = nets.ResNet(variants.GatedBottleneck, (3, 4, 6, 3), **TWINS[name])
    assert_twins(ours, getattr(torchvision.models, name)())


@pytest.mark.parametrize("name", ["seresnet18", "seresnet50"])
def test_se_resnet_is_timms(name):
    small = name.endswith("18")
    block = variants.GatedBlock if small else variants.GatedBottleneck
    # timm's squeeze is 8 channels wide at least, and that of 64 channels has 4 here
    gate = partial(variants.SqueezeExcitation, reduction=8 if small else 16)
    numbers = (2, 2, 2, 2) if small else (3, 4, 6, 3)
    settings = {"block_args": {"attn_layer": partial(layers.SEModule, rd_ratio=1 / 8)}}
    theirs = timm.create_model(name, **(settings if small else {}))
    ours = nets.ResNet(block, numbers, gate=gate)
    assert_twins(ours, theirs, lambda key: key.replace(".se.", ".gate."))


def test_resnet_d_is_timms():
    shortcut = variants.average_shortcut
    ours = nets.ResNet(variants.GatedBottleneck, (3, 4, 6, 3), shortcut=shortcut)
    ours.conv1 = variants.deep_stem()
    theirs = timm.create_model("resnet50d")
    assert_twins(ours, theirs)
    odd = torch.randn(1, 3, 75, 91, generator=torch.Generator().manual_seed(0))
    assert_twins(ours, theirs, x=odd)


@pytest.mark.parametrize("basic", [True, False])
def test_pre_activation_is_timms(basic):
    blocks, channels = (2, 1, 2), (64, 128, 256)
    theirs = resnetv2.ResNetV2(
        blocks,
        channels,
        num_classes=10,
        stem_chs=16,
        basic=basic,
        bottle_ratio=1.0 if basic else 0.25,
        conv_layer=layers.create_conv2d,
        norm_layer=layers.BatchNormAct2d,
    )
    theirs.stem = nn.Sequential()
    theirs.stem.add_module("conv", nn.Conv2d(3, 16, 3, padding=1, bias=False))
    block = variants.PreActBlock if basic else variants.PreActBottleneck
    ours = variants.PreActNet(block, blocks, channels)

    def rename(key: str) -> str:
        for old, new in (("stem.conv", "conv1"), ("head.fc", "fc"), (".blocks", "")):
            key = key.replace(old, new)
        for number in (3, 2, 1):
            key = key.replace(f"stages.{number - 1}.", f"layer{number}.")
            key = key.replace(f"norm{number}.", f"bn{number}.")
        return key.replace("downsample.conv", "downsample").replace("norm.", "bn1.")

    theirs.head.fc = nn.Linear(256, 10)
    theirs.head.flatten = nn.Identity()
    theirs.head.global_pool.flatten = nn.Flatten(1)
    assert_twins(ours, theirs, rename)

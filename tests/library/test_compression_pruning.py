"""Removing channels: which ones go, what stays as it was, and what is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resnet_lib import blocks, compression, nets


def kill(bn: nn.BatchNorm2d, channels: list[int]) -> None:
    """Let these channels put out 0 behind the ReLU, whatever comes in."""
    with torch.no_grad():
        bn.weight[channels] = 0
        bn.bias[channels] = 0


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_removing_dead_channels_changes_nothing(kind, shortcut):
    torch.manual_seed(0)
    block = blocks.BasicBlock if kind == "basic" else blocks.Bottleneck
    model = nn.Sequential(block(16, 32, stride=2, shortcut=shortcut), block(32, 32))
    model(torch.randn(8, 16, 9, 9))  # running statistics
    model.eval()
    for part in model:
        kill(part.bn1, [0, 3, 5, 6])
        if kind == "bottleneck":
            kill(part.bn2, [1, 2, 4, 7])
    share = 4 / model[0].conv1.out_channels
    x = torch.randn(2, 16, 9, 9)
    expected = model(x)
    pruned = compression.prune_channels(model, share, "gamma")
    assert pruned[0].conv1.out_channels == model[0].conv1.out_channels - 4
    torch.testing.assert_close(pruned(x), expected, rtol=0, atol=1e-5)
    other = compression.prune_channels(model, share, "random", torch.Generator().manual_seed(0))
    assert (other(x) - expected).abs().max() > 1e-3


def test_the_smallest_filters_go_first():
    model = nn.Sequential(blocks.BasicBlock(4, 4))
    with torch.no_grad():
        for channel, size in enumerate((3.0, 1.0, 4.0, 2.0)):
            model[0].conv1.weight[channel] = size
            model[0].bn1.running_mean[channel] = channel
    pruned = compression.prune_channels(model, 0.5)
    assert pruned[0].bn1.running_mean.tolist() == [0, 2]
    assert torch.equal(pruned[0].conv2.weight, model[0].conv2.weight[:, [0, 2]])
    assert torch.equal(pruned[0].conv1.weight, model[0].conv1.weight[[0, 2]])


@given(
    share=st.floats(0, 1, exclude_max=True),
    by=st.sampled_from(compression.CRITERIA),
    kind=st.sampled_from(["resnet8", "resnet50"]),
)
@settings(max_examples=20, deadline=None)
def test_any_share_leaves_a_network_that_runs_and_learns(share, by, kind):
    model = (
        nets.CifarResNet(8)
        if kind == "resnet8"
        else nn.Sequential(blocks.Bottleneck(8, 16, stride=2), blocks.Bottleneck(16, 16))
    )
    pruned = compression.prune_channels(model, share, by)
    width = next(m for m in model.modules() if hasattr(m, "conv2")).conv1.out_channels
    kept = next(m for m in pruned.modules() if hasattr(m, "conv2")).conv1.out_channels
    assert kept == max(1, round((1 - share) * width))
    x = torch.randn(2, 3 if kind == "resnet8" else 8, 8, 8)
    out = pruned(x)
    assert out.shape == model(x).shape
    out.square().sum().backward()
    assert all(p.grad is not None and p.is_leaf for p in pruned.parameters())
    for part in pruned.modules():
        if isinstance(part, nn.Conv2d):
            assert part.weight.shape[:2] == (part.out_channels, part.in_channels)
        if isinstance(part, nn.BatchNorm2d):
            assert {len(part.weight), len(part.running_var)} == {part.num_features}


def test_weights_load_into_the_same_shape():
    model = compression.prune_channels(nets.CifarResNet(8), 0.3, "random")
    again = compression.prune_channels(nets.CifarResNet(8), 0.3)
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(model.eval()(x), again.eval()(x))


def test_the_network_itself_stays():
    model = nets.CifarResNet(8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pruned = compression.prune_channels(model, 0.5)
    for part in pruned.parameters():
        part.data.zero_()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_modes_and_frozen_weights_stay():
    model = nets.CifarResNet(8).eval()
    model.layer1.requires_grad_(False)
    pruned = compression.prune_channels(model, 0.5)
    assert not any(part.training for part in pruned.modules())
    assert not any(p.requires_grad for p in pruned.layer1.parameters())
    assert all(p.requires_grad for p in pruned.layer2.parameters())


@pytest.mark.parametrize("share", [1, 1.5, -0.1, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="share must be"):
        compression.prune_channels(nets.CifarResNet(8), share)


def test_other_bad_input_is_refused():
    with pytest.raises(TypeError, match="share must be"):
        compression.prune_channels(nets.CifarResNet(8), "0.5")
    with pytest.raises(ValueError, match="by must be one of l1, gamma, random, got 'l2'"):
        compression.prune_channels(nets.CifarResNet(8), 0.5, "l2")
    with pytest.raises(TypeError, match="model must have BasicBlock or Bottleneck, got Linear"):
        compression.prune_channels(nn.Linear(2, 2), 0.5)

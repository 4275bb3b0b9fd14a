"""Whole variants: the papers' parameter counts, paths that are exact, variances as predicted."""

import pytest
import torch
from refusals import for_whole
from timm import layers
from torch import nn

from resnet_lib import nets, probes, variants
from resnet_lib.blocks import BasicBlock


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def norms_of(model: nn.Module) -> list[nn.Module]:
    return [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    # Zagoruyko and Komodakis 2016, Table 4 (CIFAR-10).
    [(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (40, 8, 35.7), (28, 10, 36.5), (28, 12, 52.5),
     (22, 8, 17.2), (22, 10, 26.8), (16, 8, 11.0), (16, 10, 17.1)],
)  # fmt: skip
def test_wide_networks_have_the_papers_parameters(depth, width, millions):
    with torch.device("meta"):
        found = parameters(variants.wide_resnet(depth, width)) / 1e6
    assert found == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize(("depth", "millions"), [(164, 1.7), (1001, 10.2)])
def test_pre_activation_networks_have_the_papers_parameters(depth, millions):
    """He et al. 2016, Table 6: bottlenecks, 9n + 2 layers; it leaves batch norm's out."""
    with torch.device("meta"):
        n = (depth - 2) // 9
        net = variants.PreActNet(variants.PreActBottleneck, [n] * 3, (64, 128, 256))
    found = parameters(net) - sum(map(parameters, norms_of(net)))
    assert found / 1e6 == pytest.approx(millions, abs=0.06)


def test_se_resnet50_has_the_papers_cost():
    """Hu et al. 2018, section 4: about 2.5 million parameters more than ResNet-50's 25 million."""
    with torch.device("meta"):
        gate = variants.SqueezeExcitation
        net = nets.ResNet(variants.GatedBottleneck, (3, 4, 6, 3), gate=gate)
        more = parameters(net) - parameters(nets.resnet50())
    assert more / 1e6 == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_with_the_usual_block_the_frame_is_the_cifar_network(shortcut):
    torch.manual_seed(0)
    ours = variants.StagedNet(BasicBlock, [3] * 3, shortcut=shortcut)
    torch.manual_seed(0)
    theirs = nets.CifarResNet(20, shortcut=shortcut)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = torch.randn(4, 3, 9, 9)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("count", [1, 9])
def test_the_shortcut_of_pre_activation_is_the_identity_and_the_usual_one_is_not(count):
    """With the branches held fixed the gradient comes through the shortcuts alone."""
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 6)
    for block, exact in ((variants.PreActBlock, True), (variants.GatedBlock, False)):
        blocks = nn.Sequential(*(block(8, 8, gate=lambda _: Fixed()) for _ in range(count)))
        start = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(blocks(start).sum(), start)
        assert torch.equal(gradient, torch.ones_like(x)) == exact


class Fixed(nn.Module):
    """A gate that lets no gradient through."""

    def forward(self, x):
        return x.detach()


def test_scaled_standardised_convolution_is_timms():
    torch.manual_seed(0)
    theirs = layers.ScaledStdConv2d(6, 8, 3, stride=2, groups=2)
    ours = variants.ScaledStdConv2d(6, 8, 3, stride=2, padding=1, groups=2)
    nn.init.uniform_(theirs.gain)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_variance_without_norm_is_the_predicted_one():
    torch.manual_seed(0)
    net = variants.NormFreeNet(blocks=(4, 4), channels=(64, 64), stem_channels=64)
    for part in net.modules():
        if isinstance(part, variants.NormFreeBlock):
            nn.init.ones_(part.skipinit_gain)
            part.alpha = 1.0
    betas = [b.beta**2 for b in net.modules() if isinstance(b, variants.NormFreeBlock)]
    assert betas == pytest.approx([1, 1.04, 1.08, 1.12, 1.16, 1.04, 1.08, 1.12])
    found = []
    for block in net.layer1:
        block.beta = len(found) ** 0.5 or 1.0
        found.append(block)
    x = torch.randn(64, 64, 16, 16)
    for number, block in enumerate(net.layer1, start=1):
        block.beta = number**0.5
        x = block(x)
        assert x.var().item() == pytest.approx(number + 1, rel=0.2)


def test_normaliser_free_networks_do_not_look_at_the_batch():
    torch.manual_seed(0)
    skipinit = variants.StagedNet(variants.GatedBlock, [2] * 3, gate=variants.ReZero)
    x = torch.randn(4, 3, 8, 8)
    for net in (variants.NormFreeNet(), variants.without_batch_norm(skipinit)):
        for part in net.modules():
            if isinstance(part, (variants.NormFreeBlock, variants.ReZero)):
                nn.init.ones_(getattr(part, "skipinit_gain", getattr(part, "alpha", None)))
        torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-4)


def test_a_silent_start_is_silent_and_learns_from_the_second_step_on():
    torch.manual_seed(0)
    x, y = torch.randn(8, 3, 8, 8), torch.arange(8) % 10
    for make in (variants.NormFreeNet, lambda: variants.StagedNet(
        variants.GatedBlock, [1, 1], [16, 32], gate=variants.ReZero
    )):  # fmt: skip
        net = make()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for step in (1, 2):
            norms = probes.gradient_norms(net, x, y)
            inner = [norms[name] for name in norms if "conv" in name and "layer" in name]
            assert all(norm == 0 for norm in inner) == (step == 1)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()


def test_dropout_acts_between_the_convolutions_in_train_mode_only():
    torch.manual_seed(0)
    block = variants.PreActBlock(8, 8, dropout=1.0)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    assert not torch.equal(block.eval()(x), x)


@pytest.mark.parametrize("depth", [4, 20, 27, 28.0])
def test_depths_that_are_not_6n_plus_4_are_refused(depth):
    with pytest.raises(for_whole(depth), match=r"^depth must be"):
        variants.wide_resnet(depth, 2)


@pytest.mark.parametrize(("blocks", "channels"), [((1, 1), (8, 8, 8)), ((), ())])
def test_stages_that_are_not_equally_many_are_refused(blocks, channels):
    with pytest.raises(ValueError, match=r"^blocks and channels must have one number"):
        variants.StagedNet(variants.GatedBlock, blocks, channels)


def test_option_c_is_none_of_pre_activations():
    with pytest.raises(ValueError, match=r"^shortcut must be one of A, B"):
        variants.PreActBlock(8, 8, shortcut="C")

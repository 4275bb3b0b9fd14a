"""diagnose: silent on every sound network, loud on what is wrong, and no trace left behind."""


import pytest
import torch

import resnet_checks as checks
from resnet_lib import compression, data, nets, variants, weights


def staged(block=variants.GatedBlock, **options):
    return variants.StagedNet(block, [1, 1, 1], (8, 16, 32), **options)


def silent_branches():
    return nets.zero_gamma(nets.CifarResNet(8))


def normaliser_free():
    return variants.NormFreeNet(variants.NormFreeBlock, [1, 1, 1])


def skip_init():
    return variants.without_batch_norm(staged(gate=lambda channels: variants.ReZero()))


def dropping():
    return variants.stochastic_depth(staged(gate=lambda channels: variants.StochasticDepth()), 0.5)


def frozen():
    return nets.freeze(nets.CifarResNet(8), "conv1", "bn1", "layer1")


def new_head():
    return nets.replace_head(nets.CifarResNet(8), 4)


def folded():
    return compression.fold_batch_norm(nets.CifarResNet(8).eval())


def with_deep_stem():
    model = nets.resnet18(num_classes=10)
    model.conv1 = variants.deep_stem()
    return model


SOUND = {
    "resnet8": lambda: nets.CifarResNet(8),
    "resnet20, option B": lambda: nets.CifarResNet(20, shortcut="B"),
    "resnet20, option C": lambda: nets.CifarResNet(20, shortcut="C"),
    "resnet20, padded on both sides": lambda: nets.CifarResNet(20, shortcut="A-both"),
    "resnet56": lambda: nets.CifarResNet(56),
    "plain20": lambda: nets.CifarResNet(20, residual=False),
    "resnet18": lambda: nets.resnet18(num_classes=10),
    "resnet50": lambda: nets.resnet50(num_classes=10),
    "plain stack": lambda: nets.PlainStack(12, in_channels=3),
    "residual stack": lambda: nets.ResidualStack(12, in_channels=3),
    "no batch norm": lambda: nets.PlainStack(12, in_channels=3, batch_norm=False),
    "zero gamma": silent_branches,
    "gated": staged,
    "squeeze-and-excitation": lambda: staged(gate=variants.SqueezeExcitation),
    "efficient attention": lambda: staged(gate=variants.EfficientAttention),
    "ReZero": lambda: staged(gate=lambda channels: variants.ReZero()),
    "LayerScale": lambda: staged(gate=variants.LayerScale),
    "ResNet-D": lambda: staged(shortcut=variants.average_shortcut),
    "deep stem": with_deep_stem,
    "gated bottlenecks": lambda: staged(variants.GatedBottleneck, groups=2),
    "stochastic depth": dropping,
    "pre-activation": lambda: variants.PreActNet(variants.PreActBlock, [1, 1, 1]),
    "pre-activation bottlenecks": lambda: variants.PreActNet(variants.PreActBottleneck, [1] * 3),
    "wide": lambda: variants.wide_resnet(10, 2),
    "normaliser-free": normaliser_free,
    "SkipInit": skip_init,
    "frozen": frozen,
    "new head": new_head,
    "folded": folded,
}


def images(number=16, size=32):
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_at_its_start_raises_no_alarm(name, train):
    torch.manual_seed(0)
    model = SOUND[name]().train(train)
    labels = torch.arange(16) % 4
    purpose = "training" if train else "use"
    found = checks.diagnose(model, images(), labels, purpose=purpose)
    assert found, found
    if not name.startswith(("plain", "no batch norm")):
        assert checks.diagnose(model, images(), labels, residual=True), found


def digits():
    found = data.digits()
    return found.normalize(found.test_images), found.test_labels


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_trained_weights_on_their_digits_raise_no_alarm(train):
    x, labels = digits()
    model = weights.resnet8("digits").train(train)
    card = weights.model_card("resnet8", "digits")
    found = checks.diagnose(model, x, labels, mean=card.mean, std=card.std, residual=True)
    assert found, found
    assert "3 of 3 blocks" in str(found)
    assert any("answers are right" in fact for fact in found.facts)

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


TRAINED = {("resnet20", "cifar10"): weights.resnet20, ("plain20", "cifar10"): weights.plain20}


def images(number=16, channels=3, size=16):
    dice = torch.Generator().manual_seed(1)
    return torch.randn(number, channels, size, size, generator=dice)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_at_its_start_raises_no_alarm(name):
    torch.manual_seed(0)
    model, labels = SOUND[name](), torch.arange(16) % 4
    residual = None if name.startswith(("plain", "no batch norm")) else True
    for purpose in ("training", "use"):
        model.train(purpose == "training")
        found = checks.diagnose(model, images(), labels, purpose=purpose, residual=residual)
        assert found, found


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


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kept", [*range(10), (3, 8)], ids=str)
def test_digits_of_few_classes_are_no_old_statistics(kept, train):
    x, labels = digits()
    chosen = torch.isin(labels, torch.tensor(kept))
    x, labels = x[chosen], labels[chosen]
    model, purpose = weights.resnet8("digits").train(train), "training" if train else "use"
    assert "labels would tell" in str(checks.diagnose(model, x))
    for told in (purpose, None):
        found = checks.diagnose(model, x, labels, purpose=told)
        assert found, found
        assert any("too few to stand for the training images" in text for text in found.unseen)


def test_old_statistics_are_named_where_labels_are_many_or_of_all_classes():
    x, labels = digits()
    model = weights.resnet8("digits").eval()
    with_old_statistics(model)
    for chosen in (labels >= 0, labels < 3):
        assert "statistics" in checks.diagnose(model, x[chosen], labels[chosen]).kinds


@pytest.mark.parametrize(("net", "name"), TRAINED)
def test_trained_weights_on_cifar_raise_no_alarm(net, name):
    try:
        of = data.cifar10(download=False)
    except FileNotFoundError as error:
        pytest.skip(f"CIFAR-10 ITSELF IS NOT TESTED. {error}")
    x, card = of.normalize(of.test_images[:32]), weights.model_card(net, name)
    model, told = TRAINED[net, name](name), {"mean": card.mean, "std": card.std}
    found = checks.diagnose(model, x, of.test_labels[:32], **told, purpose="training")
    assert found, found


# What is wrong, put in by hand.


def with_nan(model):
    model.layer2[0].conv1.weight.data[3] = float("nan")


def with_dead_stem(model):
    model.bn1.bias.data.fill_(-50)


def with_constant_scores(model):
    model.fc.weight.data.zero_()


def with_old_statistics(model):
    model.layer3[0].bn2.running_var *= 25


def in_train_mode(model):
    model.train()


FAULTS = {
    "non-finite": with_nan,
    "dead": with_dead_stem,
    "constant": with_constant_scores,
    "statistics": with_old_statistics,
    "mode": in_train_mode,
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_in_trained_weights_is_named(kind):
    x, _ = digits()
    model = weights.resnet8("digits").eval()
    FAULTS[kind](model)
    found = checks.diagnose(model, x[:64], purpose="use")
    assert kind in found.kinds, found
    assert not found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pixels, once: pixels.float(), "bytes never normalised"),
        (lambda pixels, once: pixels / 255, "Fractions"),
        (lambda pixels, once: (once - 0.3) / 0.37, "normalised twice"),
        (lambda pixels, once: once / 0, "not finite"),
    ],
)
def test_images_that_are_not_normalised_are_named(change, says):
    of = data.digits()
    x = change(of.test_images[:64], of.normalize(of.test_images[:64]))
    found = checks.diagnose(weights.resnet8("digits").eval(), x, mean=of.mean, std=of.std)
    assert found.findings[0].kind == "input"
    assert says in found.findings[0].text


def test_labels_under_other_names_are_told_from_ignorance():
    x, labels = digits()
    model = weights.resnet8("digits").eval()
    other = torch.tensor([7, 2, 1, 4, 3, 6, 5, 0, 9, 8])
    found = checks.diagnose(model, x, other[labels])
    assert found.kinds == ("labels",)
    assert "0→7" in found.findings[0].text
    mixed = labels[torch.randperm(360, generator=torch.Generator().manual_seed(0))]
    assert checks.diagnose(model, x, mixed).kinds == ("chance",)


def test_norms_that_stand_still_in_training_are_named_unless_frozen():
    model = nets.CifarResNet(8)
    model.layer1.eval()
    assert checks.diagnose(model, images(), purpose="training").kinds == ("mode",)
    nets.freeze(model, "layer1")
    assert checks.diagnose(model, images(), purpose="training")


def test_a_lost_shortcut_is_a_fault_only_where_one_is_meant():
    plain = nets.CifarResNet(8, residual=False)
    assert checks.diagnose(plain, images())
    found = checks.diagnose(plain, images(), residual=True)
    assert found.kinds == ("shortcut",)
    assert "0 of 1 blocks hand their input on: none comes through layer1.0; 2 more" in str(found)


def test_what_it_cannot_see_it_says():
    unseen = " ".join(checks.diagnose(nets.CifarResNet(8), images(4)).unseen)
    for words in ("give labels", "give mean and std", "16 images", "purpose", "loss, loop, rate"):
        assert words in unseen, words
    stack = checks.diagnose(nets.ResidualStack(4, in_channels=3), images())
    assert any("shortcuts" in text for text in stack.unseen)


def test_the_model_is_left_as_it_was():
    model = nets.CifarResNet(8)
    model.layer2.eval()
    model(images()).sum().backward()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    dice = torch.get_rng_state()
    checks.diagnose(model, images(), torch.arange(16) % 4, residual=True)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert all(map(torch.equal, gradients, (p.grad for p in model.parameters())))
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(dice, torch.get_rng_state())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"model": "resnet8"}, TypeError, "Module"),
        ({"images": [1.0]}, TypeError, "images must be a tensor, got list"),
        ({"images": images()[:0]}, ValueError, "N > 0"),
        ({"images": images().to(torch.uint8)}, ValueError, "torch.uint8"),
        ({"labels": [0]}, TypeError, "labels must be a tensor, got list"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, ValueError, "equally many"),
        ({"labels": torch.full((16,), 10)}, ValueError, "classes 0 to 9"),
        ({"labels": torch.zeros(16, 10)}, ValueError, "classes"),
        ({"mean": [0.5] * 3}, ValueError, "together"),
        ({"mean": [0.5], "std": [0.5]}, ValueError, "3 numbers"),
        ({"purpose": "test"}, ValueError, "'test'"),
    ],
)
def test_what_is_no_model_or_batch_is_refused(change, error, says):
    given = {"model": nets.CifarResNet(8), "images": images()} | change
    with pytest.raises(error, match=says):
        checks.diagnose(**given)


def test_an_error_of_the_model_is_a_finding():
    found = checks.diagnose(nets.CifarResNet(8), images(channels=1))
    assert found.kinds == ("error",)
    assert "expected input" in found.findings[0].text

"""The networks against torchvision, the paper's Table 1 and results known by hand."""

import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import resnet as torchvision_resnet

from resnet_lib.blocks import BasicBlock
from resnet_lib.nets import PlainStack, ResidualStack, ResNet, he_init, resnet18, resnet34
from resnet_lib.probes import trace_shapes

quick = settings(max_examples=15, deadline=None, derandomize=True)
TORCHVISION = {resnet18: torchvision.models.resnet18, resnet34: torchvision.models.resnet34}


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def signature(model):
    return [(name, tensor.shape) for name, tensor in model.state_dict().items()]


@pytest.fixture(scope="module", params=list(TORCHVISION), ids=lambda make: make.__name__)
def twins(request):
    """Our network, and torchvision's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = request.param(num_classes=10), TORCHVISION[request.param](num_classes=10)
    assert signature(ours) == signature(theirs)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


@pytest.mark.parametrize("train", [True, False])
def test_network_is_bit_identical_to_torchvisions(twins, train):
    x, slope = torch.randn(2, 3, 45, 33), torch.randn(2, 10)
    outputs = []
    for model in twins:
        model.train(train).zero_grad()
        outputs.append(model(x))
        outputs[-1].backward(slope)
    ours, theirs = twins
    assert (outputs[0] - outputs[1]).abs().max() == 0
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad), name
    for (name, p), q in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert torch.equal(p, q), name


@pytest.mark.parametrize("make", list(TORCHVISION))
def test_same_seed_draws_torchvisions_weights(make):
    torch.manual_seed(3)
    ours = make().state_dict()
    torch.manual_seed(3)
    theirs = TORCHVISION[make]().state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_every_option_builds_what_torchvisions_class_would():
    ours = ResNet(BasicBlock, (1, 3, 2, 1), num_classes=7)
    theirs = torchvision_resnet.ResNet(torchvision_resnet.BasicBlock, [1, 3, 2, 1], num_classes=7)
    assert signature(ours) == signature(theirs)


# Parameters as torchvision's documentation gives them; multiply-adds and sizes from He et al.
# 2015, Table 1, whose networks have option A shortcuts.
@pytest.mark.parametrize(
    ("make", "depth", "count", "multiply_adds"),
    [(resnet18, 18, 11_689_512, 1.8e9), (resnet34, 34, 21_797_672, 3.6e9)],
)
def test_network_is_the_papers(make, depth, count, multiply_adds):
    with torch.device("meta"):
        model, paper, x = make(), make(shortcut="A"), torch.empty(1, 3, 224, 224)
    assert parameters(model) == count
    convolutions = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and "downsample" not in name
    ]
    assert len(convolutions) == depth - 1
    assert [n for n, m in model.named_modules() if isinstance(m, nn.Linear)] == ["fc"]
    rows = trace_shapes(paper, x, (nn.Conv2d, nn.Linear))
    assert len(rows) == depth
    positions = [math.prod(row.output[2:]) for row in rows]
    total = sum(n * row.parameters for n, row in zip(positions, rows, strict=True))
    assert round(total, -8) == multiply_adds  # the classifier's 1,000 biases do not show here
    blocks = {row.layer: row.output for row in trace_shapes(model, x, (nn.Sequential, nn.Conv2d))}
    assert blocks["conv1"] == (1, 64, 112, 112)
    for stage, (channels, size) in enumerate([(64, 56), (128, 28), (256, 14), (512, 7)], start=1):
        assert blocks[f"layer{stage}"] == (1, channels, size, size)


@pytest.mark.parametrize("make", list(TORCHVISION))
def test_twins_differ_by_the_projections(make):
    with torch.device("meta"):
        b, a, plain = make(), make(shortcut="A"), make(residual=False)
        c, plain_c = make(shortcut="C"), make(shortcut="C", residual=False)
    projections = [(64, 128), (128, 256), (256, 512)]
    size = sum(c_in * c_out + 2 * c_out for c_in, c_out in projections)
    assert parameters(b) - parameters(a) == size
    assert signature(a) == signature(plain) == signature(plain_c)
    blocks = [module for module in c.modules() if isinstance(module, BasicBlock)]
    assert sum("downsample" in name for name, _ in c.named_parameters()) == 3 * len(blocks)


@pytest.mark.parametrize("residual", [True, False])
def test_plain_network_has_no_way_around_its_branches(residual):
    """With every branch at zero, a residual network still sees its input; a plain one does not."""
    model = resnet18(num_classes=3, residual=residual).eval()
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
    one, other = model(torch.randn(2, 3, 40, 40))
    assert torch.equal(one, other) is not residual
    assert torch.equal(one, model.fc.bias) is not residual


@pytest.fixture(scope="module")
def small():
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5, in_channels=2)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (7, 2), (31, 33), (64, 65)])
def test_network_takes_any_size(small, height, width, train):
    x = torch.randn(2, 2, height, width)
    assert small.train(train)(x).shape == (2, 5)
    assert small.eval()(x[:1]).shape == (1, 5)


@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 10), (4, 1), (3, 1000)])
def test_channels_and_classes(in_channels, num_classes):
    model = resnet18(num_classes, in_channels).eval()
    assert model(torch.randn(1, in_channels, 20, 20)).shape == (1, num_classes)


@quick
@given(st.integers(2, 9), st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_stack_has_the_depth_it_is_given(half, width, in_channels, batch_norm):
    options = {"width": width, "num_classes": 3, "in_channels": in_channels}
    plain, residual = (
        kind(2 * half, **options, batch_norm=batch_norm) for kind in (PlainStack, ResidualStack)
    )
    assert signature(plain) == signature(residual)
    weighted = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == 2 * half
    norms = [m for m in plain.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == (2 * half - 1) * batch_norm
    x = torch.randn(2, in_channels, half, width)
    assert plain(x).shape == residual(x).shape == (2, 3)


@pytest.mark.parametrize("pairs", [1, 2, 5])
@pytest.mark.parametrize(
    ("kind", "second", "factor"),
    [(PlainStack, 1, 1), (ResidualStack, 1, 2), (PlainStack, -0.5, 0), (ResidualStack, -0.5, 0.5)],
)
def test_stack_of_copying_kernels_is_known_by_hand(kind, second, factor, pairs):
    """The first kernel of each pair copies its image, the second one scales it.

    Of a positive x, a plain pair makes ReLU(second · x), a residual one ReLU(second · x + x).
    """
    model = kind(2 * pairs + 2, width=1, num_classes=1, batch_norm=False)
    for weight in model.parameters():
        nn.init.zeros_(weight)
    for layer in [model.stem, *(pair[0] for pair in model.pairs)]:
        nn.init.dirac_(layer[0].weight)
    for pair in model.pairs:
        nn.init.dirac_(pair[2][0].weight).data.mul_(second)
    nn.init.ones_(model.fc.weight)
    image = torch.tensor([[[[1.0, -4.0], [2.0, 5.0]]]])  # its positive part has mean 2
    assert model(image).item() == 2 * factor**pairs


def test_zeroed_branches_leave_a_residual_stack_its_stem():
    torch.manual_seed(0)
    deep, plain = ResidualStack(10, width=4).eval(), PlainStack(10, width=4).eval()
    for model in (deep, plain):
        for pair in model.pairs:
            nn.init.zeros_(pair[2][0].weight)
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(deep(x), deep.fc(deep.stem(x).relu().mean(dim=(2, 3))))
    assert torch.equal(plain(x), plain.fc.bias.expand(3, -1))


def test_stacks_from_one_seed_share_their_weights():
    torch.manual_seed(5)
    plain = PlainStack(8).state_dict()
    torch.manual_seed(5)
    residual = ResidualStack(8).state_dict()
    assert all(torch.equal(plain[name], residual[name]) for name in plain)


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


@pytest.mark.parametrize("kind", [PlainStack, ResidualStack])
@pytest.mark.parametrize("depth", [2, 3, 5, 9, 111])
def test_depth_that_does_not_fit_is_refused(kind, depth):
    with pytest.raises(ValueError, match=rf"^depth must be even and at least 4, got {depth}$"):
        kind(depth)


@pytest.mark.parametrize("value", [0, -2, 4.0, True, "4", None])
@pytest.mark.parametrize("name", ["depth", "width", "num_classes", "in_channels"])
def test_stack_names_the_number_it_refuses(name, value):
    with pytest.raises(
        (TypeError, ValueError), match=rf"^{name} must be .*at least 1, got {value!r}$"
    ):
        PlainStack(**{"depth": 4, name: value})


@pytest.mark.parametrize("value", [0, -2, 4.0, True, "4", None])
@pytest.mark.parametrize("name", ["num_classes", "in_channels"])
@pytest.mark.parametrize("make", list(TORCHVISION))
def test_network_names_the_number_it_refuses(make, name, value):
    with pytest.raises(
        (TypeError, ValueError), match=rf"^{name} must be .*at least 1, got {value!r}$"
    ):
        make(**{name: value})


@pytest.mark.parametrize("layers", [(), (2, 2, 2), [2, 2, 2, 2, 2], 4, None, "2222"])
def test_layers_need_four_entries(layers):
    with pytest.raises((TypeError, ValueError)) as caught:
        ResNet(BasicBlock, layers)
    message = f"layers must have 4 entries, one per stage, got {layers!r}"
    assert str(caught.value) == message


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("value", [0, -1, 2.0, True])
def test_every_stage_needs_a_block(stage, value):
    layers = [1, 1, 1, 1]
    layers[stage] = value
    with (
        torch.device("meta"),
        pytest.raises((TypeError, ValueError), match=rf"^layers must be .*got {value!r}$"),
    ):
        ResNet(BasicBlock, layers)


def test_unknown_shortcut_is_refused():
    with pytest.raises(ValueError, match=r"^shortcut must be one of A, B, C, got 'D'$"):
        resnet18(shortcut="D")

"""The ImageNet networks: torchvision's to the last bit, and the paper's (He et al. 2015)."""

import re
from itertools import pairwise

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import resnet as torchvision_resnet
from toy_models import parameter_count, signature

from resnet_lib.blocks import BasicBlock, Bottleneck
from resnet_lib.nets import (
    CONFIGURATIONS,
    ResNet,
    make_stage,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from resnet_lib.probes import layer_costs, trace_shapes
from resnet_lib.weights import WeightsMismatch, load_weights

NETWORKS = {18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101, 152: resnet152}
every_depth = pytest.mark.parametrize("depth", list(NETWORKS))
every_block = pytest.mark.parametrize("block", [BasicBlock, Bottleneck])


def torchvisions(depth):
    """torchvision's constructor and what it says about its first weights for ImageNet."""
    weights = getattr(torchvision_resnet, f"ResNet{depth}_Weights").IMAGENET1K_V1
    return getattr(torchvision.models, f"resnet{depth}"), weights.meta


@pytest.fixture(scope="module", params=list(NETWORKS))
def twins(request):
    """Our network and torchvision's; ours has drawn its weights and then got torchvision's.

    These are no longer the drawn ones, so that a weight that was not copied shows.
    """
    networks, drawn = (NETWORKS[request.param], torchvisions(request.param)[0]), []
    for make in networks:
        torch.manual_seed(3)
        drawn.append(make(num_classes=10))
    ours, theirs = drawn
    different = [
        name
        for (name, p), q in zip(
            ours.state_dict().items(), theirs.state_dict().values(), strict=True
        )
        if not torch.equal(p, q)
    ]
    for name, tensor in theirs.state_dict().items():
        if tensor.is_floating_point():
            factor = 0.2 if name.endswith(("bn2.weight", "bn3.weight")) else 1  # stays finite
            tensor.mul_(torch.empty_like(tensor).uniform_(0.8, 1.2) * factor)
            tensor.add_(torch.empty_like(tensor).uniform_(0, 0.01))
        else:
            tensor.fill_(7)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs, different


def test_names_and_shapes_are_torchvisions(twins):
    ours, theirs, _ = twins
    assert signature(ours) == signature(theirs)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


def test_same_seed_draws_torchvisions_weights(twins):
    assert twins[2] == []


@pytest.mark.parametrize("train", [False, True])
def test_network_is_bit_identical_to_torchvisions(twins, train):
    torch.manual_seed(0)
    x, slope = torch.randn(2, 3, 64, 49), torch.randn(2, 10)
    ours, theirs, _ = twins
    outputs = []
    for model in (ours, theirs):
        model.train(train).zero_grad()
        outputs.append(model(x))
        outputs[-1].backward(slope)
    assert outputs[0].isfinite().all()
    assert outputs[0].std() > 0.01
    assert (outputs[0] - outputs[1]).abs().max() == 0
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad), name
    for (name, p), q in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert torch.equal(p, q), name
    assert ours.bn1.num_batches_tracked == 7 + train


@every_block
def test_every_option_builds_what_torchvisions_class_would(block):
    ours = ResNet(block, (1, 3, 2, 1), num_classes=7)
    theirs = torchvision_resnet.ResNet(
        getattr(torchvision_resnet, block.__name__), [1, 3, 2, 1], num_classes=7
    )
    assert signature(ours) == signature(theirs)


@every_depth
def test_parameters_and_multiply_adds_are_torchvisions(depth):
    """torchvision prints its multiply-adds at 224 px in units of 10⁹, and calls them GFLOPS."""
    with torch.device("meta"):
        model, x = NETWORKS[depth](), torch.empty(1, 3, 224, 224)
    printed = torchvisions(depth)[1]
    assert parameter_count(model) == printed["num_params"]
    rows = layer_costs(model, x)
    assert round(sum(row.multiply_adds for row in rows) / 1e9, 3) == printed["_ops"]
    assert sum(row.parameters for row in rows) == printed["num_params"]


# Multiply-adds and sizes from Table 1. The paper's two smaller networks have option A shortcuts;
# the larger ones have option B and the stride on the first 1×1 convolution.
@pytest.mark.parametrize(
    ("depth", "options", "billions"),
    [
        (18, {"shortcut": "A"}, 1.8),
        (34, {"shortcut": "A"}, 3.6),
        (50, {"stride_in_1x1": True}, 3.8),
        (101, {"stride_in_1x1": True}, 7.6),
        (152, {"stride_in_1x1": True}, 11.3),
    ],
)
def test_network_is_the_papers(depth, options, billions):
    with torch.device("meta"):
        model, x = NETWORKS[depth](**options), torch.empty(1, 3, 224, 224)
    rows = layer_costs(model, x)
    assert sum(row.multiply_adds for row in rows) / 1e9 == pytest.approx(billions, abs=0.06)
    weighted = [row for row in rows if row.kind in ("Conv2d", "Linear")]
    main_path = [row.layer for row in weighted if "downsample" not in row.layer]
    assert len(main_path) == depth
    assert (main_path[0], main_path[-1]) == ("conv1", "fc")
    outputs = {row.layer: row.output for row in trace_shapes(model, x, (nn.Sequential, nn.Conv2d))}
    assert outputs["conv1"] == (1, 64, 112, 112)
    expansion = 4 if depth >= 50 else 1
    for stage, (channels, size) in enumerate([(64, 56), (128, 28), (256, 14), (512, 7)], start=1):
        assert outputs[f"layer{stage}"] == (1, expansion * channels, size, size)
    assert len(model.layer3) == {18: 2, 34: 6, 50: 6, 101: 23, 152: 36}[depth]


def test_configurations_are_those_of_the_constructors():
    assert list(CONFIGURATIONS) == list(NETWORKS)
    for depth, (block, layers) in CONFIGURATIONS.items():
        with torch.device("meta"):
            model = NETWORKS[depth]()
        stages = [model.layer1, model.layer2, model.layer3, model.layer4]
        assert [len(stage) for stage in stages] == list(layers)
        assert all(type(part) is block for stage in stages for part in stage)


@pytest.mark.parametrize("option", "ABC")
@every_depth
def test_twins_differ_by_the_projections(depth, option):
    with torch.device("meta"):
        model = NETWORKS[depth](shortcut=option)
        plain = NETWORKS[depth](shortcut=option, residual=False)
    expansion, layers = (4 if depth >= 50 else 1), CONFIGURATIONS[depth][1]
    widths = [64, *(expansion * width for width in (64, 128, 256, 512))]
    changes = [(c_in, c_out) for c_in, c_out in pairwise(widths) if c_in != c_out]
    kept = [
        (c_out, c_out)
        for (c_in, c_out), blocks in zip(pairwise(widths), layers, strict=True)
        for _ in range(blocks - (c_in != c_out))
    ]
    pairs = {"A": [], "B": changes, "C": changes + kept}
    size = sum(c_in * c_out + 2 * c_out for c_in, c_out in pairs[option])
    assert parameter_count(model) - parameter_count(plain) == size
    assert [pair for pair in signature(model) if "downsample" not in pair[0]] == signature(plain)


@pytest.mark.parametrize("residual", [True, False])
@every_block
def test_plain_network_has_no_way_around_its_branches(block, residual):
    """With every branch at zero, a residual network still sees its input; a plain one does not."""
    model = ResNet(block, (1, 2, 1, 1), num_classes=3, residual=residual).eval()
    for module in model.modules():
        if isinstance(module, block):
            nn.init.zeros_((module.bn2 if block is BasicBlock else module.bn3).weight)
    one, other = model(torch.randn(2, 3, 40, 40))
    assert torch.equal(one, other) is not residual
    assert torch.equal(one, model.fc.bias) is not residual


@pytest.fixture(scope="module", params=[BasicBlock, Bottleneck])
def small(request):
    return ResNet(request.param, (1, 1, 1, 1), num_classes=5, in_channels=2)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (7, 2), (31, 33), (64, 65)])
def test_network_takes_any_size(small, height, width, train):
    x = torch.randn(2, 2, height, width)
    assert small.train(train)(x).shape == (2, 5)
    assert small.eval()(x[:1]).shape == (1, 5)


@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 10), (4, 1), (3, 1000)])
def test_channels_and_classes(in_channels, num_classes):
    for make in NETWORKS.values():
        with torch.device("meta"):
            model, x = make(num_classes, in_channels), torch.empty(1, in_channels, 40, 40)
        assert model.eval()(x).shape == (1, num_classes)


@pytest.mark.parametrize("option", "ABC")
@every_block
def test_stage_changes_the_shape_once(block, option):
    stage = make_stage(block, 8, 16, 3, stride=2, shortcut=option).eval()
    assert [type(part) for part in stage] == [block] * 3
    shapes = [row.output for row in trace_shapes(stage, torch.randn(1, 8, 9, 6), block)]
    assert shapes == [(1, 16, 5, 3)] * 3
    projections = {"A": 0, "B": 1, "C": 3}[option]
    names = [name for name, _ in stage.named_parameters() if name.endswith("downsample.0.weight")]
    assert len(names) == projections


def test_stage_passes_its_options_to_every_block():
    plain = make_stage(Bottleneck, 8, 16, 3, stride=2, residual=False, stride_in_1x1=True)
    assert [part.residual for part in plain] == [False] * 3
    assert [part.conv1.stride for part in plain] == [(2, 2), (1, 1), (1, 1)]
    assert [part.conv2.stride for part in plain] == [(1, 1)] * 3


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2", None])
@pytest.mark.parametrize("name", ["in_channels", "out_channels", "blocks", "stride"])
def test_stage_names_the_number_it_refuses(name, value):
    numbers = {"in_channels": 8, "out_channels": 8, "blocks": 1, "stride": 1, name: value}
    match = rf"^{name} must be .*at least 1, got {value!r}$"
    with pytest.raises((TypeError, ValueError), match=match):
        make_stage(BasicBlock, **numbers)


@pytest.mark.parametrize("value", [0, -2, 4.0, True, "4", None])
@pytest.mark.parametrize("name", ["num_classes", "in_channels"])
@every_depth
def test_network_names_the_number_it_refuses(depth, name, value):
    match = rf"^{name} must be .*at least 1, got {value!r}$"
    with torch.device("meta"), pytest.raises((TypeError, ValueError), match=match):
        NETWORKS[depth](**{name: value})


@pytest.mark.parametrize("blocks", [(), (2, 2, 2), [2, 2, 2, 2, 2], 4, None, "2222"])
def test_blocks_need_four_entries(blocks):
    with pytest.raises((TypeError, ValueError)) as caught:
        ResNet(BasicBlock, blocks)
    message = f"blocks must have 4 entries, one per stage, got {blocks!r}"
    assert str(caught.value) == message


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("value", [0, -1, 2.0, True])
def test_every_stage_needs_a_block(stage, value):
    blocks = [1, 1, 1, 1]
    blocks[stage] = value
    match = rf"^blocks must be .*at least 1, got {value!r}$"
    with torch.device("meta"), pytest.raises((TypeError, ValueError), match=match):
        ResNet(BasicBlock, blocks)


@every_depth
def test_unknown_options_are_refused(depth):
    with torch.device("meta"):
        with pytest.raises(ValueError, match=r"^shortcut must be one of A, B, C, A-both, got 'D'$"):
            NETWORKS[depth](shortcut="D")
        with pytest.raises(TypeError, match="'strid'"):
            NETWORKS[depth](strid=2)


def test_basic_block_has_no_1x1_for_the_stride():
    with torch.device("meta"), pytest.raises(TypeError, match="'stride_in_1x1'"):
        resnet18(stride_in_1x1=True)


@every_depth
@pytest.mark.parametrize("option", ["pretrained", "weights"])
def test_torchvisions_ways_to_weights_are_answered_with_ours(depth, option):
    """The line that the message proposes names this very network's weights."""
    with torch.device("meta"), pytest.raises(TypeError, match=f"^{option} is no option") as caught:
        NETWORKS[depth](**{option: "IMAGENET1K_V1"})
    line = re.search(
        r"weights\.load_weights\(net, (torchvision\.models\.\w+\.\w+)\)", str(caught.value)
    )
    entry = eval(line[1], {"torchvision": torchvision})
    assert entry.meta["num_params"] == torchvisions(depth)[1]["num_params"]


# The stem for small images


@every_depth
def test_small_stem_keeps_the_names_and_all_other_shapes(depth):
    with torch.device("meta"):
        small, large = NETWORKS[depth](stem="small"), NETWORKS[depth](stem="large")
    changed = {
        name: tuple(tensor.shape)
        for name, tensor in small.state_dict().items()
        if tensor.shape != large.state_dict()[name].shape
    }
    assert list(small.state_dict()) == list(large.state_dict())
    assert changed == {"conv1.weight": (64, 3, 3, 3)}
    assert str(NETWORKS[18]().conv1) == str(large.conv1)


def test_small_stem_keeps_the_size():
    """By hand: a 3×3 convolution, batch norm, ReLU; then the stages of the usual network."""
    torch.manual_seed(0)
    model = resnet18(10, stem="small").eval()
    x = torch.randn(2, 3, 32, 24)
    shapes = {row.layer: row.output for row in trace_shapes(model, x, nn.Sequential)}
    assert shapes["layer1"] == (2, 64, 32, 24)
    assert shapes["layer4"] == (2, 512, 4, 3)
    y = nn.functional.conv2d(x, model.conv1.weight, padding=1)
    y = model.bn1(y).relu()
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        y = stage(y)
    assert torch.equal(model.fc(y.mean((2, 3))), model(x))


def test_weights_of_the_large_stem_fit_the_small_one_but_for_conv1():
    """ImageNet's weights, for example; the error says so, and names nothing else."""
    small, source = resnet18(stem="small"), resnet18().state_dict()
    own = small.conv1.weight.clone()
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(small, source)
    assert caught.value.proposal == {"leave_out": ["conv1"]}
    assert load_weights(small, source, **caught.value.proposal) == ["conv1.weight"]
    assert torch.equal(small.conv1.weight, own)
    assert torch.equal(small.layer4[1].conv2.weight, source["layer4.1.conv2.weight"])


@pytest.mark.parametrize("stem", ["tiny", None, 3, ["small"]])
def test_other_stems_are_refused(stem):
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match=r"^stem must be one of large, small"),
    ):
        resnet18(stem=stem)

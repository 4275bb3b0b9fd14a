"""Faults of a whole network in its running, counts, stem and head, each planted."""

import pytest
import torch
import torch.nn.functional as F
from plant import Block, Net, conv, net
from torch import nn
from torchvision.transforms.functional import center_crop

import resnet_checks as checks
from resnet_lib import blocks, nets

BLOCKS = (2, 1, 1, 1)


def change(**makers):
    """The network with attributes replaced by what `maker(net)` builds."""

    def apply(made):
        for name, maker in makers.items():
            setattr(made, name, maker(made))

    return net(apply)


def stem(function):
    return net(stem=function)


def head(function):
    return net(head=function)


def in_list(made):
    blocks = list(made.body)
    del made.body
    made.body = blocks


def shared(made):
    made.body[1] = made.body[0]


def without_projections(made):
    for block in made.body:
        block.way = nn.Sequential()


def only_one_projection_missing(made):
    made.body[3].way = nn.Sequential()


def hidden_layer(made):
    return nn.Sequential(nn.Linear(512, 512), nn.ReLU(), made.out)


def unstrided(c_in, c_out, stride):
    return Block(c_in, c_out, 1)


def always_strided(c_in, c_out, stride):
    return Block(c_in, c_out, 2)


def projected(c_in, c_out, stride):
    return blocks.BasicBlock(c_in, c_out, stride, shortcut="C")


def branch_on_projection(c_in, c_out, stride):
    """Where the shape changes, the branch begins at the projected x."""

    class Serial(Block):
        def forward(self, x):
            x = self.way(x)
            return F.relu(self.branch(x) + x)

    block = Serial(c_in, c_out, stride)
    if len(block.way):
        block.a = conv(c_out, c_out)
    return block


RUNS = [
    (lambda: None, "make(7) raises TypeError"),
    (lambda n: None, "make(7) returned None"),
    (lambda n: torch.relu, "not an nn.Module"),
    (net(forward=lambda net, x: net.nothing(x)), "The forward pass raises AttributeError"),
    (net(forward=lambda net, x: None), "The forward pass returned None"),
    (lambda n: Net(1000), "num_classes does not decide how many classes there are"),
    (net(head=lambda net, x: x), "No linear layer was seen"),
    (net(head=lambda net, x: x.mean((2, 3))), "The output has the shape (2, 512), not (2, 7)"),
    (head(lambda net, x: net.out(x.flatten(1))), "given 3072: 512 channels at 2×3 positions. Glo"),
    (change(out=lambda _: nn.Linear(256, 7)), "expects 256 values per image and is given 512"),
    (
        head(lambda net, x: net.out(x.permute(0, 2, 3, 1).reshape(-1, 512))),
        "there are several rows per image. Global average pooling is missing",
    ),
    (head(lambda net, x: net.out(F.avg_pool2d(x, 7).flatten(1))), "Output size is too small"),
    (net(without_projections), "Stage 2, block 1: There is no projection on the shortcut. x has"),
    (net(only_one_projection_missing), "Stage 3, block 1: There is no projection"),
    (
        net(lambda net: setattr(net.body[2], "a", conv(64, 128))),
        "Stage 2, block 1: The first convolution has stride 1, though stride 2",
    ),
    (
        net(lambda net: net.body[2].way.__setitem__(0, conv(64, 128, 1, 1))),
        "Stage 2, block 1: The projection has stride 1, though stride 2",
    ),
    (
        net(lambda net: setattr(net.body[2], "b", conv(128, 128, padding=0))),
        "Stage 2, block 1: The second convolution has padding 0",
    ),
    (net(lambda net: net.body.insert(2, Block(128, 128))), "to have 128 channels, but got 64"),
    (
        head(lambda net, x: net.out(F.dropout(x.mean((2, 3)), training=net.training))),
        "something random is inside",
    ),
    (
        net(forward=lambda net, x: net.head(net.trunk(net.stem(x))).squeeze()),
        "For a single image of 130×70: The output has the shape (7,), not (1, 7)",
    ),
]

COUNTS = [
    (
        head(lambda net, x: net.out(F.avg_pool2d(x, (2, 3)).flatten(1))),
        "For a single image of 130×70: The linear layer expects 512 values",
    ),
    (
        net(
            lambda net: setattr(net, "out", nn.Conv2d(512, 7, 1)),
            head=lambda net, x: net.out(x.mean((2, 3), keepdim=True)).flatten(1),
        ),
        "The classifier is a 1×1 convolution. It should be a linear layer",
    ),
    (lambda n: nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 96, n)), "No convolution was seen"),
    (lambda n: nets.resnet18(n), "17 convolutions, not 11: the stem, and two in each of 5 blocks"),
    (
        lambda n: Net(n, (2, 1, 3, 1)),
        "6 of them put out 256 channels; in stage 3 there should be 2",
    ),
    (net(shared), "is used both in stage 1, block 1 and in stage 1, block 2"),
    (
        net(lambda net: setattr(net.body[1], "nb", net.body[0].nb)),
        "One batch norm is used both in stage 1, block 1 and in stage 1, block 2",
    ),
    (
        net(block=branch_on_projection),
        "14 convolutions, not 11. 3 of them are 1×1, like a projection",
    ),
    (
        stem(lambda net, x: Net.stem(net, x) + 0 * conv(3, 64, 4, 1)(x)),
        "A convolution stands beside the main path and in no block",
    ),
]

STEM = [
    (change(start=lambda _: conv(3, 64, 2, 3)), "Stem: The convolution has a 3×3 kernel"),
    (change(start=lambda _: conv(3, 64, 1, 7)), "Stem: The convolution has stride 1"),
    (change(start=lambda _: conv(3, 64, 2, 7, padding=0)), "Stem: The convolution has padding 0"),
    (change(start=lambda _: conv(3, 64, 2, 7, bias=True)), "Stem: The convolution has a bias"),
    (change(nstart=lambda _: nn.Identity()), "Stem: There is no batch norm after the convolution"),
    (change(shrink=lambda _: nn.Identity()), "The max pool is missing"),
    (change(shrink=lambda _: nn.MaxPool2d(2)), "has a 2×2 window, stride 2 and padding 0"),
    (change(shrink=lambda _: nn.MaxPool2d(3, 2)), "has a 3×3 window, stride 2 and padding 0"),
    (change(shrink=lambda _: nn.AvgPool2d(3, 2, 1)), "Average pooling stands in the stem"),
    (stem(lambda net, x: net.shrink(net.nstart(net.start(x)))), "The ReLU between batch norm and"),
    (stem(lambda net, x: net.shrink(F.silu(net.nstart(net.start(x))))), "is SiLU. It should be"),
    (stem(lambda net, x: net.nstart(net.start(x))), "ReLU and max pool are missing"),
    (stem(lambda net, x: Net.stem(net, x.flip(3))), "does not read the image as it came"),
    (stem(lambda net, x: Net.stem(net, x).flip(3)), "does not read what the stem puts out"),
]


def rounded(x, size=32):
    return x.shape[2] // size * size, x.shape[3] // size * size


def cropped(net, x):
    high, wide = rounded(x)
    return Net.forward(net, x[..., :high, :wide])


def cropped_in_the_middle(net, x):
    return Net.forward(net, center_crop(x, list(rounded(x))))


def padded(net, x):
    return Net.forward(net, F.pad(x, (0, -x.shape[3] % 32, 0, -x.shape[2] % 32)))


def resized(net, x):
    return Net.forward(net, F.interpolate(x, rounded(x)))


def stem_cropped(net, x):
    x = Net.stem(net, x)
    high, wide = rounded(x, 8)
    return x[..., :high, :wide]


SIZES = [
    (net(forward=cropped), "single image of 130×70: The image of 130×70 is cropped to 128×64 bef"),
    (net(forward=cropped_in_the_middle), "The image of 130×70 is cropped to 128×64 before"),
    (net(forward=padded), "The image of 130×70 is padded to 160×96 before the stem"),
    (net(forward=resized), "The image of 130×70 is resized to 128×64 before the stem"),
    (net(stem=stem_cropped), "single image of 130×70: Stage 1, block 1 puts out 32×16 values per"),
]

STAGES = [
    (net(block=unstrided), "All four stages run at 16×24: no stage has a stride"),
    (
        net(block=always_strided),
        "Stage 1, block 1 puts out 8×12 values per channel, not 16×24. Stage 1 keeps height",
    ),
    (
        lambda n: made_of(n, [(64, 1), (64, 1), (128, 1), (256, 2), (512, 2)]),
        "Stage 2, block 1 puts out 16×24 values per channel, not 8×12",
    ),
    (
        lambda n: made_of(n, [(64, 1), (64, 2), (128, 1), (256, 2), (512, 2)]),
        "Stage 1, block 2 puts out 8×12 values per channel, not 16×24",
    ),
    (
        lambda n: made_of(n, [(64, 1), (64, 1), (96, 2), (256, 2), (512, 2)]),
        "Stage 2, block 1: It puts out 96 channels, not 128",
    ),
]


def made_of(classes, shapes):
    """The network with blocks of the given widths and strides."""
    made = Net(classes)
    before = [64, *(width for width, _ in shapes)]
    layers = zip(before, shapes, strict=False)
    made.body = nn.ModuleList(Block(c_in, c_out, stride) for c_in, (c_out, stride) in layers)
    return made


def each_position(net, x):
    return net.out(x.permute(0, 2, 3, 1))


HEAD = [
    (head(each_position), "there is a row for each position. Global average pooling is missing"),
    (
        head(lambda net, x: each_position(net, x).amax((1, 2))),
        "The linear layer stands before the pooling, on each position, and what comes out is not",
    ),
    (
        head(lambda net, x: each_position(net, x).relu().mean((1, 2))),
        "The linear layer stands before the pooling, on each position, and what comes out is not",
    ),
    (
        net(
            lambda net: setattr(net, "norm", nn.BatchNorm1d(512)),
            head=lambda net, x: net.out(net.norm(x.mean((2, 3)))),
        ),
        "A batch norm stands between the mean and the classifier",
    ),
    (head(lambda net, x: net.out(x.amax((2, 3)))), "The maximum over the positions goes into"),
    (head(lambda net, x: net.out(x.sum((2, 3)))), "The sum over the positions goes into"),
    (head(lambda net, x: net.out(x[:, :, 0, 0])), "Only the first position goes into"),
    (
        net(
            lambda net: setattr(net, "out", nn.Linear(3072, 7)),
            head=lambda net, x: net.out(x.flatten(1)),
        ),
        "Every position goes into the classifier: global average pooling is missing",
    ),
    (head(lambda net, x: net.out(x.mean((2, 3)).tanh())), "tanh is applied to the mean before"),
    (head(lambda net, x: net.out(x.std((2, 3)))), "does not read the mean of what the last block"),
    (change(out=hidden_layer), "The classifier holds 2 linear layers"),
    (change(out=lambda _: nn.Linear(512, 7, bias=False)), "The classifier has no bias"),
    (
        net(forward=lambda net, x: Net.forward(net, x).softmax(1)),
        "The network ends with softmax. It should end with the linear layer",
    ),
    (net(forward=lambda net, x: Net.forward(net, x).log_softmax(-1)), "ends with log-softmax"),
    (net(forward=lambda net, x: Net.forward(net, x).relu()), "The network ends with ReLU"),
    (net(forward=lambda net, x: Net.forward(net, x) / 2), "not what the linear layer puts out"),
]


@pytest.mark.parametrize(("make", "words"), RUNS + COUNTS + STEM + SIZES + STAGES + HEAD)
def test_fault_is_found(make, words):
    report = checks.network(make, BLOCKS)
    assert not report
    assert words in report.fault


def test_layers_in_a_list_are_named_with_their_place():
    report = checks.network(net(in_list), BLOCKS)
    assert "Stage 1, block 1: The parameters of the first convolution" in report.fault
    assert "list" in report.hint


def test_softmax_gets_its_hint():
    make = net(forward=lambda net, x: Net.forward(net, x).softmax(1))
    assert "cross_entropy" in checks.network(make, BLOCKS).hint


@pytest.mark.parametrize("wrong", [(2, 2, 2), (2, 2, 2, 0), 18, (2, 2, 2, 2.0), (1, 1, 1, True)])
def test_number_of_blocks_is_checked(wrong):
    with pytest.raises(ValueError, match="blocks must be four whole numbers of at least 1, got"):
        checks.network(nets.resnet18, wrong)


def test_right_network_passes_with_these_blocks():
    assert checks.network(Net, BLOCKS)

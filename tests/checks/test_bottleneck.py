"""Every fault that `checks.bottleneck` names, planted and found; and what passes."""

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from plant import conv, norm, point
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks


class Narrow(nn.Module):
    """A right bottleneck block under names of its own."""

    strided = 1

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.middle = c_out // 4
        self.a, self.na = self.first(c_in, c_out, stride), nn.BatchNorm2d(self.middle)
        self.b, self.nb = self.second(c_in, c_out, stride), nn.BatchNorm2d(self.middle)
        self.c, self.nc = self.third(c_in, c_out, stride), nn.BatchNorm2d(c_out)
        self.way = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.way = self.projection(c_in, c_out, stride)

    def step(self, number, stride):
        return stride if number == self.strided else 1

    def first(self, c_in, c_out, stride):
        return conv(c_in, self.middle, self.step(0, stride), 1)

    def second(self, c_in, c_out, stride):
        return conv(self.middle, self.middle, self.step(1, stride))

    def third(self, c_in, c_out, stride):
        return conv(self.middle, c_out, self.step(2, stride), 1)

    def projection(self, c_in, c_out, stride):
        return nn.Sequential(conv(c_in, c_out, stride, 1), nn.BatchNorm2d(c_out))

    def half(self, x):
        return F.relu(self.nb(self.b(F.relu(self.na(self.a(x))))))

    def branch(self, x):
        return self.nc(self.c(self.half(x)))

    def forward(self, x):
        return F.relu(self.branch(x) + self.way(x))


def planted(**methods):
    return type("Planted", (Narrow,), methods)


def forward(function):
    return planted(forward=function)


def way(*makers):
    return planted(
        projection=lambda block, *sizes: nn.Sequential(*(maker(*sizes) for maker in makers))
    )


class Wide(Narrow):
    """Its middle is half as wide as its output."""

    def __init__(self, c_in, c_out, stride):
        super().__init__(c_in, c_out, stride)
        wide = c_out // 2
        self.a, self.na = conv(c_in, wide, 1, 1), nn.BatchNorm2d(wide)
        self.b, self.nb = conv(wide, wide, stride), nn.BatchNorm2d(wide)
        self.c = conv(wide, c_out, 1, 1)


class FromInput(Narrow):
    """Its middle is a quarter of its input, which agrees where the shapes do."""

    def __init__(self, c_in, c_out, stride):
        super().__init__(c_in, c_out, stride)
        wide = c_in // 4
        self.a, self.na = conv(c_in, wide, 1, 1), nn.BatchNorm2d(wide)
        self.b, self.nb = conv(wide, wide, stride), nn.BatchNorm2d(wide)
        self.c = conv(wide, c_out, 1, 1)


class Both(Narrow):
    def step(self, number, stride):
        return stride if number < 2 else 1


class SharedNorm(Narrow):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.nb = self.na


class Spare(Narrow):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.spare = nn.Linear(2, 2)


class ThirdOnFirst(Narrow):
    def branch(self, x):
        h = F.relu(self.na(self.a(x)))
        F.relu(self.nb(self.b(h)))
        return self.nc(self.c(h))


class Serial(Narrow):
    """Its branch reads what the projection puts out."""

    def first(self, c_in, c_out, stride):
        return conv(c_out, self.middle, 1, 1)

    def second(self, c_in, c_out, stride):
        return conv(self.middle, self.middle)

    def forward(self, x):
        x = self.way(x)
        return F.relu(self.branch(x) + x)


class ProjectionOnBranch(Narrow):
    def projection(self, c_in, c_out, stride):
        return nn.Sequential(conv(self.middle, c_out, stride, 1), nn.BatchNorm2d(c_out))

    def forward(self, x):
        h = F.relu(self.na(self.a(x)))
        f = self.nc(self.c(F.relu(self.nb(self.b(h)))))
        return F.relu(f + self.way(h if len(self.way) else x))


def in_order(*sizes):
    """A branch whose kernels stand in another order."""

    def methods(size, wide_in, wide_out):
        def layer(block, c_in, c_out, stride):
            widths = {"in": c_in, "middle": block.middle, "out": c_out}
            return conv(widths[wide_in], widths[wide_out], stride if wide_in == "in" else 1, size)

        return layer

    widths = (("in", "middle"), ("middle", "middle"), ("middle", "out"))
    layers = [methods(size, *pair) for size, pair in zip(sizes, widths, strict=True)]
    return planted(**dict(zip(("first", "second", "third"), layers, strict=True)))


@forward
def changes_x(block, x):
    x.relu_()
    return F.relu(block.branch(x) + block.way(x))


SAME = [
    (lambda a: a, "make(16, 16, 1) raises TypeError"),
    (blocks.BasicBlock, "The branch has 2 convolutions. In a bottleneck block it has three"),
    (torchvision.models.resnet.Bottleneck, "The first convolution puts out 16 channels, not 4"),
    (Wide, "The first convolution puts out 8 channels, not 4. The middle of a bottleneck block is"),
    (
        in_order(3, 1, 1),
        "The kernels are 3×3, 1×1 and 1×1. In a bottleneck block they are 1×1, 3×3",
    ),
    (in_order(1, 1, 3), "The kernels are 1×1, 1×1 and 3×3"),
    (in_order(1, 5, 1), "The second convolution has a 5×5 kernel. It should be 3×3"),
    (in_order(3, 3, 1), "The first convolution has a 3×3 kernel. It should be 1×1"),
    (
        planted(second=lambda b, i, o, s: conv(b.middle, b.middle, s, groups=2)),
        "The second convolution is split into groups",
    ),
    (
        planted(third=lambda b, i, o, s: conv(b.middle, o, 1, 1, bias=True)),
        "The third convolution has a bias",
    ),
    (
        planted(branch=lambda b, x: b.c(b.half(x))),
        "There is no batch norm after the third convolution",
    ),
    (
        planted(half=lambda b, x: F.relu(b.b(F.relu(b.na(b.a(x)))))),
        "There is no batch norm after the second convolution",
    ),
    (
        planted(half=lambda b, x: F.relu(b.nb(b.b(b.na(b.a(x)))))),
        "The ReLU between the first and the second convolution is missing",
    ),
    (
        planted(half=lambda b, x: b.nb(b.b(F.relu(b.na(b.a(x)))))),
        "The ReLU between the second and the third convolution is missing",
    ),
    (
        planted(half=lambda b, x: F.relu(b.nb(b.b(F.silu(b.na(b.a(x))))))),
        "The activation between the first and the second convolution is SiLU",
    ),
    (
        planted(half=lambda b, x: F.relu(b.nb(F.relu(b.b(F.relu(b.na(b.a(x)))))))),
        "batch norm after the second convolution stands behind the ReLU",
    ),
    (SharedNorm, "The first convolution and the second convolution share one batch norm"),
    (ThirdOnFirst, "The third convolution does not read what the second one puts out"),
    (Spare, "The block has 326 parameters. 6 of them belong to no convolution"),
    (forward(lambda b, x: F.relu(b.branch(x))), "The addition is missing"),
    (forward(lambda b, x: b.branch(x) + b.way(x)), "The ReLU after the addition is missing"),
    (
        forward(lambda b, x: F.relu(b.branch(x)) + b.way(x)),
        "The addition comes after the last ReLU",
    ),
    (forward(lambda b, x: F.relu(F.relu(b.branch(x)) + x)), "A ReLU stands on the branch before"),
    (forward(lambda b, x: F.relu(b.branch(x) - x)), "A sign is wrong"),
    (
        forward(lambda b, x: F.relu(b.nc(b.c(b.half(x)) + x))),
        "The addition comes before the batch norm of the third convolution",
    ),
    (forward(lambda b, x: F.relu(b.branch(x) + x.detach())), "passes through the shortcut"),
    (forward(lambda b, x: F.relu(b.branch(x).detach() + x)), "passes through the branch"),
    (changes_x, "An in-place ReLU overwrites x before x is added"),
    (
        forward(lambda b, x: F.relu(b.branch(x) + x) if b.training else F.relu(b.branch(x))),
        "In eval mode: The addition is missing",
    ),
    (forward(lambda b, x: F.dropout(Narrow.forward(b, x))), "something random is inside"),
]

CHANGED = [
    (FromInput, "Where the shape changes: The first convolution puts out 4 channels, not 8"),
    (planted(strided=2), "The stride stands on the third convolution. It belongs on the 3×3 conv"),
    (Both, "The first and second convolution have stride 2 each. One of them should have it"),
    (planted(strided=None), "The second convolution has stride 1, though stride 2 was asked for"),
    (planted(projection=lambda *_: nn.Sequential()), "There is no projection on the shortcut. x"),
    (way(point), "There is no batch norm after the projection"),
    (way(conv, norm), "The projection has a 3×3 kernel"),
    (way(lambda i, o, s: conv(i, o, 1, 1), norm), "The projection has stride 1, though stride 2"),
    (way(lambda i, o, s: conv(i, o, s, 1, bias=True), norm), "The projection has a bias"),
    (way(point, norm, lambda *_: nn.ReLU()), "A ReLU stands on the shortcut"),
    (lambda *a: blocks.Bottleneck(*a, shortcut="A"), "That is option A: legal"),
    (Serial, "The branch reads what the projection puts out"),
    (ProjectionOnBranch, "The projection reads a value of the branch. It should read x"),
]


@pytest.mark.parametrize(("make", "words"), SAME)
def test_fault_where_the_shapes_agree_is_found(make, words):
    report = checks.bottleneck(make, projection=False)
    assert not report
    assert words in report.fault


@pytest.mark.parametrize(("make", "words"), CHANGED)
def test_fault_where_the_shapes_differ_is_found(make, words):
    report = checks.bottleneck(make)
    assert not report
    assert words in report.fault


def torchvision_block(c_in, c_out, stride):
    same = stride == 1 and c_in == c_out
    downsample = None if same else blocks.make_shortcut(c_in, c_out, stride)
    return torchvision.models.resnet.Bottleneck(c_in, c_out // 4, stride, downsample)


def one_sequential(c_in, c_out, stride):
    narrow = Narrow(c_in, c_out, stride)
    layers = (narrow.a, narrow.na, nn.ReLU(), narrow.b, narrow.nb, nn.ReLU(), narrow.c, narrow.nc)

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList([nn.Sequential(*layers), narrow.way])

        def forward(self, x):
            return torch.clamp_min(sum(part(x) for part in self.parts), 0)

    return Wrapped()


def zeroed(c_in, c_out, stride):
    block = blocks.Bottleneck(c_in, c_out, stride)
    nn.init.zeros_(block.bn3.weight)
    return block


RIGHT = {
    "the library's": (blocks.Bottleneck, "3×3, as in torchvision (v1.5)"),
    "the authors'": (lambda *a: blocks.Bottleneck(*a, stride_in_1x1=True), "first 1×1, as in the"),
    "torchvision's": (torchvision_block, "3×3, as in torchvision"),
    "other names": (Narrow, "3×3, as in torchvision"),
    "other names, strided first": (planted(strided=0), "first 1×1, as in the authors' release"),
    "one Sequential": (one_sequential, "3×3, as in torchvision"),
    "hidden by its weights": (zeroed, "3×3, as in torchvision"),
    "double precision": (lambda *a: Narrow(*a).double(), "3×3, as in torchvision"),
}


@pytest.mark.parametrize(("make", "place"), RIGHT.values(), ids=RIGHT.keys())
def test_right_block_passes_and_its_stride_is_reported(make, place):
    report = checks.bottleneck(make)
    assert report.passed, report.fault
    said = [
        sentence for sentence in report.passed_checks if "the stride stands on the " in sentence
    ]
    assert len(said) == 2
    assert all(f"the stride stands on the {place}" in sentence for sentence in said)


def test_width_by_torchvision_s_convention_gets_its_hint():
    assert "what comes out" in checks.bottleneck(torchvision.models.resnet.Bottleneck).hint


def test_the_projection_can_be_left_out():
    make = planted(projection=lambda *_: nn.Sequential())
    assert checks.bottleneck(make, projection=False)
    assert "projection=False" in checks.bottleneck(make).hint


def test_block_is_left_as_it_was():
    made = Narrow(16, 16, 1).eval()
    before = copy.deepcopy(made.state_dict())
    assert checks.bottleneck(lambda *_: made, projection=False)
    assert not made.training
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert made.a.weight.grad is None

"""Every fault that `checks.shortcut` names, planted and found; and what passes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from plant import conv, norm, point
from torch import nn

import resnet_checks as checks
from resnet_lib import blocks


def of(*makers, always=False):
    """A Sequential of `maker(c_in, c_out, stride)`; where the shapes agree x itself, or always."""

    def make(c_in, c_out, stride):
        if stride == 1 and c_in == c_out and not always:
            return nn.Identity()
        return nn.Sequential(*(maker(c_in, c_out, stride) for maker in makers))

    return make


def relu(*_):
    return nn.ReLU()


def pooled(kind):
    return lambda c_in, c_out, stride: kind(stride) if stride > 1 else nn.Identity()


def unstrided(c_in, c_out, stride):
    return conv(c_in, c_out, 1, 1)


class Padded(nn.Module):
    """Option A, with the zeros where `place` says and other steps where a test changes them."""

    def __init__(self, c_in, c_out, stride, place="behind"):
        super().__init__()
        self.new, self.stride, self.place = c_out - c_in, stride, place

    def small(self, x):
        return x[:, :, :: self.stride, :: self.stride]

    def pad(self, x):
        before = {"behind": 0, "before": self.new, "both": self.new // 2}[self.place]
        return F.pad(x, (0, 0, 0, 0, before, self.new - before))

    def forward(self, x):
        return self.pad(self.small(x))


def padded(**methods):
    return type("PlantedPad", (Padded,), methods)


class Projected(nn.Module):
    """Option B with a forward pass of its own."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.p, self.n = conv(c_in, c_out, stride, 1), nn.BatchNorm2d(c_out)

    def forward(self, x):
        return self.n(self.p(x))


def projected(function, always=False):
    kind = type("PlantedProjection", (Projected,), {"forward": function})
    return of(kind, always=always)


def only_for_stride(c_in, c_out, stride):
    return blocks.make_shortcut(c_in, c_out, stride) if stride > 1 else nn.Identity()


def only_for_channels(c_in, c_out, stride):
    return blocks.make_shortcut(c_in, c_out, stride) if c_in != c_out else nn.Identity()


def in_list(c_in, c_out, stride):
    made = Projected(c_in, c_out, stride)
    made.hidden = [made.p]
    del made.p
    made.__class__ = type("Hiding", (Projected,), {"p": property(lambda self: self.hidden[0])})
    return made


class Spare(nn.Module):
    """The identity, with layers that it does not use."""

    def __init__(self, *_):
        super().__init__()
        self.spare = nn.Linear(2, 3)

    def forward(self, x):
        return x


class Scaled(nn.Module):
    def __init__(self, *_):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * x


def spare_projection(c_in, c_out, stride):
    made = Projected(c_in, c_out, stride)
    made.spare = conv(c_in, c_out)
    return made


def changes_x(made, x):
    x.relu_()
    return made.n(made.p(x))


ALL = "ABC"
SAME = "Where the shapes agree: "
CHANGED = "Where the shape changes: "

FAULTS = [
    ("B", lambda: None, "make(4, 4, 1) raises TypeError"),
    ("B", lambda *_: None, "make(4, 4, 1) returned None"),
    ("B", lambda *_: lambda x: x, "not an nn.Module"),
    ("B", nn.Identity, CHANGED + "There is no projection: x comes out as it went in"),
    ("B", only_for_stride, "Where only the channels change: There is no projection: x comes out"),
    ("B", only_for_channels, "Where only the stride changes: There is no projection: x comes out"),
    ("B", of(pooled(nn.AvgPool2d)), CHANGED + "There is no projection: no convolution was seen"),
    ("B", Padded, CHANGED + "There is no projection. What comes out is option A"),
    ("B", of(point, norm, always=True), SAME + "The shortcut holds a convolution. A projection ev"),
    ("B", of(point), CHANGED + "There is no batch norm after the projection"),
    ("B", of(conv, norm), CHANGED + "The projection has a 3×3 kernel"),
    ("B", of(lambda i, o, s: conv(i, o, s, 1, bias=True), norm), "The projection has a bias"),
    ("B", of(lambda i, o, s: conv(i, o, s, 1, padding=1), norm), "The projection has padding 1"),
    ("B", of(unstrided, norm), CHANGED + "The projection has stride 1, though stride 2 was asked"),
    ("B", of(lambda i, o, s: conv(i, i, s, 1), norm), "The projection puts out 4 channels, not 8"),
    (
        "B",
        of(pooled(nn.AvgPool2d), unstrided, norm),
        "stride 2 was asked for: average pooling shrinks x in its place",
    ),
    ("B", of(pooled(nn.MaxPool2d), unstrided, norm), "max pooling shrinks x in its place"),
    ("B", of(point, norm, relu), CHANGED + "ReLU follows the batch norm"),
    (
        "B",
        of(relu, point, norm),
        CHANGED + "The projection does not read the block's input x as it",
    ),
    ("B", of(lambda i, o, s: norm(i, i, s), point), "The batch norm stands before the projection"),
    (
        "B",
        of(lambda i, o, s: nn.BatchNorm2d(i), point, norm),
        "The projection does not read the block's input x",
    ),
    ("B", of(point, norm, norm), "There is one norm too many"),
    ("B", of(point, unstrided_after := lambda i, o, s: conv(o, o, 1, 1), norm), "A projection has"),
    ("B", of(point, lambda i, o, s: nn.GroupNorm(2, o)), "Group norm follows the projection"),
    ("B", of(point, norm, lambda *_: nn.Dropout(0.5)), "something random is inside"),
    ("B", projected(lambda made, x: 2 * made.n(made.p(x))), "puts out 2·projection(x)"),
    ("B", projected(lambda made, x: made.n(made.p(x)).flip(2)), "something else than the batch no"),
    ("B", projected(lambda made, x: made.n(made.p(x.detach()))), "No gradient reaches x at all"),
    ("B", projected(changes_x), CHANGED + "The shortcut overwrites its input x"),
    ("B", of(in_list), "The parameters of the projection are not registered in the module"),
    ("B", of(spare_projection), "belong to no convolution and no batch norm that runs: `0.spare."),
    (
        "B",
        of(point, lambda i, o, s: nn.BatchNorm2d(o, track_running_stats=False)),
        "In eval mode the batch norm after the projection still uses the batch's own",
    ),
    ("B", of(point, lambda i, o, s: nn.BatchNorm2d(o, affine=False)), "no scale and shift"),
    ("B", of(lambda i, o, s: conv(i, o, (s, 1), 1), norm), "The projection has stride (2, 1)"),
    ("A", padded(forward=lambda made, x: Padded.forward(made, x) / 0), "NaN or infinite"),
    ("C", nn.Identity, SAME + "There is no projection, though option C has one in every block"),
    ("C", of(point, norm), SAME + "There is no projection, though option C has one in every block"),
    (
        "C",
        projected(lambda made, x: made.n(made.p(x)) + x, always=True),
        "x itself is added too. The shortcut only projects",
    ),
    ("A", nn.Identity, CHANGED + "The output has the shape (3, 4, 6, 8), not (3, 8, 3, 4). x come"),
    ("A", of(point, norm), CHANGED + "The shortcut holds a convolution. A projection is option B"),
    ("A", of(point, norm, always=True), SAME + "The shortcut holds a convolution. A projection"),
    ("A", padded(pad=lambda made, x: x), "The new channels are missing"),
    ("A", padded(small=lambda made, x: x), "The channels are padded, but the stride is forgotten"),
    (
        "A",
        padded(small=lambda made, x: F.avg_pool2d(x, made.stride)),
        "Average pooling shrinks x. Option A takes every second value",
    ),
    ("A", padded(small=lambda made, x: F.max_pool2d(x, made.stride)), "Max pooling shrinks x"),
    (
        "A",
        padded(small=lambda m, x: x[:, :, m.stride - 1 :: m.stride, m.stride - 1 :: m.stride]),
        "but not from the first value on",
    ),
    (
        "A",
        padded(pad=lambda made, x: torch.cat([x, x], 1) if made.new else x),
        "The new channels repeat the old ones",
    ),
    (
        "A",
        padded(pad=lambda m, x: torch.cat([x, torch.ones_like(x)], 1) if m.new else x),
        "The new channels are not zero",
    ),
    (
        "A",
        padded(small=lambda made, x: F.interpolate(x, scale_factor=1 / made.stride)),
        "The output has the shape (3, 8, 3, 2), not (3, 8, 4, 3)",
    ),
    ("A", of(Padded, relu), CHANGED + "ReLU is applied on the shortcut"),
    ("A", of(Padded, norm), CHANGED + "The shortcut holds a batch norm"),
    ("A", padded(forward=lambda made, x: 2 * Padded.forward(made, x)), "it puts out 2·x"),
    ("A", padded(forward=lambda made, x: Padded.forward(made, x.flip(3))), "not x: the largest"),
    *((option, Spare, "The shortcut has a parameter, `spare.weight`") for option in "AB"),
    *((option, Scaled, "The shortcut has a parameter, `scale`") for option in "AB"),
    *((option, lambda *_: nn.ReLU(), SAME + "ReLU is applied on the shortcut") for option in "AB"),
    *((option, lambda *_: nn.ReLU(inplace=True), "overwrites its input x") for option in ALL),
    *(
        (o, padded(forward=lambda made, x: x * 0), SAME + "The shortcut puts out zeros")
        for o in "A"
    ),
    *(
        (option, padded(forward=lambda made, x: Padded.forward(made, x).detach()), "No gradient re")
        for option in "AB"
    ),
    *(
        (option, padded(forward=lambda made, x: None), "The forward pass returned None")
        for option in ALL
    ),
]


@pytest.mark.parametrize(("option", "make", "words"), FAULTS)
def test_fault_is_found(option, make, words):
    report = checks.shortcut(make, option)
    assert not report
    assert words in report.fault


RIGHT = {
    "the library's A": ("A", lambda *a: blocks.make_shortcut(*a, shortcut="A")),
    "zeros behind": ("A", Padded),
    "zeros before": ("A", lambda *a: Padded(*a, place="before")),
    "zeros on both sides": ("A", lambda *a: Padded(*a, place="both")),
    "max pooling of single values": (
        "A",
        padded(small=lambda made, x: F.max_pool2d(x, 1, made.stride)),
    ),
    "the library's B": ("B", blocks.make_shortcut),
    "a Sequential": ("B", of(point, norm)),
    "an own module": ("B", of(Projected)),
    "values taken before the convolution": (
        "B",
        of(lambda i, o, s: nn.MaxPool2d(1, s), unstrided, norm),
    ),
    "an empty Sequential": (
        "B",
        lambda i, o, s: of(point, norm)(i, o, s) if (i, s) != (o, 1) else nn.Sequential(),
    ),
    "in double precision": ("B", lambda *a: blocks.make_shortcut(*a).double()),
    "the library's C": ("C", lambda *a: blocks.make_shortcut(*a, shortcut="C")),
    "a Sequential everywhere": ("C", of(point, norm, always=True)),
}


@pytest.mark.parametrize(("option", "make"), RIGHT.values(), ids=RIGHT.keys())
def test_right_shortcut_passes(option, make):
    report = checks.shortcut(make, option)
    assert report.passed, report.fault
    assert len(report.passed_checks) == 4


@pytest.mark.parametrize("place", ["behind", "before", "both"])
def test_report_says_where_the_zeros_stand(place):
    said = checks.shortcut(lambda *a: Padded(*a, place=place), "A").passed_checks[1]
    assert said.startswith("where the shape changes: every second value of x, 4 channels of zeros")
    assert {"behind": "behind the old", "before": "before the old", "both": "on both"}[
        place
    ] in said


def test_option_b_is_the_default():
    assert checks.shortcut(blocks.make_shortcut)
    assert not checks.shortcut(Padded)


@pytest.mark.parametrize("option", ["a", "D", None, 1])
def test_unknown_option_is_refused(option):
    with pytest.raises(ValueError, match="option must be one of A, B, C, got"):
        checks.shortcut(Padded, option)


def test_module_is_left_as_it_was():
    made = blocks.make_shortcut(4, 4, shortcut="C").eval()
    before = copy.deepcopy(made.state_dict())
    checks.shortcut(lambda *_: made, "C")
    assert not made.training
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert made[0].weight.grad is None

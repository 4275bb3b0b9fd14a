"""The simplest stacks: their depth, their twins and results known by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_models import signature

from resnet_lib.nets import PlainStack, ResidualStack

quick = settings(max_examples=15, deadline=None, derandomize=True)


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

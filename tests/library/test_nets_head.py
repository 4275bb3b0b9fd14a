"""Dropout in front of the classifier, and another in its place: what both leave alone."""

import copy
import re

import pytest
import torch
from torch import nn

from resnet_lib.nets import CifarResNet, add_dropout, replace_head, resnet18


class Head(nn.Module):
    """A classifier that lies deeper, and one that has no bias."""

    def __init__(self):
        super().__init__()
        self.body = nn.Flatten()
        self.top = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))

    def forward(self, x):
        return self.top(self.body(x))


def network(seed=0):
    torch.manual_seed(seed)
    return CifarResNet(8, num_classes=3, in_channels=1)


def test_eval_mode_is_as_before():
    net, x = network().eval(), torch.randn(4, 1, 8, 8)
    before = net(x)
    assert add_dropout(net, 0.5) is net
    assert torch.equal(net(x), before)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_inputs_are_dropped_with_that_probability_and_the_rest_scaled(share):
    net = nn.Sequential(nn.Linear(20_000, 2))
    nn.init.ones_(net[0].weight), nn.init.zeros_(net[0].bias)
    net[0].weight.data[1] = torch.arange(20_000) % 2  # the second output sees every other input
    add_dropout(net, share, head="0")
    torch.manual_seed(0)
    kept, of_every_other = (net(torch.ones(1, 20_000)) * (1 - share)).squeeze().tolist()
    assert kept / 20_000 == pytest.approx(1 - share, abs=0.02)
    assert kept == pytest.approx(round(kept), abs=0.1), "what is kept is divided by 1 - share"
    assert of_every_other / 10_000 == pytest.approx(1 - share, abs=0.02)
    again = (net(torch.ones(1, 20_000)) * (1 - share))[0, 0].item()
    assert round(again) != round(kept), "each pass throws new dice"


def test_a_dropped_input_has_no_gradient_and_a_kept_one_a_larger_one():
    net = nn.Sequential(nn.Linear(100, 1))
    add_dropout(net, 0.75, head="0")
    x = torch.ones(1, 100, requires_grad=True)
    net(x).backward()
    ratio = x.grad[0] / net[0].weight[0].detach()
    assert set(ratio.round(decimals=3).tolist()) == {0.0, 4.0}


def test_share_0_changes_nothing_in_train_mode():
    net, x = network(), torch.randn(4, 1, 8, 8)
    twin = copy.deepcopy(net)
    assert torch.equal(add_dropout(net, 0)(x), twin(x))


def test_parameters_are_the_same_objects_under_the_same_names():
    net = network()
    before = dict(net.named_parameters())
    random_numbers = torch.get_rng_state()
    add_dropout(net, 0.3)
    after = dict(net.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    assert torch.equal(torch.get_rng_state(), random_numbers)


def test_state_dicts_load_strictly_in_both_directions():
    plain, dropping = network(0), add_dropout(network(1), 0.3)
    dropping.load_state_dict(plain.state_dict(), strict=True)
    network(2).load_state_dict(dropping.state_dict(), strict=True)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(dropping.eval()(x), plain.eval()(x))


def test_a_second_call_replaces_the_share():
    net = add_dropout(add_dropout(network(), 0.9), 0.2)
    assert net.fc.share == 0.2
    assert isinstance(net.fc, nn.Linear)
    assert len(list(net.fc.modules())) == 1
    assert "share=0.2" in repr(net.fc)


def test_a_copy_drops_too_and_shares_nothing():
    net = add_dropout(network(), 0.5)
    twin = copy.deepcopy(net)
    assert twin.fc.weight is not net.fc.weight
    assert twin.fc.share == 0.5


@pytest.mark.parametrize(("head", "bias"), [("top.0", True), ("top.2", False)])
def test_any_linear_layer_may_be_the_head(head, bias):
    net, x = Head().eval(), torch.randn(3, 1, 2, 3)
    before = net(x)
    add_dropout(net, 0.5, head)
    assert torch.equal(net(x), before)
    assert not net.get_submodule(head).training, "the mode stays"
    assert (net.get_submodule(head).bias is not None) == bias
    net.train()
    assert not torch.equal(net(x), before)


@pytest.mark.parametrize("share", [1, 1.0, -0.1, 2, float("nan"), float("inf")])
def test_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"share must be at least 0 and below 1, got "):
        add_dropout(network(), share)


@pytest.mark.parametrize("share", ["0.5", None, True, [0.5]])
def test_share_that_is_no_number_is_refused(share):
    with pytest.raises(TypeError, match="share must be a number, got "):
        add_dropout(network(), share)


@pytest.mark.parametrize("head", ["classifier", "", "fc.weight", "conv1", "layer1", "fc."])
def test_head_that_is_no_linear_layer_is_refused(head):
    expected = f"head must name a linear layer of the model (fc), got {head!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        add_dropout(network(), 0.5, head)


def test_refusals_leave_the_model_as_it_was():
    net = network()
    before = net.fc
    for share, head in ((2, "fc"), (0.5, "conv1"), (0.5, 3)):
        with pytest.raises((TypeError, ValueError)):
            add_dropout(net, share, head)
    assert net.fc is before


def test_model_without_linear_layers_or_that_is_one_is_refused():
    for model in (nn.Conv2d(1, 1, 1), nn.Linear(2, 2)):
        with pytest.raises(ValueError, match=r"\(none\), got 'fc'"):
            add_dropout(model, 0.5)


def test_head_must_be_a_name():
    with pytest.raises(TypeError, match="head must be a name, as 'fc', got 3"):
        add_dropout(network(), 0.5, 3)


def test_imagenet_family_too():
    net = add_dropout(resnet18(num_classes=4), 0.1).eval()
    assert net(torch.randn(1, 3, 32, 32)).shape == (1, 4)


def test_new_head_has_its_classes_and_all_else_stays():
    net = network().eval()
    before = copy.deepcopy(net.state_dict())
    assert replace_head(net, 7) is net
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 7)
    changed = {n for n, t in net.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"fc.weight", "fc.bias"}


def test_new_head_is_drawn_as_a_linear_layer_is():
    net = network()
    torch.manual_seed(3)
    replace_head(net, 5)
    torch.manual_seed(3)
    drawn = nn.Linear(64, 5)
    assert torch.equal(net.fc.weight, drawn.weight)
    assert torch.equal(net.fc.bias, drawn.bias)


def test_new_head_lies_where_the_old_one_lay_and_keeps_its_format_and_mode():
    net = Head().double().eval()
    replace_head(net, 3, "top.2")
    assert net.top[2].weight.shape == (3, 4)
    assert net.top[2].bias is None
    assert net.top[2].weight.dtype == torch.float64
    assert not net.top[2].training
    assert replace_head(network().train(), 2).fc.training


def test_new_head_takes_dropout_away_with_the_old_one():
    net = replace_head(add_dropout(network(), 0.5), 4)
    assert type(net.fc) is nn.Linear


@pytest.mark.parametrize(
    ("classes", "head", "kind", "words"),
    [
        (0, "fc", ValueError, "num_classes must be a whole number of at least 1, got 0"),
        (2.0, "fc", TypeError, "num_classes must be a whole number"),
        (2, "classifier", ValueError, "head must name a linear layer of the model (fc)"),
        (2, None, TypeError, "head must be a name, as 'fc'"),
    ],
)
def test_what_is_no_head_is_refused_and_the_model_stays(classes, head, kind, words):
    net = network()
    old = net.fc
    with pytest.raises(kind, match=re.escape(words)):
        replace_head(net, classes, head)
    assert net.fc is old

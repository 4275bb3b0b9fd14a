"""Slices through the loss surface and its curvature, against hand computations and dense ones."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from resnet_lib import landscape, nets

STEPS = (-1.0, 0.0, 0.5)


def tiny() -> nn.Module:
    """Convolution, batch norm, dropout and a classifier, in double precision."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten()
    model = nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(12, 3)).double()
    nn.init.uniform_(model[1].running_mean, -1, 1)
    nn.init.uniform_(model[1].running_var, 0.5, 2)
    return model


def pictures(number: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(1)
    x = torch.randn(number, 1, 4, 4, generator=dice, dtype=torch.float64)
    return x, torch.arange(number) % 3


def direction_of(model: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    return landscape.filter_normalised_direction(model, torch.Generator().manual_seed(seed))


def scores_by_hand(model: nn.Module, weights: dict, x: torch.Tensor, statistics: str):
    """The tiny network without its dropout, written out."""
    z = F.conv2d(x, weights["0.weight"])
    norm = model[1]
    if statistics == "batch":
        mean, variance = z.mean(dim=(0, 2, 3)), z.var(dim=(0, 2, 3), unbiased=False)
    else:
        mean, variance = norm.running_mean, norm.running_var
    z = (z - mean[:, None, None]) / (variance[:, None, None] + norm.eps).sqrt()
    z = weights["1.weight"][:, None, None] * z + weights["1.bias"][:, None, None]
    return F.linear(z.tanh().flatten(1), weights["5.weight"], weights["5.bias"])


def moved(model: nn.Module, *parts: tuple[float, dict]) -> dict[str, torch.Tensor]:
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    return {name: w + sum(a * d[name] for a, d in parts) for name, w in weights.items()}


def test_every_filter_of_a_direction_is_as_long_as_the_models():
    model = nets.CifarResNet(8)
    found = direction_of(model)
    assert list(found) == [name for name, _ in model.named_parameters()]
    for name, weight in model.named_parameters():
        assert found[name].shape == weight.shape
        if weight.dim() == 1:
            assert not found[name].any()
            continue
        lengths = [one.detach().flatten(1).norm(dim=1) for one in (weight, found[name])]
        torch.testing.assert_close(*lengths)
        cosine = F.cosine_similarity(weight.flatten(), found[name].flatten(), dim=0)
        assert cosine.abs() < 0.3


def test_a_direction_depends_on_its_generator_alone():
    model = tiny()
    torch.manual_seed(5)
    one = direction_of(model, 3)
    torch.manual_seed(6)
    same, other = direction_of(model, 3), direction_of(model, 4)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_a_filter_of_zeros_stays_where_it_is():
    model = tiny()
    nn.init.zeros_(model[0].weight[1])
    assert not direction_of(model)["0.weight"][1].any()


@pytest.mark.parametrize("statistics", landscape.STATISTICS)
def test_a_slice_is_the_loss_by_hand(statistics):
    model, (x, labels) = tiny(), pictures()
    direction = direction_of(model)
    batches = [(x[:5], labels[:5]), (x[5:], labels[5:])]
    found = landscape.loss_along(model, batches, direction, STEPS, statistics=statistics)
    for a, loss in zip(STEPS, found.tolist(), strict=True):
        weights = moved(model, (a, direction))
        scores = [scores_by_hand(model, weights, part, statistics) for part, _ in batches]
        assert loss == pytest.approx(F.cross_entropy(torch.cat(scores), labels).item())


def test_a_plane_has_the_second_direction_in_its_rows():
    model, batch = tiny(), pictures()
    one, other = direction_of(model, 0), direction_of(model, 1)
    found = landscape.loss_plane(model, [batch], one, other, STEPS)
    assert found.shape == (3, 3)
    torch.testing.assert_close(found[1], landscape.loss_along(model, [batch], one, STEPS))
    torch.testing.assert_close(found[:, 1], landscape.loss_along(model, [batch], other, STEPS))
    weights = moved(model, (0.5, one), (-1.0, other))
    corner = F.cross_entropy(scores_by_hand(model, weights, batch[0], "batch"), batch[1])
    assert found[0, 2].item() == pytest.approx(corner.item())


def dense_hessian(model: nn.Module, x, labels, statistics: str = "batch") -> torch.Tensor:
    """All second derivatives, by torch.func, of the network written out."""
    weights = moved(model)
    sizes = [weight.numel() for weight in weights.values()]

    def loss(vector):
        parts = zip(weights.items(), vector.split(sizes), strict=True)
        placed = {name: part.view(weight.shape) for (name, weight), part in parts}
        return F.cross_entropy(scores_by_hand(model, placed, x, statistics), labels)

    return torch.func.hessian(loss)(torch.cat([w.flatten() for w in weights.values()]))


def vector_of(direction: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([part.flatten() for part in direction.values()])


@pytest.mark.parametrize("statistics", landscape.STATISTICS)
def test_a_product_is_that_of_the_dense_hessian(statistics):
    model, (x, labels) = tiny(), pictures()
    direction = {name: torch.randn_like(weight) for name, weight in model.named_parameters()}
    batches, how = [(x, labels)], {"statistics": statistics}
    found = landscape.hessian_vector_product(model, batches, direction, **how)
    wanted = dense_hessian(model, x, labels, statistics) @ vector_of(direction)
    torch.testing.assert_close(vector_of(found), wanted)


def test_batches_count_by_their_images():
    model, (x, labels) = tiny(), pictures(9)
    direction = direction_of(model)
    batches, how = [(x[:7], labels[:7]), (x[7:], labels[7:])], {"statistics": "running"}
    whole = landscape.hessian_vector_product(model, [(x, labels)], direction, **how)
    parts = landscape.hessian_vector_product(model, batches, direction, **how)
    torch.testing.assert_close(vector_of(whole), vector_of(parts))


def test_eigenvalues_are_those_of_the_dense_hessian():
    model, batch = tiny(), pictures()
    wanted = torch.linalg.eigvalsh(dense_hessian(model, *batch)).flip(0)
    found = landscape.hessian_eigenvalues(model, [batch], 3, tolerance=0)
    assert found == pytest.approx(wanted[:3].tolist(), rel=1e-8)
    rough = landscape.hessian_eigenvalues(model, [batch])
    assert rough == pytest.approx(wanted[:1].tolist(), rel=0.01)


def test_frozen_weights_are_no_part_of_the_hessian():
    model, batch = tiny(), pictures()
    model[0].requires_grad_(False)
    size = model[0].weight.numel()
    part = dense_hessian(model, *batch)[size:, size:]
    found = landscape.hessian_eigenvalues(model, [batch], tolerance=0)
    assert found == pytest.approx([torch.linalg.eigvalsh(part).max().item()], rel=1e-8)
    product = landscape.hessian_vector_product(model, [batch], direction_of(model))
    assert not product["0.weight"].any()


def test_the_eigenvalue_of_a_parabola_in_single_precision():
    """The loss w₁² + 3 w₂² + …: curvature 2, 6, …; one that is linear in a weight has none."""
    model = nn.Linear(4, 1, bias=False)
    factors = torch.tensor([[1.0, 3.0, 2.0, 0.5]])

    def loss_function(outputs, labels):
        return (factors.sqrt() * model_weight(outputs)).square().sum()

    def model_weight(outputs):  # of the identity matrix the outputs are the weights
        return outputs.T

    batches = [(torch.eye(4), torch.zeros(4))]
    found = landscape.hessian_eigenvalues(model, batches, 2, loss_function=loss_function)
    assert found == pytest.approx([6, 4], rel=0.01)
    straight = landscape.hessian_vector_product(
        model, batches, direction_of(model), loss_function=lambda outputs, labels: outputs.sum()
    )
    assert not straight["weight"].any()


@pytest.mark.parametrize("statistics", landscape.STATISTICS)
def test_nothing_of_the_caller_is_changed(statistics):
    model, batch = tiny().train(), pictures()
    model[4].eval()
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    before = copy.deepcopy(model)
    model[5].weight.requires_grad_(False)
    draws = torch.get_rng_state()
    direction, how = direction_of(model), {"statistics": statistics}
    with torch.no_grad():
        landscape.loss_along(model, [batch], direction, STEPS, **how)
        landscape.loss_plane(model, [batch], direction, direction, STEPS, **how)
        landscape.hessian_eigenvalues(model, [batch], **how)
    assert torch.equal(draws, torch.get_rng_state())
    for (name, value), old in zip(
        model.state_dict().items(), before.state_dict().values(), strict=True
    ):
        assert torch.equal(value, old), name
    modes = [[part.training for part in one.modules()] for one in (model, before)]
    assert modes[0] == modes[1]
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert frozen == ["5.weight"]
    assert all((weight.grad == 1).all() for weight in model.parameters())


def test_modes_come_back_after_an_error():
    model = tiny().train()
    x, labels = pictures()
    with pytest.raises(IndexError):
        landscape.loss_along(model, [(x, labels + 5)], direction_of(model), STEPS)
    assert all(part.training for part in model.modules())


def test_with_running_statistics_a_slice_is_another():
    model = nets.CifarResNet(8, in_channels=1)
    dice = torch.Generator().manual_seed(0)
    batch = torch.randn(32, 1, 8, 8, generator=dice), torch.arange(32) % 10
    torch.optim.swa_utils.update_bn([batch], model)
    own, kept = (
        landscape.loss_along(model, [batch], direction_of(model), (0, 1), statistics=name)
        for name in landscape.STATISTICS
    )
    assert own[0].item() == pytest.approx(kept[0].item(), rel=0.05)
    assert abs(kept[1] - own[1]) > 0.2 * own[1]


def test_scaling_before_batch_norm_leaves_the_slice_and_changes_the_eigenvalue():
    torch.manual_seed(0)
    model = nets.CifarResNet(8, in_channels=1).double()
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(32, 1, 8, 8, generator=dice, dtype=torch.float64)
    batches, scaled = [(x, torch.arange(32) % 10)], copy.deepcopy(model)
    with torch.no_grad():
        for part in scaled.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.mul_(0.25)
    slices = [
        landscape.loss_along(one, batches, direction_of(one), STEPS) for one in (model, scaled)
    ]
    torch.testing.assert_close(*slices, rtol=1e-2, atol=0)
    one, other = (landscape.hessian_eigenvalues(net, batches)[0] for net in (model, scaled))
    assert other > 5 * one


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"statistics": "moving"}, ValueError, r"statistics must be one of batch, running, got"),
        ({"batches": iter([])}, TypeError, r"batches must be a list or the like.*got an iterator"),
        ({"batches": []}, ValueError, r"batches must hold at least one image, got none"),
        ({"direction": {}}, ValueError, r"direction must hold a tensor for each parameter"),
        (
            {"direction": {"weight": torch.zeros(3, 2)}},
            ValueError,
            r"of its shape: weight is \(2, 3\) there, got \(3, 2\)",
        ),
        (
            {"direction": {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}},
            ValueError,
            r"bias is None there, got \(2,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change, error, message):
    model = nn.Linear(3, 2, bias=False)
    fitting = {"batches": [(torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64))]}
    fitting |= {"direction": direction_of(model)}
    with pytest.raises(error, match=message):
        landscape.loss_along(model, **fitting | change, steps=STEPS)
    with pytest.raises(error, match=message):
        landscape.hessian_vector_product(model, **fitting | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 6}, "count must be a whole number from 1 to 5, got 6"),
        ({"count": 0}, "count must be a whole number from 1 to 5, got 0"),
        ({"tolerance": -1}, "tolerance must be a number of at least 0, got -1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_eigenvalues_out_of_range_are_refused(change, message):
    model = nn.Linear(3, 2, bias=False)
    batches = [(torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64))]
    with pytest.raises(ValueError, match=message):
        landscape.hessian_eigenvalues(model, batches, **change)


def test_the_functional_call_sees_tied_weights_as_one():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)).double()
    model[1].weight = model[0].weight
    batch = torch.eye(3, dtype=torch.float64), torch.arange(3)
    direction = direction_of(model)
    assert list(direction) == ["0.weight"]
    found = landscape.loss_along(model, [batch], direction, [1.0])[0]
    weight = model[0].weight.detach() + direction["0.weight"]
    wanted = F.cross_entropy(batch[0] @ weight.T @ weight.T, batch[1])
    assert found.item() == pytest.approx(wanted.item())
    assert functional_call(model, {}, (batch[0],)).shape == (3, 3)

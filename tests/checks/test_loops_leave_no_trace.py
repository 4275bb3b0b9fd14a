"""The checks of loops change nothing outside, never raise, and always say the same."""

import gc
import random
import sys
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from plant_loops import accumulating, evaluation, step
from torch import nn
from torch.optim import optimizer as optimizers
from torch.overrides import _get_current_function_mode_stack

import resnet_checks as checks


def meddling(*arguments):
    """Changes all that is global, then fails."""
    torch.manual_seed(3)
    torch.rand(5)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    print("here")
    print("there", file=sys.stderr)
    raise RuntimeError(f"no such thing as {object()}")


CHECKS = {
    "step": (checks.training_step, step()),
    "evaluation": (checks.evaluation_loop, evaluation()),
    "accumulation": (checks.accumulation, accumulating()),
}
both = pytest.mark.parametrize(("check", "right"), CHECKS.values(), ids=CHECKS.keys())


@both
@pytest.mark.parametrize("grad", [True, False])
def test_surroundings_are_left_as_they_were(check, right, grad, capsys):
    before, python = torch.get_rng_state(), random.getstate()
    threads, hooks = torch.get_num_threads(), len(optimizers._global_optimizer_pre_hooks)
    with torch.set_grad_enabled(grad):
        assert check(right)
        assert not check(meddling)
        assert torch.is_grad_enabled() is grad
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == torch.float32
    assert len(optimizers._global_optimizer_pre_hooks) == hooks
    assert _get_current_function_mode_stack() == []
    assert capsys.readouterr() == ("", "")


@both
@pytest.mark.parametrize(
    "surroundings",
    [nullcontext, torch.no_grad, torch.inference_mode, lambda: torch.device("meta")],
)
def test_verdict_does_not_depend_on_the_surroundings(check, right, surroundings):
    expected = [check(right), check(meddling)]
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    try:
        with surroundings():
            found = [check(right), check(meddling)]
            assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == expected
    assert expected[0]
    assert "0x" not in repr(expected[1])


def test_nothing_of_the_model_is_kept():
    def number():
        gc.collect()
        return sum(type(thing).__name__ == "Probe" for thing in gc.get_objects())

    before = number()
    for check, right in CHECKS.values():
        assert check(right)
        assert not check(meddling)
    assert number() == before


def without_a_part(model, *_):
    del model.head


def without_norm(model, *_):
    model.norm = nn.LayerNorm((4, 6, 5))


def with_a_part(model, *_):
    model.more = nn.BatchNorm2d(3)


def not_a_number(model, *_):
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))


def in_single(model, *_):
    model.float()


def hollow(model, *_):
    model.requires_grad_(False)


def without_gradients(model, *_):
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))


DAMAGE = [
    without_a_part,
    without_norm,
    with_a_part,
    not_a_number,
    in_single,
    hollow,
    without_gradients,
    lambda *_: sys.exit(2),
]


@both
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("first", [True, False])
def test_damage_becomes_a_fault(check, right, damage, first):
    def planted(*arguments):
        if first:
            damage(*arguments)
        result = right(*arguments)
        if not first:
            damage(*arguments)
        return result

    report = check(planted)
    harmless = damage is without_gradients and check is not checks.evaluation_loop
    assert report.passed is harmless, report


def test_vectorised_gradients_give_a_report():
    """Under vmap the model sees one image at a time, and the check cannot follow."""

    def train(model, optimizer, batches, every):
        values = {name: p.detach() for name, p in model.named_parameters()}

        def loss(values, image, label):
            scores = torch.func.functional_call(model, values, (image[None],))
            return F.cross_entropy(scores, label[None])

        each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
        for images, labels in batches:
            found = each(values, images, labels)
            for name, parameter in model.named_parameters():
                parameter.grad = found[name].mean(0)
            optimizer.step()

    assert not checks.accumulation(train)


def test_emptied_optimizer_is_a_fault():
    report = checks.training_step(step(last=lambda model, o, *_: o.param_groups.clear()))
    assert "settings: it had 1 group of parameters and has 0" in report.fault


@pytest.mark.parametrize(
    "result",
    [
        torch.tensor(1.0, device="meta"),
        torch.tensor(1j),
        torch.ones(0),
        {"loss": 1.0},
        "1.0",
        F.relu,
        1j,
    ],
)
def test_what_is_no_number_is_a_fault(result):
    assert not checks.training_step(step(returned=lambda *_: result))
    assert not checks.evaluation_loop(evaluation(result=lambda *_: (result, 0.5)))
    assert not checks.evaluation_loop(evaluation(result=lambda *_: result))


def test_zero_dimensional_array_is_a_number():
    assert checks.training_step(step(returned=lambda loss, *_: loss.detach().numpy()))

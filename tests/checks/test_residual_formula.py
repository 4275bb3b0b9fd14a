"""Every fault that `checks.residual_formula` names, planted and found; and what passes."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import resnet_checks as checks


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.f = branch

    def forward(self, x):
        return self.f(x) + x


def of(function):
    """A module that computes `function(branch, x)`."""

    class Made(Residual):
        def forward(self, x):
            return function(self.f, x)

    return Made


class NoSuper(nn.Module):
    def __init__(self, branch):
        self.f = branch


class InList(Residual):
    def __init__(self, branch):
        super().__init__(nn.Identity())
        self.layers = [branch]

    def forward(self, x):
        return self.layers[0](x) + x


class Copied(Residual):
    def __init__(self, branch):
        super().__init__(copy.deepcopy(branch))


class CopiedAndWrong(Copied):
    def forward(self, x):
        return self.f(x).abs() + x


class Gated(Residual):
    def __init__(self, branch):
        super().__init__(branch)
        self.gate = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.gate * self.f(x) + x


class Scaled(Residual):
    """Its factor has one dimension, so a single number would come back as a vector."""

    def __init__(self, branch):
        super().__init__(branch)
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.factor * self.f(x) + x


class Started(Gated):
    """Its gate is closed at the beginning."""

    def __init__(self, branch):
        super().__init__(branch)
        nn.init.zeros_(self.gate)


class OnlyInTraining(Residual):
    def forward(self, x):
        return self.f(x) + x if self.training else self.f(x)


def in_place(f, x):
    x += f(x)
    return x


def relu_first(f, x):
    x.relu_()
    return f(x) + x


def called_twice(f, x):
    f(x)
    return f(x) + x


def shortcut_first(f, x):
    out = x.clone()
    out += f(x)
    return out


def without_gradient(f, x):
    with torch.no_grad():
        out = f(x)
    return out + x


FAULTS = [
    (lambda: None, "make(branch) raises TypeError"),
    (lambda f: 1 / 0, "make(branch) raises ZeroDivisionError: division by zero (in <lambda>"),
    (NoSuper, "cannot assign module before Module.__init__() call"),
    (lambda f: None, "make(branch) returned None"),
    (lambda f: 3, "object of type int, which cannot be called"),
    (lambda f: f(torch.ones(3)), "object of type Tensor, which cannot be called"),
    (of(lambda f, x: f(x).nothing), "Calling the module on a batch of images raises AttributeErr"),
    (of(lambda f, x: None), "The module returned None"),
    (of(lambda f, x: (f(x), x)), "object of type tuple, not a tensor"),
    (of(lambda f, x: torch.cat([f(x), x], dim=1)), "The shape changed from (2, 3, 4, 5) to (2, 6,"),
    (of(lambda f, x: (f(x) + x).double()), "type of the values changed from torch.float32 to"),
    (of(lambda f, x: (f(x) + x).float()), "changed from torch.float64 to torch.float32"),
    (of(in_place), "The input x is changed in place"),
    (of(relu_first), "The input x is changed in place"),
    (of(lambda f, x: F.dropout(f(x)) + x), "Two calls on the same x give different results"),
    (of(lambda f, x: f(x)), "The addition is missing: the result is F(x) alone"),
    (lambda f: f, "The addition is missing"),
    (of(lambda f, x: x), "The branch has no part in the result, which is x alone"),
    (of(lambda f, x: 0 * x), "The result is zero everywhere"),
    (of(lambda f, x: f(x) - x), "A sign is wrong: the result is F(x) − x"),
    (of(lambda f, x: x - f(x)), "A sign is wrong: the result is x − F(x)"),
    (of(lambda f, x: f(x) + x + x), "The shortcut is counted twice: the result is F(x) + 2·x"),
    (of(lambda f, x: f(x) + f(x) + x), "The branch is counted twice: the result is 2·F(x) + x"),
    (of(lambda f, x: (f(x) + x) / 2), "The sum is weighted: the result is 0.5·F(x) + 0.5·x"),
    (of(lambda f, x: -f(x) - x), "A sign is wrong: the result is −F(x) − x"),
    (of(lambda f, x: 1.01 * f(x) + x), "The sum is weighted: the result is 1.01·F(x) + x"),
    (of(lambda f, x: f(x) * x), "F(x) and x are multiplied"),
    (of(lambda f, x: F.relu(f(x) + x)), "ReLU is applied to the sum"),
    (of(lambda f, x: torch.tanh(f(x) + x)), "tanh is applied to the sum"),
    (of(lambda f, x: F.relu(f(x)) + x), "ReLU is applied to F(x)"),
    (of(lambda f, x: f(x) + F.relu(x)), "ReLU is applied to x:"),
    (of(lambda f, x: f(f(x)) + x), "The branch is applied twice, one after the other"),
    (of(lambda f, x: f(x + 1) + x), "The branch is given something else than x"),
    (of(lambda f, x: f(x).abs() + x), "The result differs from F(x) + x: the largest difference"),
    (of(lambda f, x: (f(x) + x) / 0), "Some values of the result are NaN or infinite"),
    (of(called_twice), "The branch is called 2 times for one x"),
    (CopiedAndWrong, "The branch that was given is never called"),
    (Copied, "The branch that was given is never called"),
    (OnlyInTraining, "In eval mode: The addition is missing"),
    (of(lambda f, x: (f(x) + x) if x.dim() > 2 else f(x)), "For a vector the result differs"),
    (of(lambda f, x: f(x) + x.detach()), "No gradient passes through the shortcut"),
    (of(lambda f, x: f(x).detach() + x), "No gradient passes through the branch"),
    (of(without_gradient), "No gradient passes through the branch"),
    (of(lambda f, x: (f(x) + x).detach()), "No gradient passes: the result is cut off"),
    (of(lambda f, x: f(x) + (x + x.detach()) / 2), "The gradient of the result differs from F′(x)"),
    (
        lambda f: lambda x: torch.from_numpy(np.asarray(f(x) + x)),
        "A training step raises RuntimeErr",
    ),
    (InList, "The branch is not registered in the module"),
    (Gated, "a parameter of its own, `gate`"),
    (Scaled, "a parameter of its own, `factor`"),
    (Started, "a parameter of its own, `gate`"),
]

RIGHT = {
    "a class": Residual,
    "a function": lambda f: lambda x: f(x) + x,
    "x first": of(lambda f, x: x + f(x)),
    "torch.add": of(lambda f, x: torch.add(f(x), x)),
    "sum": of(lambda f, x: sum([f(x), x])),
    "in place on the branch's result": of(lambda f, x: f(x).add_(x)),
    "in place on a copy of x": of(shortcut_first),
    "the branch in a Sequential": lambda f: Residual(nn.Sequential(nn.Identity(), f)),
    "in eval mode": lambda f: Residual(f).eval(),
}


@pytest.mark.parametrize(("make", "words"), FAULTS)
def test_fault_is_found(make, words):
    report = checks.residual_formula(make)
    assert not report
    assert words in report.fault


def test_f_that_is_torch_nn_functional_gets_a_hint():
    report = checks.residual_formula(of(lambda f, x: F(x) + x))
    assert "'module' object is not callable" in report.fault
    assert "F is torch.nn.functional" in report.hint


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT.keys())
def test_right_formula_passes(make):
    report = checks.residual_formula(make)
    assert report.passed, report.fault


def test_verdict_is_the_same_twice():
    for make, _ in FAULTS:
        assert repr(checks.residual_formula(make)) == repr(checks.residual_formula(make))

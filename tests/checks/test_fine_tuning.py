"""Every fault that `checks.fine_tuning` names, planted and found; and what passes."""

import copy

import pytest
import torch
from torch import nn

import resnet_checks as checks
from resnet_lib import nets


def nothing(model):
    pass


def new_head(model, num_classes):
    model.fc = nn.Linear(model.fc.in_features, num_classes)


def of_all(model):
    return model.parameters()


def asking(model):
    return [p for p in model.parameters() if p.requires_grad]


def frozen(model):
    model.requires_grad_(False).eval()


def without_modes(model):
    model.requires_grad_(False)


def modes_only(model):
    model.eval()


def prepared(freeze=frozen, head=new_head, after=nothing, held=asking, **settings):
    """A preparation, put together so that one piece can be wrong."""

    def prepare(model, num_classes):
        freeze(model)
        head(model, num_classes)
        after(model)
        return model, torch.optim.SGD(held(model), **{"lr": 0.1, "momentum": 0.9} | settings)

    return prepare


def but(name):
    """All is frozen but one part beside the head."""

    def freeze(model):
        frozen(model)
        model.get_submodule(name).requires_grad_(True).train()

    return freeze


def head_first(model, num_classes):
    new_head(model, num_classes)
    model.requires_grad_(False).eval()
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def optimizer_first(model, num_classes):
    frozen(model)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    new_head(model, num_classes)
    return model, optimizer


def anew(model, num_classes):
    return prepared()(nets.CifarResNet(8), num_classes)


def softmaxed(model, num_classes):
    model.fc = nn.Sequential(nn.Linear(64, num_classes), nn.Softmax(dim=1))


def cut(model):
    forward = model.fc.forward
    model.fc.forward = lambda x: forward(x).detach().requires_grad_()


def of_another(model):
    return [*asking(model), *nn.Linear(2, 2).parameters()]


def moving_norm(model):
    """In eval mode, but its statistics follow all the same."""

    def move(module, inputs):
        module.running_mean.mul_(0.9)

    model.bn1.register_forward_pre_hook(move)


FAULTS = {
    "exits": (lambda model, n: exit(2), "raises SystemExit: 2"),
    "on meta": (prepared(after=lambda m: m.to("meta")), "parameters are on the meta device"),
    "raises": (lambda model, n: 1 / 0, "prepare(model, num_classes) raises ZeroDivisionError"),
    "one argument": (lambda model: model, "raises TypeError"),
    "returns nothing": (lambda model, n: None, "The function returned None"),
    "returns the model": (lambda model, n: model, "returned CifarResNet, not the pair"),
    "wrong order": (
        lambda model, n: prepared()(model, n)[::-1],
        "In the place of the model stands a SGD",
    ),
    "no optimizer": (lambda model, n: (model, 0.1), "In the place of the optimizer stands a float"),
    "old head": (
        prepared(head=lambda *_: None, held=of_all),
        "still puts out 10 scores: its old head is in",
    ),
    "two classes": (prepared(head=lambda m, n: new_head(m, 2)), "puts out (8, 2) scores, not (8, "),
    "wrong width": (
        prepared(head=lambda m, n: setattr(m, "fc", nn.Linear(512, n))),
        "The forward pass raises RuntimeError",
    ),
    "no head": (
        prepared(head=lambda m, n: delattr(m, "fc"), held=of_all),
        "The model has no part `fc` any more",
    ),
    "softmax": (prepared(head=softmaxed), "The new head ends with softmax"),
    "built anew": (anew, "`conv1.weight` is not what came: what the first training has learned"),
    "initialised again": (
        prepared(after=lambda m: nn.init.zeros_(m.layer2[0].conv1.weight)),
        "`layer2.0.conv1.weight` is not what came",
    ),
    "statistics reset": (
        prepared(after=lambda m: m.bn1.reset_running_stats()),
        "`bn1.running_mean` is not what came",
    ),
    "another body": (prepared(after=lambda m: delattr(m, "layer3")), "has no `layer3.0.conv1.wei"),
    "head frozen": (head_first, "No parameter asks for a gradient: everything is frozen, the new"),
    "bias frozen": (
        prepared(after=lambda m: m.fc.bias.requires_grad_(False)),
        "`fc.bias` is frozen, though `fc` is to be trained",
    ),
    "nothing frozen": (prepared(modes_only), "`conv1.weight` and 20 more still ask for a gradient"),
    "one part free": (prepared(but("layer3")), "`layer3.0.conv1.weight` and 5 more still ask"),
    "optimizer holds the head": (
        prepared(nothing, held=lambda m: m.fc.parameters()),
        "`conv1.weight` and 20 more still ask for a gradient",
    ),
    "optimizer first": (optimizer_first, "The optimizer holds the old head's parameters, and not"),
    "optimizer lacks the bias": (
        prepared(held=lambda m: [m.fc.weight]),
        "The optimizer does not know `fc.bias`",
    ),
    "optimizer of another": (prepared(held=of_another), "parameters that are no part of the model"),
    "no modes": (prepared(without_modes), "7 frozen batch norms are in train mode, `bn1` first"),
    "train mode at the end": (
        prepared(after=lambda m: m.train()),
        "7 frozen batch norms are in train mode, `bn1` first",
    ),
    "one norm in train mode": (
        prepared(after=lambda m: m.layer2.train()),
        "2 frozen batch norms are in train mode, `layer2.0.bn1` first",
    ),
    "no rate": (prepared(lr=0.0), "`fc.weight` is as before after 2 steps: it is not trained"),
    "cut off": (prepared(after=cut), "`fc.weight` is as before after 2 steps"),
    "statistics move": (prepared(after=moving_norm), "`bn1.running_mean` has changed in training"),
}

HALF = {
    "layer3 frozen": (prepared(), "`layer3.0.conv1.weight` is frozen, though `layer3` is to be"),
    "layer2 free": (prepared(but("layer2")), "`layer3.0.conv1.weight` is frozen"),
    "not in the optimizer": (
        prepared(but("layer3"), held=lambda m: m.fc.parameters()),
        "The optimizer does not know `layer3.0.conv1.weight`",
    ),
    "all in eval mode": (
        prepared(but("layer3"), after=lambda m: m.eval()),
        "`layer3.0.bn1` is in eval mode, though it is to be trained",
    ),
    "all in train mode": (
        prepared(but("layer3"), after=lambda m: m.train()),
        "5 frozen batch norms are in train mode",
    ),
}


def library(model, num_classes):
    nets.replace_head(nets.freeze(model), num_classes)
    return model, torch.optim.AdamW(asking(model), lr=1e-3)


def on_a_copy(model, num_classes):
    return prepared()(copy.deepcopy(model), num_classes)


RIGHT = {
    "by hand": (prepared(), ()),
    "the library's": (library, ()),
    "all parameters handed over": (prepared(held=of_all), ()),
    "double precision": (prepared(after=lambda m: m.double()), ()),
    "data parallel": (lambda m, n: (nn.DataParallel(m), prepared()(m, n)[1]), ()),
    "a copy": (on_a_copy, ()),
    "dropout in the head": (
        prepared(after=lambda m: nets.add_dropout(m, 0.5)),
        (),
    ),
    "half": (prepared(but("layer3")), ("layer3",)),
    "a rate for each part": (
        prepared(
            but("layer3"),
            held=lambda m: [
                {"params": m.fc.parameters(), "lr": 0.1},
                {"params": m.layer3.parameters(), "lr": 0.01},
            ],
        ),
        ["layer3"],
    ),
    "everything": (prepared(lambda m: m.train()), ("conv1", "bn1", "layer1", "layer2", "layer3")),
}


@pytest.mark.parametrize(("prepare", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found(prepare, words):
    report = checks.fine_tuning(prepare)
    assert not report
    assert words in report.fault, report.fault


@pytest.mark.parametrize(("prepare", "words"), HALF.values(), ids=HALF.keys())
def test_fault_is_found_where_more_than_the_head_is_trained(prepare, words):
    report = checks.fine_tuning(prepare, trained=("layer3",))
    assert not report
    assert words in report.fault, report.fault


@pytest.mark.parametrize(("prepare", "trained"), RIGHT.values(), ids=RIGHT.keys())
def test_right_preparation_passes(prepare, trained):
    report = checks.fine_tuning(prepare, trained)
    assert report.passed, report.fault
    assert len(report.passed_checks) == 5


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="prepare must be a function that is called as prepare"):
        checks.fine_tuning(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="trained must be several names"):
        checks.fine_tuning(library, "layer3")
    with pytest.raises(ValueError, match=r"trained must name parts of it \(conv1, bn1, layer1, "):
        checks.fine_tuning(library, ("layer4",))

"""Every fault that `checks.accumulation` names, planted and found; and what passes."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from plant_loops import accumulating, groups, nothing, step
from torch import nn

import resnet_checks as checks


def loop(
    due=lambda i, every, number: (i + 1) % every == 0 or i + 1 == number,
    divisor=lambda i, every, number: min(every, number - i // every * every),
    end=nothing,
    losses=F.cross_entropy,
    order="backward update zero",
):
    """The usual loop, which is right where all micro-batches are of one size.

    `due(i, every, number)` says whether an update follows the micro-batch i.
    """

    def planted(model, optimizer, batches, every):
        optimizer.zero_grad()
        for i, (images, labels) in enumerate(batches):
            loss = losses(model(images), labels) / divisor(i, every, len(batches))
            for part in order.split():
                if part == "backward":
                    loss.backward()
                elif due(i, every, len(batches)):
                    optimizer.step() if part == "update" else optimizer.zero_grad()
        end(model, optimizer)

    return planted


def size(group):
    return sum(len(labels) for _, labels in group)


def sums_first(model, optimizer, batches, every):
    """One backward pass for each update: right, but all graphs are kept until then."""
    for group in groups(batches, every):
        optimizer.zero_grad()
        losses = [F.cross_entropy(model(x), y, reduction="sum") for x, y in group]
        (sum(losses) / size(group)).backward()
        optimizer.step()


def joined(model, optimizer, batches, every):
    """Right, but each update needs the memory of the joined batch."""
    for group in groups(batches, every):
        images, labels = map(torch.cat, zip(*group, strict=True))
        step()(model, optimizer, images, labels)


def kept_zero(optimizer):
    optimizer.zero_grad(set_to_none=False)


def one_more(model, optimizer):
    optimizer.step()


def own_optimizer(model, optimizer, batches, every):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    accumulating()(model, optimizer, batches, every)


def by_hand(model, optimizer, batches, every):
    for group in groups(batches, every):
        optimizer.zero_grad()
        for images, labels in group:
            (F.cross_entropy(model(images), labels, reduction="sum") / size(group)).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.001 * parameter.grad


def scale(factor):
    def grads(model):
        for parameter in model.parameters():
            parameter.grad *= factor

    return grads


def clip(model):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def decay(model):
    for parameter in model.parameters():
        parameter.grad += 1e-4 * parameter.detach()


def no_head(model):
    model.head.weight.grad.zero_()


def in_eval(model, images):
    return model.eval()(images)


def without_gradients(model, images):
    with torch.no_grad():
        return model(images)


def twice(model, images):
    model(images)
    return model(images)


def forgetful(optimizer):
    optimizer.zero_grad()
    optimizer.state.clear()


def halving(optimizer):
    optimizer.zero_grad()
    optimizer.param_groups[0]["lr"] /= 2


def late_update(model, optimizer, batches, every):
    """Steps before the backward pass of the group's last micro-batch."""
    optimizer.zero_grad()
    for i, (images, labels) in enumerate(batches):
        loss = F.cross_entropy(model(images), labels) / every
        if (i + 1) % every == 0:
            optimizer.step()
            optimizer.zero_grad()
        loss.backward()


def emptying(model, optimizer, batches, every):
    accumulating()(model, optimizer, list(batches), every)
    batches.clear()


def labels_changed(model, optimizer, batches, every):
    for _, labels in batches:
        labels.zero_()
    accumulating()(model, optimizer, batches, every)


def summed(scores, labels):
    return F.cross_entropy(scores, labels, reduction="sum")


def first_ones(loss):
    """A loss that counts at every second call only."""
    calls = itertools.count()
    return lambda scores, labels: loss(scores, labels) * (next(calls) % 2 == 0)


def due_at(offset):
    return lambda i, every, number: (i + offset) % every == 0


FAULTS = {
    "raises": (accumulating(before=lambda optimizer: 1 / 0), "every) raises ZeroDivisionError"),
    "three arguments": (lambda model, optimizer, batches: None, "raises TypeError"),
    "another model": (
        lambda model, optimizer, batches, every: accumulating()(
            nn.Sequential(nn.Flatten(), nn.Linear(90, 5)), optimizer, batches, every
        ),
        "The model that was given is never called",
    ),
    "in eval mode": (accumulating(scores=in_eval), "The forward pass runs in eval mode"),
    "no gradients": (accumulating(scores=without_gradients), "runs with gradients switched off"),
    "changes the labels": (labels_changed, "images or the labels that were given are changed"),
    "another optimizer": (own_optimizer, "made by another optimizer than the one that was given"),
    "by hand": (by_hand, "The parameters change, but not through optimizer.step()"),
    "runs twice": (accumulating(scores=twice), "given 60 images, although the micro-batches hold"),
    "no update": (loop(order="backward zero"), "optimizer.step() is never called"),
    "each one": (loop(due=lambda *_: True), "An update is made after each micro-batch"),
    "only at the end": (
        loop(due=lambda i, every, number: i + 1 == number),
        "one update only, at the end: `every` has no effect",
    ),
    "off by one": (
        loop(due=due_at(0)),
        "off by one: they come after micro-batches 1, 3 and 5, not after 2, 4 and 6",
    ),
    "off by one, with remainder": (
        loop(due=lambda i, every, number: i % every == 0 or i + 1 == number),
        "off by one: they come after micro-batches 1, 3, 5 and 6, not after",
    ),
    "one update in two": (
        loop(due=lambda i, every, number: (i + 1) % (2 * every) == 0 or i + 1 == number),
        "The updates come after micro-batches 4 and 6. They belong after 2, 4 and 6",
    ),
    "remainder not stepped": (
        loop(due=due_at(1)),
        "With 5 micro-batches, three by three: the remainder is lost: no update follows the last 2",
    ),
    "remainder not run": (
        accumulating(chosen=lambda b, every: groups(b[: len(b) // every * every], every)),
        "no update follows the last 2 micro-batches",
    ),
    "remainder of one lost": (
        accumulating(chosen=lambda b, n: [g for g in groups(b, n) if len(g) == n or len(g) == 2]),
        "With micro-batches of 4, 2, 3, 1 and 2 images: the remainder is lost: no update follows "
        "the last micro-batch.",
    ),
    "one step too many": (
        accumulating(after=kept_zero, last=one_more),
        "There is one update too many: after the last one the optimizer steps again",
    ),
    "update before backward": (late_update, "optimizer.step() comes before loss.backward()"),
    "zero before the update": (
        accumulating(grads=lambda model: model.zero_grad()),
        "wiped out between loss.backward() and optimizer.step()",
    ),
    "cut off": (
        accumulating(scores=lambda m, x: m(x).detach().requires_grad_()),
        "loss.backward() reaches no parameter",
    ),
    "zero each time": (
        accumulating(each=lambda optimizer: optimizer.zero_grad()),
        "Only the last micro-batch of an update counts",
    ),
    "first of each": (
        loop(losses=first_ones(F.cross_entropy)),
        "Only 1 of the 2 micro-batches of an update count",
    ),
    "no zero": (
        accumulating(after=nothing),
        "The gradients of an update stay and go into the next one",
    ),
    "old gradients": (
        accumulating(before=nothing),
        "What lay in .grad before the call goes into the first update",
    ),
    "not divided": (
        loop(divisor=lambda *_: 1),
        "The losses of the 2 micro-batches are added up and not divided",
    ),
    "summed over images": (
        loop(divisor=lambda *_: 1, losses=summed),
        "that of the sum over the 10 images, not of the mean",
    ),
    "summed, by micro-batches": (
        loop(losses=summed),
        "divided by the number of micro-batches, not of their images",
    ),
    "divided twice": (
        loop(divisor=lambda i, every, number: every**2),
        "divided by the number of micro-batches twice",
    ),
    "divided by all": (
        loop(divisor=lambda i, every, number: number),
        "divided by the number of all micro-batches, 6, not by the 2 of the update",
    ),
    "remainder by every": (
        loop(divisor=lambda i, every, number: every),
        "three by three: the remainder counts too little: the loss of its 2 micro-batches is "
        "divided by every = 3, not by 2",
    ),
    "mean of means": (loop(), "1 and 2 images: the gradient is the mean of the micro-batches' mea"),
    "mean of means, by groups": (
        accumulating(divisor=lambda group, *_: len(group), losses=F.cross_entropy),
        "the gradient is the mean of the micro-batches' means",
    ),
    "by the first size": (
        accumulating(divisor=lambda group, every, batches: len(group[0][1]) * len(group)),
        "With micro-batches of 4, 2, 3, 1 and 2 images: the gradient is scaled: it is 0.75 times",
    ),
    "scaled": (accumulating(grads=scale(0.1)), "The gradient is scaled: it is 0.1 times"),
    "clipped": (accumulating(grads=clip), "The gradient is clipped to the length 1."),
    "clipped to a half": (
        accumulating(grads=lambda m: torch.nn.utils.clip_grad_norm_(m.parameters(), 0.5)),
        "The gradient is clipped to the length 0.5.",
    ),
    "empties the list": (emptying, "The list of batches that was given is changed"),
    "weight decay": (accumulating(grads=decay), "holds weight decay beside that"),
    "softmax first": (
        accumulating(losses=lambda z, y: summed(z.softmax(1), y)),
        "softmax is applied before cross_entropy",
    ),
    "something else": (accumulating(grads=no_head), "of the first update is not that of its joi"),
    "momentum lost": (accumulating(after=forgetful), "In the second update the parameters move as"),
    "changes the rate": (accumulating(after=halving), "`lr` was 0.001 and is"),
    "losses are summed first": (sums_first, "There are 3 backward passes for 6 micro-batches"),
    "joined": (joined, "the model is given 10 images at once"),
    "gradients left off": (
        accumulating(last=lambda *_: torch.set_grad_enabled(False)),
        "gradients stay switched off",
    ),
}


def zero_first(model, optimizer, batches, every):
    """Gradients are set to zero before each update's first micro-batch, and only there."""
    model.train()
    for group in groups(batches, every):
        optimizer.zero_grad(set_to_none=False)
        for images, labels in group:
            loss = F.cross_entropy(model(images), labels) * len(labels) / size(group)
            loss.backward()
        optimizer.step()


def rescaled(model, optimizer, batches, every):
    """Sums over images first; the gradient is divided at the update."""
    optimizer.zero_grad()
    images_seen = 0
    for number, (images, labels) in enumerate(batches, start=1):
        nn.CrossEntropyLoss(reduction="sum")(model(images), labels).backward()
        images_seen += len(labels)
        if number % every == 0 or number == len(batches):
            for parameter in model.parameters():
                parameter.grad /= images_seen
            optimizer.step()
            optimizer.zero_grad()
            images_seen = 0


def with_flush(model, optimizer, batches, every):
    """The remainder is stepped after the loop; a generator of updates' sizes goes ahead."""
    sizes = iter([size(group) for group in groups(batches, every)])
    optimizer.zero_grad(set_to_none=True)
    pending, now = 0, 0
    for images, labels in batches:
        now = now or next(sizes)
        torch.autograd.backward(summed(model(images), labels) / now)
        pending += 1
        if pending == every:
            optimizer.step()
            optimizer.zero_grad()
            pending, now = 0, 0
    if pending:
        optimizer.step()
        optimizer.zero_grad()
    return pending


def functional(model, optimizer, batches, every):
    """As torch.func has it."""

    def loss_of(values, images, labels):
        return summed(torch.func.functional_call(model, values, (images,)), labels)

    for group in groups(batches, every):
        values = {name: p.detach() for name, p in model.named_parameters()}
        found = [torch.func.grad(loss_of)(values, x, y) for x, y in group]
        for name, parameter in model.named_parameters():
            parameter.grad = sum(gradients[name] for gradients in found) / size(group)
        optimizer.step()


def by_closure(model, optimizer, batches, every):
    for group in groups(batches, every):

        def closure(group=group):
            optimizer.zero_grad()
            for images, labels in group:
                (summed(model(images), labels) / size(group)).backward()

        optimizer.step(closure)


RIGHT = {
    "by groups": accumulating(),
    "zero first": zero_first,
    "rescaled": rescaled,
    "with a flush": with_flush,
    "torch.func": functional,
    "closure": by_closure,
}


@pytest.mark.parametrize(("function", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found(function, words):
    report = checks.accumulation(function)
    assert not report
    assert words in report.fault
    assert "0x" not in repr(report)


@pytest.mark.parametrize("function", RIGHT.values(), ids=RIGHT.keys())
def test_right_accumulation_passes(function):
    report = checks.accumulation(function)
    assert report.passed, report.fault
    assert report.hint is None


def test_extra_step_without_gradients_is_no_fault_but_is_said():
    said = checks.accumulation(accumulating(last=one_more)).passed_checks
    assert said[-1] == "the extra optimizer.step() finds no gradients, so it moves nothing"
    assert said[-1] not in checks.accumulation(accumulating()).passed_checks


@pytest.mark.parametrize("wrong", [None, [], torch.nn.Linear(2, 2), torch.nn.Linear])
def test_what_is_no_function_is_refused(wrong):
    with pytest.raises(TypeError, match=r"train must be a function that is called as train"):
        checks.accumulation(wrong)

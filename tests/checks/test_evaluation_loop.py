"""Every fault that `checks.evaluation_loop` names, planted and found; and what passes."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plant_loops import evaluation, nothing
from torch import nn

import resnet_checks as checks
from resnet_lib.train import evaluate


def over_images(values, sizes):
    return sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)


def of_means(loss=over_images, accuracy=over_images):
    """An evaluation that makes its results from the batches' means and sizes."""

    def planted(model, batches):
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        losses, accuracies, sizes = [], [], []
        with torch.no_grad():
            for images, labels in batches:
                scores = model(images)
                losses.append(F.cross_entropy(scores, labels).item())
                accuracies.append((scores.argmax(1) == labels).float().mean().item())
                sizes.append(len(labels))
        for module, training in modes:
            module.training = training
        return loss(losses, sizes), accuracy(accuracies, sizes)

    return planted


def both(combine):
    return of_means(combine, combine)


def mean(values, sizes):
    return sum(values) / len(values)


def without_last(values, sizes):
    return over_images(values[:-1], sizes[:-1])


def rest_of_mode(model):
    model.train()


def half(scores, labels):
    return F.cross_entropy(scores, labels, reduction="sum") / 2


def summed(function):
    return evaluation(losses=lambda scores, labels: function(scores, labels) * len(labels))


def in_train_after_first(model, batches):
    model.eval()
    loss = right = images = 0
    with torch.no_grad():
        for batch, labels in batches:
            scores = model(batch)
            loss += F.cross_entropy(scores, labels, reduction="sum").item()
            right += (scores.argmax(1) == labels).sum().item()
            images += len(labels)
            model.train()
    return loss / images, right / images


def through_backward(scores, labels):
    loss = F.cross_entropy(scores, labels, reduction="sum")
    loss.backward()
    return loss


def clearing(model):
    model.eval()
    model.zero_grad()


def forgetting(model):
    model.eval()
    model.norm.reset_running_stats()


def resetting(model, batches):
    result = evaluation()(model, batches)
    model.norm.reset_running_stats()
    return result


def training(model, batches):
    result = evaluation()(model, batches)
    with torch.no_grad():
        model.head.bias -= 0.01
    return result


def in_place(model, images):
    images -= 1
    return model(images + 1)


def run_twice(model, images):
    model(images)
    return model(images)


def freezing(model):
    model.eval()
    model.requires_grad_(False)


def switched_off():
    torch.set_grad_enabled(False)
    return nullcontext()


def with_graph(model, batches):
    model.eval()
    loss = right = images = 0
    for batch, labels in batches:
        scores = model(batch)
        loss = loss + F.cross_entropy(scores, labels, reduction="sum")
        right = right + (scores.argmax(1) == labels).sum()
        images += len(labels)
    model.train()
    return loss / images, right / images


def by_index(model, batches):
    return evaluation(chosen=lambda b: [b[i] for i in range(len(b))])(model, batches)


def by_length(model, batches):
    number = len(batches)
    return evaluation(result=lambda loss, right, n, b: (loss / n, right / n + 0 * number))(
        model, batches
    )


def counted_first(model, batches):
    number = sum(len(labels) for _, labels in batches)
    return evaluation(result=lambda loss, right, *_: (loss / number, right / number))(
        model, batches
    )


def answering(hits):
    """An evaluation that counts right answers in a way of its own."""

    def planted(model, batches):
        was = {module: module.training for module in model.modules()}
        model.eval()
        loss = right = images = 0
        with torch.no_grad():
            for batch, labels in batches:
                scores = model(batch)
                loss += F.cross_entropy(scores, labels, reduction="sum").item()
                right += hits(scores, labels).sum().item()
                images += len(labels)
        for module, training in was.items():
            module.training = training
        return loss / images, right / images

    return planted


def on_a_copy(model, batches):
    return evaluation(back=nothing)(copy.deepcopy(model), batches)


def padded(model, images):
    """Always as many images as the first batch has; what comes of the others is left out."""
    rows = torch.arange(6) % len(images)
    return model(images[rows])[: len(images)]


def shares(loss, right, images, number):
    return loss / images, right / images


def changed(function):
    return evaluation(result=lambda *sums: function(*shares(*sums)))


FAULTS = {
    "raises": (lambda model, batches: 1 / 0, "evaluate(model, batches) raises ZeroDivisionError"),
    "one argument": (lambda model: (0.0, 0.0), "raises TypeError"),
    "returns nothing": (lambda model, batches: None, "The function returned None"),
    "returns one": (changed(lambda loss, acc: loss), "an object of type float, not the pair"),
    "returns a dict": (changed(lambda loss, acc: {"loss": loss}), "an object of type dict, not"),
    "returns three": (changed(lambda loss, acc: (loss, acc, 1)), "returned 3 values"),
    "a string": (
        changed(lambda loss, acc: (loss, f"{acc:.2f}")),
        "accuracy is an object of type s",
    ),
    "a row": (
        changed(lambda loss, acc: (torch.tensor([loss]), acc)),
        "The loss is a tensor of shape (1,), not one number",
    ),
    "another model": (
        lambda model, batches: evaluation()(nn.Sequential(nn.Flatten(), nn.Linear(90, 5)), batches),
        "The model that was given is never called",
    ),
    "in train mode": (evaluation(mode=nothing), "The model is in train mode: batch norm takes"),
    "put in train mode": (
        evaluation(mode=lambda model: model.train()),
        "The model is in train mode: batch norm takes",
    ),
    "norm in train mode": (
        evaluation(mode=lambda model: (model.eval(), model.norm.train())),
        "The model's part `norm` is in train mode",
    ),
    "in train mode from the second batch": (
        in_train_after_first,
        "The model is in train mode in its second run",
    ),
    "tracked": (evaluation(gradients=nullcontext), "Gradients are tracked"),
    "graph": (with_graph, "The loss is returned with its graph"),
    "backward": (
        evaluation(gradients=torch.enable_grad, losses=through_backward),
        "Gradients are tracked",
    ),
    "one batch too few": (
        evaluation(chosen=lambda batches: list(batches)[:-1]),
        "given 12 of the 16 images. The last batch is left out",
    ),
    "the first batch only": (
        evaluation(chosen=lambda batches: list(batches)[:1]),
        "given 6 of the 16 images.",
    ),
    "full batches only": (
        evaluation(chosen=lambda batches: [b for b in batches if len(b[1]) == 6]),
        "The last batch is left out",
    ),
    "runs twice": (evaluation(scores=run_twice), "The model is given 32 images, although the"),
    "changes the images": (evaluation(scores=in_place), "images or the labels that were given are"),
    "mean of means": (both(mean), "Loss and accuracy are each the mean of the batches' means"),
    "loss: mean of means": (of_means(loss=mean), "The loss is the mean of the batches' means"),
    "accuracy: mean of means": (
        of_means(accuracy=mean),
        "The accuracy is the mean of the batches' means",
    ),
    "last batch counts": (both(lambda v, n: v[-1]), "are each that of the last batch alone"),
    "first batch counts": (both(lambda v, n: v[0]), "are each that of the first batch alone"),
    "accuracy: last batch": (
        of_means(accuracy=lambda v, n: v[-1]),
        "The accuracy is that of the last batch alone",
    ),
    "last batch does not count": (both(without_last), "are each taken without the last batch"),
    "loss: last batch does not count": (
        of_means(loss=without_last),
        "The loss is taken without the last batch",
    ),
    "first batch does not count": (
        both(lambda v, n: over_images(v[1:], n[1:])),
        "are each taken without the first batch",
    ),
    "sums": (
        evaluation(result=lambda loss, right, n, b: (loss, right)),
        "Loss and accuracy are each the sum over all images, not the mean",
    ),
    "loss: sum": (
        evaluation(result=lambda loss, right, n, b: (loss, right / n)),
        "The loss is the sum over all images, not the mean",
    ),
    "accuracy: number": (
        evaluation(result=lambda loss, right, n, b: (loss / n, right)),
        "The accuracy is the number of right answers",
    ),
    "sums of means": (both(lambda v, n: sum(v)), "are each the sum of the batches' means."),
    "sums by batches": (
        evaluation(result=lambda loss, right, n, b: (loss / b, right / b)),
        "are each the sum over all images, divided by the number of batches",
    ),
    "accuracy: sum by batches": (
        evaluation(result=lambda loss, right, n, b: (loss / n, right / b)),
        "The accuracy is the sum over all images, divided by the number of batches",
    ),
    "means by images": (
        both(lambda v, n: sum(v) / sum(n)),
        "are each the sum of the batches' means, divided by the number of images",
    ),
    "loss: means by images": (
        of_means(loss=lambda v, n: sum(v) / sum(n)),
        "The loss is the sum of the batches' means, divided by the number of images",
    ),
    "sums by full batches": (
        evaluation(result=lambda loss, right, n, b: (loss / (6 * b), right / (6 * b))),
        "divided as if all batches were as large as the first",
    ),
    "weighted by a constant": (
        both(lambda v, n: 6 * sum(v) / sum(n)),
        "weighted as if all batches were as large as the first",
    ),
    "percent": (changed(lambda loss, acc: (loss, 100 * acc)), "The accuracy is in percent"),
    "error rate": (changed(lambda loss, acc: (loss, 1 - acc)), "the error rate"),
    "wrong order": (changed(lambda loss, acc: (acc, loss)), "in the wrong order"),
    "accuracy: whole division": (
        evaluation(result=lambda loss, right, n, b: (loss / n, right // n)),
        "The accuracy has lost its decimal places: it is 0, by hand 0.5625",
    ),
    "loss: whole division": (
        evaluation(result=lambda loss, right, n, b: (loss // n, right / n)),
        "The loss has lost its decimal places: it is 1",
    ),
    "accuracy: rounded": (
        changed(lambda loss, acc: (loss, round(acc, 2))),
        "The accuracy is rounded to 2 decimal places",
    ),
    "loss: rounded": (
        changed(lambda loss, acc: (round(loss, 3), acc)),
        "The loss is rounded to 3 decimal places",
    ),
    "softmax first": (
        summed(lambda z, y: F.cross_entropy(z.softmax(1), y)),
        "softmax is applied before cross_entropy",
    ),
    "nll of scores": (summed(F.nll_loss), "The loss is nll_loss of the scores"),
    "squared error": (
        summed(lambda z, y: F.mse_loss(z, F.one_hot(y, 5).double())),
        "The loss is the squared error of the scores",
    ),
    "another loss": (evaluation(losses=half), "By hand it is"),
    "loss is NaN": (changed(lambda loss, acc: (float("nan"), acc)), "The loss is nan"),
    "another accuracy": (changed(lambda loss, acc: (loss, acc / 3)), "The accuracy is 0.1875. By"),
    "the best image of each class": (answering(lambda z, y: z.argmax(0) == y), "taken over dim 0"),
    "the best image, by max": (answering(lambda z, y: z.max(dim=0)[1] == y), "max is taken over d"),
    "the best image, as a column": (
        answering(lambda z, y: z.argmax(dim=0)[:, None] == y),
        "argmax is taken over dim 0, the images: it finds for each class the image",
    ),
    "every pair": (
        answering(lambda z, y: z.argmax(1, keepdim=True) == y),
        "The accuracy counts every pair of an answer and a label: a column (N, 1) and a row",
    ),
    "the mean of every pair": (
        answering(lambda z, y: (z.argmax(1)[:, None] == y).double().mean() * len(y)),
        "The accuracy counts every pair of an answer and a label",
    ),
    "clears the gradients": (evaluation(mode=clearing), "gradients that training left in .grad"),
    "changes the parameters": (training, "The parameters change during the evaluation"),
    "resets the statistics first": (evaluation(mode=forgetting), "By hand it is"),
    "resets the statistics": (resetting, "running statistics change: `norm.running_mean`"),
    "left in eval mode": (evaluation(back=nothing), "comes in train mode is left in eval mode"),
    "left in train mode": (evaluation(back=rest_of_mode), "comes in eval mode is left in train"),
    "thaws": (
        lambda model, batches: evaluation(back=lambda m, was=model.training: m.train(was))(
            model, batches
        ),
        "A batch norm that was frozen in eval mode",
    ),
    "freezes": (evaluation(mode=freezing, gradients=nullcontext), "no longer ask for a gradient"),
    "gradients left off": (evaluation(gradients=switched_off), "stay switched off for the whole"),
    "needs an index": (by_index, "which has no length and no indices, raises TypeError"),
    "needs a length": (by_length, "which has no length and no indices, raises TypeError"),
    "needs two rounds": (
        counted_first,
        "gone through once only: the model is given 0 of the 16 images",
    ),
}


@torch.inference_mode()
def decorated(model, batches):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64)
    number = 0
    for images, labels in batches:
        scores = model(images)
        sums[0] += F.nll_loss(F.log_softmax(scores, dim=1), labels, reduction="sum")
        sums[1] += scores.argmax(dim=1).eq(labels).sum()
        number += labels.numel()
    for module, training in modes.items():
        module.training = training
    return tuple(sums / number)


def gathered(model, batches):
    """All scores first, then one loss over them."""
    modes = [module.training for module in model.modules()]
    model.eval()
    with torch.no_grad():
        pairs = [(model(images), labels) for images, labels in batches]
    for module, training in zip(model.modules(), modes, strict=True):
        module.training = training
    if not pairs:
        raise ValueError("batches must hold at least one batch")
    scores, labels = (torch.cat(values) for values in zip(*pairs, strict=True))
    hits = scores.argmax(1).numpy() == labels.numpy()
    return nn.CrossEntropyLoss()(scores, labels), np.mean(hits)


def functional(model, batches):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    state = {name: value.detach() for name, value in model.state_dict().items()}
    loss = right = images = 0
    for batch, labels in batches:
        scores = torch.func.functional_call(model, state, (batch,))
        loss += F.cross_entropy(scores, labels).item() * len(labels)
        right += int((scores.argmax(dim=-1) == labels).sum())
        images += len(batch)
    for module, training in modes:
        module.training = training
    return [loss / images, right / images]


def frozen_while_it_runs(model, batches):
    flags = [(p, p.requires_grad) for p in model.parameters()]
    model.requires_grad_(False)
    try:
        return evaluation(gradients=nullcontext)(model, batches)
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def library(model, batches):
    found = evaluate(model, batches)
    return found.loss, found.accuracy


RIGHT = {
    "sums": evaluation(),
    "inference mode": evaluation(gradients=torch.inference_mode),
    "means weighed by size": of_means(),
    "decorated": decorated,
    "all scores first": gathered,
    "torch.func": functional,
    "frozen while it runs": frozen_while_it_runs,
    "one joined batch": evaluation(
        chosen=lambda batches: [tuple(map(torch.cat, zip(*batches, strict=True)))]
    ),
    "the library's": library,
    "the library's, as it is": evaluate,
    "on a copy": on_a_copy,
    "a padded last batch": evaluation(scores=padded),
    "casts": evaluation(scores=lambda model, images: model(images.double()).float()),
}


@pytest.mark.parametrize(("function", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found(function, words):
    report = checks.evaluation_loop(function)
    assert not report
    assert words in report.fault
    assert "0x" not in repr(report)


@pytest.mark.parametrize("function", RIGHT.values(), ids=RIGHT.keys())
def test_right_evaluation_passes(function):
    report = checks.evaluation_loop(function)
    assert report.passed, report.fault
    assert report.hint is None


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (gathered, "without any batch it raises ValueError"),
        (of_means(), "without any batch it raises ZeroDivisionError"),
        (evaluation(result=lambda loss, right, n, b: (loss / max(n, 1), right / max(n, 1))), "0 a"),
        (evaluation(result=lambda a, b, n, _: (a / n, b / n) if n else None), "of type NoneType"),
    ],
)
def test_what_happens_without_any_batch_is_said(function, words):
    assert words in checks.evaluation_loop(function).passed_checks[-1]


@pytest.mark.parametrize("wrong", [None, "evaluate", torch.nn.Linear(2, 2), torch.nn.Linear])
def test_what_is_no_function_is_refused(wrong):
    with pytest.raises(TypeError, match=r"evaluate must be a function that is called as evaluate"):
        checks.evaluation_loop(wrong)

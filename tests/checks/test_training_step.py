"""Every fault that `checks.training_step` names, planted and found; and what passes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from plant_loops import step
from torch import nn

import resnet_checks as checks
from resnet_lib import train

earlier = []


def update(model, optimizer, images, labels):
    optimizer.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def without_gradients(model, images):
    with torch.no_grad():
        return model(images)


def leaf_without_gradients(scores, labels):
    """Backward has something to go through, but the model is no part of it."""
    return F.cross_entropy(scores.detach().requires_grad_(), labels)


def in_inference(model, images):
    with torch.inference_mode():
        return model(images)


def under_autocast(dtype):
    def scores(model, images):
        with torch.autocast("cpu", dtype):
            return model(images)

    return scores


def switched_off(model, optimizer, images, labels):
    torch.set_grad_enabled(False)


def in_eval(model, *_):
    model.eval()


def in_train(model, *_):
    model.train()


def new_optimizer(model, optimizer, images, labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def by_hand(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.001 * parameter.grad
    return loss.item()


def replaced(model, optimizer, images, labels):
    model.head.weight = nn.Parameter(model.head.weight.detach().clone())


def forgetful(model, optimizer, *_):
    optimizer.state.clear()


def slower(model, optimizer, *_):
    for group in optimizer.param_groups:
        group["lr"] *= 0.5


def shrunk(model, *_):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 - 1e-4


def moved(model, *_):
    with torch.no_grad():
        model.head.bias += 0.01


def rounded_weights(model, *_):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16())


def clipped(length):
    return lambda model: torch.nn.utils.clip_grad_norm_(model.parameters(), length)


def scaled(factor):
    def grads(model):
        for parameter in model.parameters():
            parameter.grad *= factor

    return grads


def late(change):
    return lambda model, *_: change(model)


def skipping(counts):
    def planted(model, optimizer, images, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        if counts(labels):
            loss.backward()
            optimizer.step()
        return loss.item()

    return planted


def in_half(model, optimizer, images, labels):
    scores = model(images.half())
    optimizer.zero_grad()
    loss = F.cross_entropy(scores, labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def decayed(model):
    for parameter in model.parameters():
        parameter.grad += 1e-4 * parameter.detach()


def decayed_convolution(model):
    model.conv.weight.grad += 1e-4 * model.conv.weight.detach()


def with_penalty(sign):
    def planted(model, optimizer, images, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        terms = (p.abs().sum() if sign else p.pow(2).sum() for p in model.parameters())
        (loss + 5e-4 * sum(terms)).backward()
        optimizer.step()
        return loss.item()

    return planted


def frozen_head(model):
    model.head.weight.grad.zero_()


def run_again(model, optimizer, images, labels):
    model(images)


def run_in_eval(model, optimizer, images, labels):
    model.eval()
    model(images)
    model.train()


def loss_after(mode):
    def returned(loss, model, optimizer, images, labels):
        model.train(mode)
        with torch.no_grad():
            loss = F.cross_entropy(model(images), labels)
        model.train()
        return loss.item()

    return returned


def other_loss_shown(model, optimizer, images, labels):
    optimizer.zero_grad()
    scores = model(images)
    F.cross_entropy(scores, labels).backward()
    optimizer.step()
    return F.cross_entropy(scores.softmax(1), labels).item()


def eval_loss(model, optimizer, images, labels):
    with torch.no_grad():
        shown = F.cross_entropy(model.eval()(images), labels)
    update(model.train(), optimizer, images, labels)
    return shown.item()


def with_last_loss(model, optimizer, images, labels):
    """Goes back through the graph of the first call."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    earlier.append(loss)
    sum(earlier).backward()
    optimizer.step()
    return loss.item()


def last_batch(model, optimizer, images, labels):
    """Uses the first call's batch for ever."""
    if not earlier:
        earlier.append((images.clone(), labels.clone()))
    return step()(model, optimizer, *earlier[0])


def cut_statistics(model, *_):
    model.norm.reset_running_stats()


def with_graph(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward(create_graph=True)
    optimizer.step()
    return loss.item()


def twice_backward(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def late_by_hand(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    optimizer.step()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    return loss.item()


def own_model(model, optimizer, images, labels):
    return step()(nn.Sequential(nn.Flatten(), nn.Linear(90, 5)), optimizer, images, labels)


def frozen(model, *_):
    model.conv.weight.requires_grad_(False)


def normalised(model, optimizer, images, labels):
    images -= images.mean()


def relabelled(model, optimizer, images, labels):
    labels.clamp_(max=1)


def mean_of(part):
    return step(loss=lambda scores, labels: F.cross_entropy(scores[part], labels[part]))


def loss_of(function):
    return step(loss=function)


def one_hot(labels):
    return F.one_hot(labels, 5).double()


FAULTS = {
    "raises": (step(first=lambda *_: 1 / 0), "raises ZeroDivisionError: division by zero (in <"),
    "three arguments": (lambda model, images, labels: 0.0, "labels) raises TypeError"),
    "backward of a number": (
        loss_of(lambda z, y: F.cross_entropy(z, y).item()),
        "AttributeError: 'float' object has no attribute 'backward'",
    ),
    "loss is detached": (
        loss_of(lambda z, y: F.cross_entropy(z, y).detach()),
        "does not require grad",
    ),
    "graph of the first call": (with_last_loss, "in its second call, raises RuntimeError"),
    "exits": (step(last=lambda *_: exit(1)), "raises SystemExit"),
    "returns nothing": (step(returned=lambda *_: None), "The loss is None, not a number"),
    "returns a pair": (step(returned=lambda loss, *_: (loss.item(), 0)), "an object of type tuple"),
    "returns a truth": (step(returned=lambda *_: True), "The loss is an object of type bool"),
    "returns a row": (step(returned=lambda loss, *_: loss.detach()[None]), "of shape (1,), not"),
    "returns the graph": (step(returned=lambda loss, *_: loss), "The loss is returned with its gr"),
    "another model": (own_model, "The model that was given is never called"),
    "in eval mode": (step(first=in_eval), "The forward pass runs in eval mode"),
    "norm in eval mode": (
        step(first=lambda model, *_: model.norm.eval()),
        "in train mode, but its part `norm` is not",
    ),
    "no gradients": (step(scores=without_gradients), "runs with gradients switched off"),
    "no gradients, no error": (
        step(scores=without_gradients, loss=leaf_without_gradients),
        "runs with gradients switched off",
    ),
    "inference mode": (step(scores=in_inference), "runs with gradients switched off"),
    "autocast": (step(scores=under_autocast(torch.bfloat16)), "under autocast, in bfloat16"),
    "autocast, float16": (step(scores=under_autocast(torch.float16)), "under autocast, in float16"),
    "changes the images": (step(first=normalised), "images or the labels that were given are cha"),
    "changes the labels": (step(first=relabelled), "images or the labels that were given are cha"),
    "part of the batch": (
        step(scores=lambda m, x: m(x[:3]), loss=lambda z, y: F.cross_entropy(z, y[: len(z)])),
        "The model is given 3 images, not all 7",
    ),
    "part of the scores": (mean_of(slice(2, None)), "Only 5 of the 7 images count in the loss"),
    "one image": (mean_of(slice(0, 1)), "Only 1 of the 7 images count"),
    "the batch of another call": (last_batch, "The model is given 7 images, not all 4"),
    "gives an array": (
        step(scores=lambda m, x: m(x.numpy())),
        "raises AttributeError: 'numpy.ndarray' object has no attribute 'to'",
    ),
    "normalises": (step(scores=lambda m, x: m(x / 2)), "other values than the images that came"),
    "no update": (step("zero forward backward"), "optimizer.step() is never called"),
    "two updates": (step("zero forward backward update update"), "is called 2 times in one call"),
    "two rounds": (step(last=update), "optimizer.step() is called 2 times in one call"),
    "another optimizer": (new_optimizer, "made by another optimizer than the one that was given"),
    "by hand": (by_hand, "The parameters change, but not through optimizer.step()"),
    "no backward": (step("zero forward update"), "loss.backward() is never called"),
    "no backward, no zero": (step("forward update"), "loss.backward() is never called"),
    "cut off": (loss_of(leaf_without_gradients), "loss.backward() reaches no parameter"),
    "no zero": (step("forward backward update"), "add up over the calls: in the second one"),
    "zero late": (step("forward backward zero update"), "wiped out between loss.backward() and"),
    "zero late, kept": (
        step("forward backward update", grads=lambda model: model.zero_grad(set_to_none=False)),
        "wiped out between loss.backward() and",
    ),
    "update first": (step("zero forward update backward"), "step() comes before loss.backward()"),
    "update first, zero later": (
        step("forward update zero backward"),
        "step() comes before loss.backward()",
    ),
    "update at the beginning": (
        step("update zero forward backward"),
        "step() comes before loss.backward()",
    ),
    "update first, by hand": (late_by_hand, "step() comes before loss.backward()"),
    "two backward passes": (twice_backward, "loss.backward() is called more than once"),
    "sum": (
        loss_of(lambda z, y: F.cross_entropy(z, y, reduction="sum")),
        "the sum over the batch, not the mean: the gradient is 7 times too long for 7 images",
    ),
    "sum by a constant": (
        loss_of(lambda z, y: F.cross_entropy(z, y, reduction="sum") / 32),
        "divided by 32 whatever the batch holds",
    ),
    "divided twice": (
        loss_of(lambda z, y: F.cross_entropy(z, y) / len(y)),
        "divided by the size of the batch twice",
    ),
    "scaled": (step(grads=scaled(0.5)), "The gradient is scaled: it is 0.5 times"),
    "scaled by the scaler": (step(grads=scaled(65536)), "it is 6.55e+04 times the right one"),
    "up the hill": (step(grads=scaled(-1)), "it is -1 times the right one"),
    "scaled otherwise each time": (
        step(grads=lambda model: scaled(1 / (2 + int(model.norm.num_batches_tracked)))(model)),
        "The gradient is scaled: it is 0.333 times",
    ),
    "clipped to 1": (step(grads=clipped(1.0)), "The gradient is clipped to the length 1."),
    "clipped to 10": (step(grads=clipped(10.0)), "The gradient is clipped to the length 10."),
    "values clipped": (
        step(grads=lambda m: torch.nn.utils.clip_grad_value_(m.parameters(), 0.1)),
        "values are clipped to ±0.1",
    ),
    "weight decay": (step(grads=decayed), "holds weight decay beside that of the cross-entropy: 0"),
    "weight decay of a part": (step(grads=decayed_convolution), "holds weight decay beside that"),
    "L2 penalty": (with_penalty(False), "holds weight decay beside that of the cross-entropy: 0.0"),
    "L1 penalty": (with_penalty(True), "holds an L1 penalty beside that of the cross-entropy: 0.0"),
    "softmax first": (
        loss_of(lambda z, y: F.cross_entropy(z.softmax(1), y)),
        "softmax is applied before cross_entropy",
    ),
    "softmax first, summed": (
        loss_of(lambda z, y: F.cross_entropy(z.softmax(1), y, reduction="sum")),
        "softmax is applied before cross_entropy",
    ),
    "softmax over the images": (
        loss_of(lambda z, y: F.cross_entropy(z.softmax(0), y)),
        "softmax over the images: softmax(0) is applied before cross_entropy",
    ),
    "log_softmax over the images": (
        loss_of(lambda z, y: F.nll_loss(z.log_softmax(0), y)),
        "nll_loss of a log_softmax over the images",
    ),
    "ten classes": (
        loss_of(lambda z, y: F.cross_entropy(z, F.one_hot(y, 10).to(z))),
        "shares of 10 classes, and the model puts out 5 scores",
    ),
    "small batches are skipped": (
        skipping(lambda labels: len(labels) == 7),
        "In the second call, with 4 images, optimizer.step() is never called",
    ),
    "clipped too late": (step(last=late(clipped(1.0))), "are clipped after optimizer.step()"),
    "values clipped too late": (
        step(last=late(lambda m: torch.nn.utils.clip_grad_value_(m.parameters(), 0.1))),
        "are clipped after optimizer.step()",
    ),
    "half": (in_half, "The forward pass runs in float16. It should run in the precision"),
    "sigmoid first": (
        loss_of(lambda z, y: F.cross_entropy(z.sigmoid(), y)),
        "sigmoid is applied before cross_entropy",
    ),
    "nll of scores": (loss_of(F.nll_loss), "nll_loss of the scores"),
    "nll of softmax": (loss_of(lambda z, y: F.nll_loss(z.softmax(1), y)), "nll_loss of probabil"),
    "squared error": (
        loss_of(lambda z, y: F.mse_loss(z, one_hot(y))),
        "the squared error of the scores",
    ),
    "squared error of softmax": (
        loss_of(lambda z, y: F.mse_loss(z.softmax(1), one_hot(y))),
        "the squared error of the probabilities",
    ),
    "binary cross-entropy": (
        loss_of(lambda z, y: F.binary_cross_entropy_with_logits(z, one_hot(y))),
        "a binary cross-entropy for each class",
    ),
    "hinge": (loss_of(F.multi_margin_loss), "a hinge loss"),
    "own predictions": (
        loss_of(lambda z, y: F.cross_entropy(z, z.argmax(1))),
        "the cross-entropy against the model's own predictions",
    ),
    "label smoothing": (
        loss_of(lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1)),
        "with label smoothing of 0.1",
    ),
    "something else": (
        step(grads=frozen_head),
        "not that of the mean cross-entropy of this batch: the largest difference is",
    ),
    "momentum lost": (step(first=forgetful), "second call the parameters move as plain SGD"),
    "changes the rate": (step(last=slower), "`lr` was 0.001 and is 0.0005"),
    "shrinks the weights": (step(last=shrunk), "the weights are multiplied by 0.9999 besides"),
    "moves without an update": (step("zero forward backward", last=moved), "not through optim"),
    "moves a bias": (step(first=moved), "the parameters are changed before optimizer.step()"),
    "rounds the weights": (step(last=rounded_weights), "end elsewhere than optimizer.step() puts"),
    "loss after": (step(returned=loss_after(True)), "is computed after the update"),
    "loss after, in eval": (step(returned=loss_after(False)), "is computed after the update"),
    "loss in eval": (eval_loss, "The forward pass runs in eval mode"),
    "loss of probabilities": (
        other_loss_shown,
        "The loss that is returned is the cross-entropy of probabilities",
    ),
    "returns the sum": (
        step(returned=lambda loss, m, o, x, y: loss.item() * len(y)),
        "returned is the sum over the batch of 7 images, not the mean",
    ),
    "returns a share": (
        step(returned=lambda loss, m, o, x, y: loss.item() / len(y)),
        "returned is divided by the size of the batch twice",
    ),
    "returns it rounded": (
        step(returned=lambda loss, *_: round(loss.item(), 2)),
        "is rounded to 2 decimal places",
    ),
    "returns a whole number": (step(returned=lambda loss, *_: loss.long().item()), "By hand it is"),
    "returns NaN": (step(returned=lambda *_: float("nan")), "The loss that is returned is nan"),
    "two passes": (step(last=run_again), "The model runs 2 times in one call"),
    "two passes, one in eval": (step(last=run_in_eval), "The model runs 2 times in one call"),
    "resets the statistics": (
        step(last=cut_statistics),
        "`norm.running_mean` is not what one forw",
    ),
    "left in eval mode": (step(first=in_train, last=in_eval), "The model is left in eval mode"),
    "keeps a graph": (with_graph, "The gradients carry a graph of their own"),
    "gradients left off": (step(last=switched_off), "gradients stay switched off for the whole"),
    "new parameter": (step(last=replaced), "parameters are replaced by new ones"),
    "freezes": (step(last=frozen), "no longer ask for a gradient"),
}


def on_top(model, optimizer, images, labels):
    model.train()
    optimizer.zero_grad(set_to_none=True)
    loss = nn.CrossEntropyLoss()(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def at_the_bottom(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return loss.item()


def through_the_model(model, optimizer, images, labels):
    model.zero_grad()
    torch.autograd.backward(
        loss := -model(images).log_softmax(1)[range(len(labels)), labels].mean()
    )
    optimizer.step()
    return loss.data


def with_closure(model, optimizer, images, labels):
    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


def with_scaler(model, optimizer, images, labels):
    scaler = torch.amp.GradScaler("cpu")
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return float(loss.detach())


def functional(model, optimizer, images, labels):
    """As torch.func has it: the batch norm's buffers go through by hand."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def loss_of(values):
        state = {name: buffer.clone() for name, buffer in buffers.items()}
        scores = torch.func.functional_call(model, (values, state), (images,))
        return F.cross_entropy(scores, labels), state

    gradients, (loss, state) = torch.func.grad(
        lambda values: (lambda pair: (pair[0], pair))(loss_of(values)), has_aux=True
    )(parameters)
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[name]
    optimizer.step()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(state[name])
    return loss.item()


def by_autograd(model, optimizer, images, labels):
    loss = F.cross_entropy(model.forward(images), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss.detach().cpu().numpy().item()


def elsewhere(model, optimizer, images, labels):
    """Casts, moves and copies on the way."""
    device = next(model.parameters()).device
    images = images.to(device).float().contiguous(memory_format=torch.channels_last)
    copy.deepcopy(model)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images).float(), labels.to(device, torch.long))
    loss.backward()
    optimizer.step()
    print("loss", loss.item())
    return loss.item()


def with_accuracy(model, optimizer, images, labels):
    optimizer.zero_grad()
    scores = model(images)
    (scores.detach().argmax(1) == labels).float().mean()
    loss = F.cross_entropy(scores, one_hot(labels))
    loss.backward()
    optimizer.step()
    return loss.double().item()


def shuffled(model, optimizer, images, labels):
    order = torch.randperm(len(labels))
    return step()(model, optimizer, images[order], labels[order])


def library(model, optimizer, images, labels):
    """The library's step has its network and its optimiser in a state."""
    cpu = train.World(torch.device("cpu"))
    state = train.TrainState(model, train.TrainConfig(), cpu, 1, optimizer=optimizer)
    train.training_step(state, images, labels)
    return state.sums[0] / state.sums[2]


RIGHT = {
    "shuffled": shuffled,
    "the library's": library,
    "zero on top": on_top,
    "zero at the bottom": at_the_bottom,
    "zero through the model": through_the_model,
    "zero after the forward pass": step("forward zero backward update"),
    "closure": with_closure,
    "scaler": with_scaler,
    "torch.func": functional,
    "autograd.grad": by_autograd,
    "casts": elsewhere,
    "accuracy beside it": with_accuracy,
    "nll of log_softmax": loss_of(lambda z, y: F.nll_loss(z.log_softmax(1), y)),
    "summed and divided": loss_of(lambda z, y: F.cross_entropy(z, y, reduction="sum") / len(y)),
    "by keyword": loss_of(lambda z, y: F.cross_entropy(input=z, target=y)),
    "log_softmax first": loss_of(lambda z, y: F.cross_entropy(z.log_softmax(1), y)),
}


@pytest.fixture(autouse=True)
def _forget():
    earlier.clear()


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
@pytest.mark.parametrize(("function", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found(function, words):
    report = checks.training_step(function)
    assert not report
    assert words in report.fault
    assert "0x" not in repr(report)


@pytest.mark.parametrize("function", RIGHT.values(), ids=RIGHT.keys())
def test_right_step_passes(function):
    report = checks.training_step(function)
    assert report.passed, report.fault
    assert report.hint is None


def test_log_softmax_before_cross_entropy_is_said_to_change_nothing():
    said = [str(checks.training_step(RIGHT[name])) for name in ("log_softmax first", "closure")]
    assert ["log_softmax before cross_entropy changes nothing" in text for text in said] == [
        True,
        False,
    ]


def test_numbers_that_are_written_down_get_the_hint_what_the_model_is():
    report = checks.training_step(loss_of(lambda z, y: (z - F.one_hot(y, 10)).square().mean()))
    assert "tells 5 classes apart, and its images are (N, 3, 6, 5)" in report.hint


@pytest.mark.parametrize("wrong", [None, 3, torch.nn.Linear(2, 2), torch.nn.Linear])
def test_what_is_no_function_is_refused(wrong):
    with pytest.raises(TypeError, match=r"step must be a function that is called as step\(model"):
        checks.training_step(wrong)

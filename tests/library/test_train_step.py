"""One update, against the same update written by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toy_training import CPU, bits, cnn, task

from resnet_lib.train import TrainConfig, TrainState, training_step

RATE, DECAY = 0.1, 0.05


def state_of(net, **settings):
    config = TrainConfig(learning_rate=RATE, weight_decay=DECAY, **settings)
    state = TrainState(net, config, CPU)
    net.train()
    return state


def stepped(net, steps=3, dtype=torch.float32, **settings):
    """The network after some updates, each with other images, and the state."""
    state = state_of(net, **settings)
    for seed in range(steps):
        images, labels = task(8, seed)
        training_step(state, images.to(dtype), labels)
    return state


def gradients(net, images, labels, smoothing=0.0):
    """Of the mean over samples of cross-entropy with smoothed labels, written out."""
    scores = net(images)
    targets = F.one_hot(labels, scores.shape[1]).to(scores.dtype)
    targets = (1 - smoothing) * targets + smoothing / scores.shape[1]
    loss = -(targets * scores.log_softmax(1)).sum(1).mean()
    return torch.autograd.grad(loss, list(net.parameters()))


def heavy_ball(net, slopes, memory, rate, momentum, *, nesterov=False, decay=None):
    """SGD as PyTorch documents it: v = μv + g + λw, then w - ηv, or w - η(g + λw + μv)."""
    decay = decay or {}
    with torch.no_grad():
        for (name, weight), slope in zip(net.named_parameters(), slopes, strict=True):
            slope = slope + decay.get(name, DECAY) * weight
            memory[name] = momentum * memory[name] + slope if name in memory else slope
            weight -= rate * (slope + momentum * memory[name] if nesterov else memory[name])


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.0},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "label_smoothing": 0.2},
        {"momentum": 0.9, "decay_norm_and_bias": False},
    ],
    ids=str,
)
def test_sgd_by_hand_in_double_precision(settings):
    net = cnn(dropout=0).double()
    twin, memory = copy.deepcopy(net).train(), {}
    stepped(net, dtype=torch.float64, **settings)
    free = {name: 0.0 for name, weight in twin.named_parameters() if weight.dim() == 1}
    for seed in range(3):
        images, labels = task(8, seed)
        slopes = gradients(twin, images.double(), labels, settings.get("label_smoothing", 0.0))
        heavy_ball(
            twin, slopes, memory, RATE, settings["momentum"],
            nesterov=settings.get("nesterov", False),
            decay={} if settings.get("decay_norm_and_bias", True) else free,
        )  # fmt: skip
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)


def usual_step(net, optimizer, images, labels, *, smoothing=0.0, clip=None, dtype=None):
    """The loop's body as PyTorch's tutorials write it."""
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        scores = net(images)
    F.cross_entropy(scores.float(), labels, label_smoothing=smoothing).backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "adam": (torch.optim.Adam, {"betas": (0.9, 0.999)}),
    "adamw": (torch.optim.AdamW, {"betas": (0.9, 0.999)}),
}


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"label_smoothing": 0.1}, {"smoothing": 0.1}),
        ({"clip_norm": 0.1}, {"clip": 0.1}),
        ({"precision": "bf16", "clip_norm": 0.1}, {"dtype": torch.bfloat16, "clip": 0.1}),
        ({"channels_last": True}, {}),
    ],
    ids=["plain", "smoothing", "clipped", "bf16 clipped", "channels last"],
)
def test_step_is_the_usual_one_to_the_bit(optimizer, settings, options):
    net = cnn()
    twin = copy.deepcopy(net).train()
    torch.manual_seed(5)  # the same dropout in both
    stepped(net, optimizer=optimizer, **settings)
    torch.manual_seed(5)
    kind, more = OPTIMIZERS[optimizer]
    theirs = kind(twin.parameters(), RATE, weight_decay=DECAY, **more)
    layout = torch.channels_last if "channels_last" in settings else torch.contiguous_format
    twin.to(memory_format=layout)
    for seed in range(3):
        images, labels = task(8, seed)
        usual_step(twin, theirs, images.to(memory_format=layout), labels, **options)
    assert bits(net) == bits(twin)


def test_sums_count_the_samples_of_the_step():
    state = state_of(cnn(dropout=0, norm=False))
    expected = torch.zeros(3, dtype=torch.float64)
    for seed, count in enumerate([8, 8, 5]):
        images, labels = task(count, seed)
        with torch.no_grad():
            scores = state.model(images)
        losses = F.cross_entropy(scores, labels, reduction="none")
        right = (scores.argmax(1) == labels).sum()
        expected += torch.tensor([losses.double().sum(), right, count])
        training_step(state, images, labels)
    assert state.sums.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert (state.step, state.position) == (3, 3)


def recorded(state):
    """The gradients that the optimiser was given."""
    found = []

    def look(optimizer, *_):
        for group in optimizer.param_groups:
            found.extend(p.grad.clone() for p in group["params"])

    state.optimizer.register_step_pre_hook(look)
    return found


@pytest.mark.parametrize("count", [1, 2, 5, 7, 8])
@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5])
def test_parts_add_up_to_the_gradient_of_the_batch(parts, count):
    net = cnn(norm=False, dropout=0).double()
    images, labels = task(count)
    images = images.double()
    expected = gradients(net, images, labels, 0.1)
    state = state_of(net, micro_batches=parts, label_smoothing=0.1)
    found = recorded(state)
    training_step(state, images, labels)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    assert state.sums[2] == count
    assert state.step == 1


def test_parts_go_through_the_network_one_by_one():
    net, seen = cnn(), []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    state = state_of(net, micro_batches=3)
    training_step(state, *task(8))
    assert seen == [3, 3, 2]


def test_clipping_shortens_the_gradient_to_the_length_allowed():
    net = cnn(dropout=0)
    state = state_of(net, clip_norm=0.01)
    expected = gradients(copy.deepcopy(net), *task(8))
    found = recorded(state)
    training_step(state, *task(8))
    length = torch.cat([g.flatten() for g in expected]).norm()
    assert length > 0.1
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs * 0.01 / length, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_clipping_sees_gradients_without_the_scale_of_fp16(clip):
    """With the scale of 65,536 on them every gradient would be longer than either limit."""
    net = cnn(dropout=0)
    unclipped, clipped = (
        state_of(copy.deepcopy(net), precision="fp16", clip_norm=limit) for limit in (None, clip)
    )
    assert clipped.scaler.get_scale() == 65536
    expected, found = recorded(unclipped), recorded(clipped)
    training_step(unclipped, *task(8))
    training_step(clipped, *task(8))
    plain = torch.cat([g.flatten() for g in gradients(net, *task(8))])
    whole = torch.cat([g.flatten() for g in expected])
    torch.testing.assert_close(whole, plain, rtol=0.02, atol=2e-3)  # half precision, unscaled
    short = torch.cat([g.flatten() for g in found])
    torch.testing.assert_close(short, whole * min(1, clip / whole.norm().item()), rtol=1e-4, atol=0)


def test_step_that_overflows_in_fp16_is_skipped_and_halves_the_scale():
    net = cnn(dropout=0)
    state = state_of(net, precision="fp16", ema_decay=0.9, clip_norm=1.0)
    training_step(state, *task(8))
    before, memory = bits(net), copy.deepcopy(state.optimizer.state_dict()["state"])
    assert state.scaler.get_scale() == 65536
    state.scaler.load_state_dict(state.scaler.state_dict() | {"scale": 2.0**40})
    training_step(state, *task(8))
    weights = [name for name, _ in net.named_parameters()]
    assert [name for name in weights if bits(net)[name] != before[name]] == []
    assert str(state.optimizer.state_dict()["state"]) == str(memory)
    assert state.scaler.get_scale() == 2.0**39
    assert (state.step, state.is_finite()) == (2, True)


def test_scale_grows_after_steps_without_overflow():
    state = state_of(cnn(), precision="fp16")
    state.scaler.set_growth_interval(2)
    for seed in range(3):
        training_step(state, *task(8, seed))
    assert state.scaler.get_scale() == 2 * 65536


def test_without_fp16_nothing_is_scaled():
    for precision in ("fp32", "bf16"):
        state = state_of(cnn(), precision=precision)
        assert not state.scaler.is_enabled()


def test_precision_is_that_of_the_convolutions():
    for precision, dtype in (
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.half),
    ):
        net, seen = cnn(), []
        net[0].register_forward_hook(lambda _, inputs, output, seen=seen: seen.append(output.dtype))
        training_step(state_of(net, precision=precision), *task(8))
        assert seen == [dtype]
        assert {weight.dtype for weight in net.parameters()} == {torch.float32}


def test_average_by_hand():
    """It begins with the weights after the first update: ē = d ē + (1 - d) w.

    The decay d of update t is t / (9 + t) at most: a tenth, two elevenths, a quarter.
    """
    net, mean = cnn(dropout=0).double(), None
    state = state_of(net, ema_decay=0.27)
    for seed, d in enumerate([0.1, 2 / 11, 0.25, 0.27]):
        images, labels = task(8, seed)
        training_step(state, images.double(), labels)
        now = {k: v.clone() for k, v in net.state_dict().items() if v.is_floating_point()}
        mean = now if mean is None else {k: d * mean[k] + (1 - d) * now[k] for k in now}
    found = state.judged.state_dict()
    assert state.judged is not net
    assert "1.running_var" in mean
    for name, value in mean.items():
        torch.testing.assert_close(found[name], value, rtol=1e-13, atol=1e-15)


def test_frozen_weights_stay_and_are_averaged_as_they_are():
    net = cnn()
    net[0].requires_grad_(False)
    before = bits(net)
    state = stepped(net, ema_decay=0.9)
    after, mean = bits(net), bits(state.judged)
    same = [name for name in before if before[name] == after[name]]
    assert same == ["0.weight", "0.bias"]
    assert {name: mean[name] for name in same} == {name: before[name] for name in same}


def test_gradients_of_the_step_before_are_forgotten():
    net = cnn(norm=False, dropout=0)
    for weight in net.parameters():
        weight.grad = torch.full_like(weight, 1e6)
    twin = cnn(norm=False, dropout=0)
    stepped(net, 1), stepped(twin, 1)
    assert bits(net) == bits(twin)

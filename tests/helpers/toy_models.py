"""Small models of many kinds, and what is looked at to see that a model is as it was."""

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils.parametrizations import spectral_norm

from resnet_lib.nets import PlainStack


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


def signature(model):
    return [(name, tensor.shape) for name, tensor in model.state_dict().items()]


class Offset(nn.Module):
    """Takes nothing and returns its weights."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.randn(4))

    def forward(self):
        return self.value


class Twice(nn.Module):
    """One layer called twice, the second time by keyword."""

    def __init__(self):
        super().__init__()
        self.layer, self.offset = nn.Linear(4, 4), Offset()

    def forward(self, x):
        return self.layer(input=self.layer(x).relu() + self.offset())


class Tied(nn.Module):
    """Embedding and output layer share one weight."""

    def __init__(self, sparse=False):
        super().__init__()
        self.embedding, self.out = nn.Embedding(5, 4, sparse=sparse), nn.Linear(4, 5)
        if not sparse:
            self.out.weight = self.embedding.weight

    def forward(self, x):
        return self.out(self.embedding(x))


class Dictionary(nn.Module):
    """Returns a dictionary, as the models of Hugging Face do; holds a buffer without storage."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.ones(1).expand(3))

    def forward(self, x):
        return {"ids": None, "logits": (self.layer(x) * self.scale, x)}


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken on purpose")


def cnn():
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.3)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 4 * 4, 5))


def frozen():
    """Batch norm kept in eval mode inside a model in train mode, its weights frozen."""
    model = cnn()
    model[0].requires_grad_(False)
    model[1].requires_grad_(False).eval()
    return model


def images():
    return torch.randn(6, 2, 6, 6)


MODELS = {
    "cnn": (cnn, images),
    "frozen layers": (frozen, images),
    "mlp": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), None),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8), lambda: torch.randn(6, 2, 4)),
    "lstm": (lambda: nn.LSTM(4, 3, num_layers=2, dropout=0.5), lambda: torch.randn(6, 2, 4)),
    "layer called twice": (Twice, None),
    "tied weights": (Tied, lambda: torch.arange(6) % 5),
    "sparse gradients": (lambda: Tied(sparse=True), lambda: torch.arange(6) % 5),
    "dictionary": (Dictionary, None),
    "spectral norm": (lambda: nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.ReLU()), None),
    "bare layer": (lambda: nn.Linear(4, 3), None),
    "one image": (lambda: PlainStack(4, 2), lambda: torch.randn(1, 1, 8, 8)),
}
every_model = pytest.mark.parametrize("name", list(MODELS))


def build(name):
    torch.manual_seed(0)
    make, inputs = MODELS[name]
    return make(), inputs() if inputs else torch.randn(6, 4)


def mean_square(outputs, targets):
    """A loss for any output: of its first floating tensor, with one factor for each sample."""
    while not isinstance(outputs, torch.Tensor):
        values = list(outputs.values()) if isinstance(outputs, dict) else outputs
        outputs = next(value for value in values if value is not None)
    return (outputs.flatten(1).square().mean(1) * targets).sum()


def state(model):
    """All that must be left alone: values, and the tensors themselves."""

    def known(tensors):
        return [None if t is None else (id(t), t.detach().numpy().tobytes()) for t in tensors]

    modules = list(model.modules())
    return {
        "modes": [module.training for module in modules],
        "hooks": [list(m._forward_hooks.items()) for m in modules],
        "other hooks": [len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules],
        "hooks on every module": [
            len(torch_module._global_forward_hooks),
            len(torch_module._global_forward_pre_hooks),
        ],
        "trainable": [p.requires_grad for p in model.parameters()],
        "parameters": known(model.parameters()),
        "gradients": known(p.grad for p in model.parameters()),
        "buffers": known(b for m in modules for b in m._buffers.values()),
        "random numbers": torch.get_rng_state().numpy().tobytes(),
        "autograd": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


def lived_in(model):
    """Gradients on every other weight and a hook on every module, as a user may have them."""
    for parameter in list(model.parameters())[::2]:
        parameter.grad = torch.randn_like(parameter)
    for module in model.modules():
        module.register_forward_hook(lambda *_: None)
    return model

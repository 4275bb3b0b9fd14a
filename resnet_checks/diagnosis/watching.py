"""One forward pass in eval mode: scores, what batch norm is given, which channels are silent."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from resnet_lib import probes

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*CONVOLUTIONS, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Fit:
    """How far a batch norm's running statistics are from this batch, the middle channel.

    Attributes:
        shift: distance of the means, in running deviations.
        stretch: ratio of the deviations, the larger over the smaller.
        counted: batches that the running statistics have seen, or None.
    """

    shift: float
    stretch: float
    counted: int | None


@dataclass
class Sight:
    """What one forward pass shows.

    Attributes:
        scores: (N, ...) what the model puts out, or None where it is no tensor.
        fits: for each batch norm with running statistics, how they fit.
        silent: for each layer with weights but the first, the share of its input's channels that
            are zero for the whole batch, and how many there are.
        smallest: the last convolution's positions, as "2×2".
        connected: names of the parameters that the scores depend on.
    """

    scores: Tensor | None = None
    fits: dict[str, Fit] = field(default_factory=dict)
    silent: dict[str, tuple[float, int]] = field(default_factory=dict)
    smallest: str | None = None
    connected: set[str] = field(default_factory=set)


def watch(model: nn.Module, images: Tensor) -> Sight:
    """Run the model once, in eval mode, and note it all; errors of the model come out."""
    sight = Sight()
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        probes.preserved(model),
        ExitStack() as s,
    ):
        model.eval()
        for name, module in model.named_modules():
            if isinstance(module, NORMS) and module.running_mean is not None:
                handle = module.register_forward_pre_hook(_fit_into(sight.fits, name))
            elif isinstance(module, LAYERS):
                handle = module.register_forward_pre_hook(_silence_into(sight, name))
            else:
                continue
            s.callback(handle.remove)
        scores = model(images)
        sight.silent.pop(next(iter(sight.silent), ""), None)  # the first layer looks at the images
        if isinstance(scores, Tensor):
            sight.connected = _connected(model, scores)
            sight.scores = scores.detach()
    return sight


def _fit_into(fits: dict[str, Fit], name: str):
    def hook(norm, given):
        x = given[0].detach().double().transpose(0, 1).flatten(1)  # (C, values)
        if x.shape[1] < 2 or name in fits:
            return
        mean, variance = norm.running_mean.double(), norm.running_var.double() + norm.eps
        shift = (x.mean(dim=1) - mean).abs() / variance.sqrt()
        stretch = (((x.var(dim=1) + norm.eps) / variance).log().abs() / 2).exp()
        counted = norm.num_batches_tracked
        fits[name] = Fit(
            shift.median().item(),
            stretch.median().item(),
            None if counted is None else int(counted),
        )

    return hook


def _silence_into(sight: Sight, name: str):
    def hook(layer, given):
        x = given[0].detach()
        if isinstance(layer, CONVOLUTIONS):
            sight.smallest = "×".join(map(str, x.shape[2:]))
            x = x.transpose(0, 1).flatten(1)
        else:
            x = x.flatten(0, -2).T
        share = (x == 0).all(dim=1).double().mean().item()
        sight.silent.setdefault(name, (share, len(x)))

    return hook


def _connected(model: nn.Module, scores: Tensor) -> set[str]:
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not scores.requires_grad or not named:
        return set()
    gradients = torch.autograd.grad(scores.float().sum(), list(named.values()), allow_unused=True)
    return {name for name, g in zip(named, gradients, strict=True) if g is not None}

"""Does the reader's function prepare a trained network for other classes, with frozen parts?"""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from resnet_checks.comparing import equal, random_values
from resnet_checks.limits import LONG
from resnet_checks.observing import is_plain
from resnet_checks.phrases import fault, joined
from resnet_checks.report import FaultFound, Report, require_function, write_report
from resnet_checks.running import attempt, isolated, like_parameters
from resnet_lib import nets

__all__ = ["fine_tuning"]

CALL = "prepare(model, num_classes)"
_CLASSES = 3  # a number that nobody writes down
_HEAD = "fc"
_SHAPE = (8, 3, 16, 16)
_STEPS = 2  # with momentum, or after a warm-up, the first one may move nothing


def fine_tuning(prepare: Callable, trained: Sequence[str] = ()) -> Report:
    """Check that `prepare(model, num_classes)` gets a network ready to learn other classes.

    It is to put a new linear layer for `num_classes` classes in the place of `fc`; to freeze all
    other parts: no gradients, and batch norm in eval mode; and to return the model and an optimizer
    of what is trained. The check trains it for two steps, in the modes in which it comes, and
    compares. The model that it hands over is a `nets.CifarResNet` of 8 layers with `conv1`, `bn1`,
    `layer1` to `layer3` and `fc`.

    Args:
        prepare: the reader's function, called with two positional arguments.
        trained: names of parts that are to be trained beside the head, as "layer3".

    Raises:
        TypeError: `prepare` cannot be called, or is a class or a module; `trained` is one string.
        ValueError: `trained` names what is no part of the model.
    """
    require_function(prepare, "prepare", CALL)
    if isinstance(trained, str):
        raise TypeError(f"trained must be several names, as ('layer3',), got {trained!r}")
    parts = [name for name, _ in _model().named_children() if name != _HEAD]
    for name in trained:
        if name not in parts:
            raise ValueError(f"trained must name parts of it ({', '.join(parts)}), got {name!r}")
    return write_report("Fine-tuning", _steps(prepare, tuple(trained)))


def _model() -> nn.Module:
    """A network with running statistics as a training leaves them."""
    model = nets.CifarResNet(8, num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.2)
            module.running_var.fill_(1.5)
    return model


def _steps(prepare: Callable, trained: tuple[str, ...]) -> Iterator[str]:
    with isolated():
        given = _model().train()
        source = _state(given)
        head = list(given.get_submodule(_HEAD).parameters())
        result = attempt(CALL, lambda: prepare(given, _CLASSES), f"It is called as {CALL}.", LONG)
        model, optimizer = _pair(result)
        free = {_HEAD, *trained}
        _check_source(model, source)
        _check_head(model)
        yield f"it returns the model, with a head for {_CLASSES} classes, and an optimizer"
        yield "all other parts have the weights that came"
        _check_gradients(model, free)
        _check_optimizer(model, optimizer, head)
        yield f"gradients for {_named(free)} alone, and the optimizer has these parameters"
        _check_modes(model, free)
        before = _state(model)
        attempt("A training step", lambda: _train(model, optimizer), None, LONG)
        _check_moves(before, _state(model), free)
        yield "after two steps the frozen parts are the same, running statistics too"
        yield f"all parameters of {_named(free)} have moved"


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _named(parts: set[str]) -> str:
    return joined(f"`{name}`" for name in sorted(parts))


def _is_free(name: str, free: set[str]) -> bool:
    return name.split(".")[0] in free


def _pair(result: object) -> tuple[nn.Module, Optimizer]:
    if result is None:
        raise FaultFound("The function returned None.", "Is a `return` missing?")
    if not isinstance(result, tuple | list) or len(result) != 2:
        kind = type(result).__name__
        raise FaultFound(f"The function returned {kind}, not the pair (model, optimizer).")
    for value, kind, name in zip(
        result, (nn.Module, Optimizer), ("model", "optimizer"), strict=True
    ):
        if not isinstance(value, kind):
            raise FaultFound(f"In the place of the {name} stands a {type(value).__name__}.")
    model, optimizer = result
    return model.module if isinstance(model, nn.DataParallel) else model, optimizer


def _check_head(model: nn.Module) -> None:
    head = getattr(model, _HEAD, None)
    if not isinstance(head, nn.Module):
        raise FaultFound(f"The model has no part `{_HEAD}` any more.")
    with torch.no_grad():
        x = like_parameters(random_values(*_SHAPE), model)
        scores = attempt("The forward pass", lambda: model(x))
    found, right = tuple(getattr(scores, "shape", ())), (len(x), _CLASSES)
    if found == (len(x), 10):
        raise FaultFound(
            "The model still puts out 10 scores: its old head is in place.",
            "model.fc = nn.Linear(model.fc.in_features, num_classes)",
        )
    if found != right:
        raise FaultFound(f"The model puts out {found} scores, not {right}.")
    if ((scores.sum(dim=1) - 1).abs() < 1e-4).all():
        raise FaultFound(
            "The new head ends with softmax.", "The loss expects scores and applies it itself."
        )


def _check_source(model: nn.Module, source: dict[str, Tensor]) -> None:
    """The body is the one that came, with its running statistics."""
    found = model.state_dict()
    for name in [name for name in source if not _is_free(name, {_HEAD})]:
        if name not in found:
            raise FaultFound(f"The model has no `{name}` any more.")
        if not is_plain(found[name]):
            raise fault("on meta")
        if not equal(found[name], source[name]):
            raise FaultFound(
                f"`{name}` is not what came: what the first training has learned is lost.",
                "Is the network built anew, or initialised again?",
            )


def _check_gradients(model: nn.Module, free: set[str]) -> None:
    parameters = list(model.named_parameters())
    if not any(p.requires_grad for _, p in parameters):
        raise FaultFound(
            "No parameter asks for a gradient: everything is frozen, the new head too.",
            "Freeze first, then put the new head in its place.",
        )
    asking = [n for n, p in parameters if p.requires_grad and not _is_free(n, free)]
    frozen = [n for n, p in parameters if not p.requires_grad and _is_free(n, free)]
    if frozen:
        part = frozen[0].split(".")[0]
        raise FaultFound(f"`{frozen[0]}` is frozen, though `{part}` is to be trained.")
    if asking:
        more = f" and {len(asking) - 1} more" if asking[1:] else ""
        raise FaultFound(
            f"`{asking[0]}`{more} still ask for a gradient: the part is not frozen.",
            "part.requires_grad_(False)",
        )


def _check_optimizer(model: nn.Module, optimizer: Optimizer, old_head: list[Tensor]) -> None:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if missing and any(id(p) in held for p in old_head):
        raise FaultFound(
            "The optimizer holds the old head's parameters, and not the new one's.",
            "Build the optimizer after the head is replaced.",
        )
    if missing:
        raise FaultFound(
            f"The optimizer does not know `{missing[0]}`, which is to be trained.",
            "Hand it all parameters that ask for a gradient.",
        )
    known = {id(p) for p in model.parameters()}
    if held - known:
        raise FaultFound("The optimizer holds parameters that are no part of the model.")


def _check_modes(model: nn.Module, free: set[str]) -> None:
    norms = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    if moving := [name for name, m in norms if m.training and not _is_free(name, free)]:
        raise FaultFound(
            f"{len(moving)} frozen batch norms are in train mode, `{moving[0]}` first: their "
            "running statistics follow the new pictures, and they normalise by each batch.",
            "Put frozen parts into eval mode, after any model.train().",
        )
    if still := [name for name, m in norms if not m.training and _is_free(name, free)]:
        raise FaultFound(
            f"`{still[0]}` is in eval mode, though it is to be trained: its running statistics "
            "would stay those of the first training.",
            "Put the trained parts back into train mode after model.eval().",
        )


def _train(model: nn.Module, optimizer: Optimizer) -> None:
    for number in range(_STEPS):
        images = like_parameters(random_values(*_SHAPE, seed=number) + 0.5, model)
        labels = torch.arange(len(images)) % _CLASSES
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def _check_moves(before: dict[str, Tensor], after: dict[str, Tensor], free: set[str]) -> None:
    same = {name: torch.equal(value, after[name]) for name, value in before.items()}
    if moved := [n for n, is_same in same.items() if not is_same and not _is_free(n, free)]:
        raise FaultFound(f"`{moved[0]}` has changed in training, though its part is frozen.")
    if still := [n for n, is_same in same.items() if is_same and _is_free(n, free)]:
        raise FaultFound(
            f"`{still[0]}` is as before after {_STEPS} steps: it is not trained.",
            "Is a learning rate 0, or a gradient cut off by detach or no_grad?",
        )

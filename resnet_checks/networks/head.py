"""Does one linear layer read the mean over all positions, and is its result what comes out?"""

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_checks.comparing import equal, name_activation
from resnet_checks.networks.anatomy import Anatomy
from resnet_checks.report import FaultFound
from resnet_checks.roles import Roles

_AVERAGE = "Average over all positions: nn.AdaptiveAvgPool2d(1), or mean(dim=(2, 3))."

_POOLINGS = {
    "mean": lambda x: x.mean(dim=(2, 3)),
    "max": lambda x: x.amax(dim=(2, 3)),
    "sum": lambda x: x.sum(dim=(2, 3)),
    "flat": lambda x: x.flatten(1),
    "one position": lambda x: x[:, :, 0, 0],
    "each position": lambda x: x.permute(0, 2, 3, 1),
}

_WRONG_POOLING = {
    "max": "The maximum over the positions goes into the classifier. It should be the mean.",
    "sum": "The sum over the positions goes into the classifier. It should be the mean.",
    "flat": "Every position goes into the classifier: global average pooling is missing.",
    "one position": "Only the first position goes into the classifier. It should be the mean.",
}

_LAST = {
    "softmax": lambda x: x.softmax(1),
    "log-softmax": lambda x: x.log_softmax(1),
    "softmax over the batch": lambda x: x.softmax(0),
}


class Head:
    """What the classifier reads, explained as a pooling of what the last block puts out."""

    def __init__(self, anatomy: Anatomy):
        self.anatomy = anatomy
        self.pooling: str | None = None

    def read_last(self, last: Roles) -> Tensor:
        """What the last block puts out, as far as the classifier's input tells."""
        outputs = _possible_outputs(last)
        read = self.anatomy.linear[0].input if self.anatomy.linear else self.anatomy.run.output
        for name, pool in _POOLINGS.items():
            for value in outputs:
                if equal(read.flatten(), pool(value).flatten()):
                    self.pooling = name
                    return value
        return outputs[0]

    def check(self) -> str:
        """One linear layer with bias, on the mean, and nothing behind it; what it is, in words.

        The mean of what the layer makes of each position is the same.
        """
        linear, anatomy = self.anatomy.linear, self.anatomy
        if not linear:
            raise FaultFound(
                "No linear layer was seen. The classifier is one.",
                "Only nn.Linear and F.linear are seen.",
            )
        if norms := [call.kind for call in anatomy.run.norms if call.input.dim() != 4]:
            raise FaultFound(f"A {norms[0]} stands between the mean and the classifier, or behind.")
        if self.pooling in _WRONG_POOLING:
            raise FaultFound(_WRONG_POOLING[self.pooling], _AVERAGE)
        if self.pooling is None:
            raise FaultFound(self._name_input(), _AVERAGE)
        if len(linear) > 1:
            raise FaultFound(f"The classifier holds {len(linear)} linear layers. It should be one.")
        if linear[0].arguments.get("bias") is None:
            raise FaultFound("The classifier has no bias.", "No batch norm follows it, so keep it.")
        return self._check_output(linear[0].output, anatomy.run.output)

    def _check_output(self, scores: Tensor, result: Tensor) -> str:
        if self.pooling != "each position":
            if not equal(result, scores):
                raise FaultFound(*_name_output(result, scores))
            return "one linear layer on the mean over all positions"
        if not equal(result, scores.reshape(len(result), -1, scores.shape[-1]).mean(dim=1)):
            raise FaultFound(
                "The linear layer stands before the pooling, on each position, and what comes out "
                "is not the mean of its results.",
                _AVERAGE,
            )
        return (
            "one linear layer on each position, then the mean: the same scores as after the mean, "
            "for more work"
        )

    def _name_input(self) -> str:
        read = self.anatomy.linear[0].input
        mean = self.anatomy.blocks[-1].run.output.mean(dim=(2, 3))
        if read.shape != mean.shape:
            return (
                f"The classifier reads values of shape {tuple(read.shape)}, not the mean of shape "
                f"{tuple(mean.shape)}."
            )
        if activation := name_activation(read, mean):
            return f"{activation} is applied to the mean before the classifier."
        return "The classifier does not read the mean of what the last block puts out."


def _possible_outputs(last: Roles) -> list[Tensor]:
    """The right output of the last block, then those that a fault would make of it."""
    f = last.branch_output
    known = not last.shortcut or "norm_projection" in last.calls
    s = last.shortcut_output if known else None
    if s is None or s.shape != f.shape:
        return [F.relu(f), f]
    linear = [f + s, f - s, s - f, f + 2 * s, 2 * f + s, (f + s) / 2, f * s]
    more = [F.relu(f) + s, F.relu(f) + F.relu(s), F.relu(f + F.relu(s)), f + F.relu(s)]
    activated = [F.gelu(f + s), F.leaky_relu(f + s), F.elu(f + s), F.silu(f + s)]
    rest = [F.relu(value) for value in (*linear[1:], f, s, *more[:1])]
    return [F.relu(f + s), f + s, *more, *rest, f, *linear[1:], *activated, torch.tanh(f + s)]


def _name_output(result: Tensor, scores: Tensor) -> tuple[str, str]:
    hint = "The loss expects scores: cross_entropy applies softmax itself."
    name = next((n for n, f in _LAST.items() if equal(result, f(scores))), None)
    if name := name or name_activation(result, scores):
        return f"The network ends with {name}. It should end with the linear layer.", hint
    return "The output is not what the linear layer puts out.", "Nothing follows the linear layer."

"""What is wrong with the loss that a training step returns, although its gradient was right?"""

from resnet_checks.loops.events import State, Trace
from resnet_checks.loops.reference import CROSS_ENTROPY, WRONG_LOSSES, Reference, close
from resnet_checks.report import FaultFound

__all__ = ["name_loss"]


def name_loss(found: float, right: float, trace: Trace, reference: Reference) -> FaultFound:
    """The fault of a returned loss that is not the mean cross-entropy before the update."""
    batch = trace.batches[0]
    size = len(batch[1])
    if found != found or abs(found) == float("inf"):
        return FaultFound(f"The loss that is returned is {found}.")
    for state in (trace.after, _with_buffers(trace.after, trace.before)):
        if any(close(found, reference.loss(state, batch, training=mode)) for mode in (True, False)):
            return FaultFound(
                "The loss that is returned is computed after the update. It should be the one that "
                "the update was made from.",
                "Compute the loss once, before backward(), and return that.",
            )
    if close(found, right * size):
        return FaultFound(
            f"The loss that is returned is the sum over the batch of {size} images, not the mean."
        )
    if close(found, right / size):
        return FaultFound("The loss that is returned is divided by the size of the batch twice.")
    for name, loss in WRONG_LOSSES.items():
        if close(found, reference.loss(trace.before, batch, loss)):
            return FaultFound(f"The loss that is returned is {name}.", CROSS_ENTROPY)
    if rounding := rounded(found, right):
        return FaultFound(f"The loss that is returned is {rounding}.")
    return FaultFound(
        f"The loss that is returned is {found:.4g}. By hand it is {right:.4g}.",
    )


def rounded(found: float, right: float) -> str | None:
    """Says how a number was rounded, if it was."""
    for digits in range(5):
        if found == round(right, digits):
            return f"rounded to {digits} decimal places" if digits else "rounded to a whole number"
    return None


def _with_buffers(state: State, other: State) -> State:
    """The parameters of one state with the running statistics of another."""
    values = {name: getattr(state, name) for name in state.__dataclass_fields__}
    return State(**values | {"buffers": other.buffers})

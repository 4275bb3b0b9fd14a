"""What is wrong with an update whose gradient was right?"""

from resnet_checks.loops.events import Step, Trace
from resnet_checks.loops.probe import LEARNING_RATE
from resnet_checks.loops.reference import Momentum
from resnet_checks.report import FaultFound

_TOLERANCE = 1e-6


def name_update(trace: Trace, momentum: Momentum, when: str) -> FaultFound | None:
    """The fault of a call with one update that does not end where SGD with momentum ends."""
    update = trace.of_kind(Step)[0]
    start, end = update.parameters, trace.after.parameters
    right = momentum.step(start, update.gradient)
    size = (right - start).norm()
    if (start - trace.before.parameters).norm() > _TOLERANCE * size:
        return FaultFound(f"{when} the parameters are changed before optimizer.step().")
    if (end - right).norm() <= _TOLERANCE * size:
        return None
    plain = start - LEARNING_RATE * update.gradient
    if (end - plain).norm() <= _TOLERANCE * size:
        return FaultFound(
            f"{when} the parameters move as plain SGD moves them: the optimizer has lost its "
            "momentum.",
            "Is the optimizer built, or its state emptied, inside the function?",
        )
    rest = end - right
    shrink = float(rest @ start / (start @ start))
    if (rest - shrink * start).norm() <= 1e-3 * rest.norm():
        return FaultFound(
            f"{when} the weights are multiplied by {1 + shrink:.6g} besides the update.",
            "The optimizer does weight decay itself, by its argument weight_decay.",
        )
    return FaultFound(
        f"{when} the parameters end elsewhere than optimizer.step() puts them: "
        f"off by {float((end - right).norm() / size):.2g} times the update."
    )

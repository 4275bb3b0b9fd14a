"""Every operation that PyTorch carries out: its arithmetic, its traffic, and what is alive."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from resnet_lib.arguments import check_number
from resnet_lib.probes.running import eager


class OperationCost(NamedTuple):
    """One operation: its name, arithmetic, traffic, and the bytes that are alive after it.

    `flops` counts a multiply-add as two, `moved_bytes` each tensor that goes in or comes out once.
    `alive_bytes` is what tensors hold that were made since the `with` body began.
    """

    operation: str
    flops: int
    moved_bytes: int
    alive_bytes: int


@contextmanager
def operation_costs() -> Iterator[list[OperationCost]]:
    """Write down each operation of the `with` body, in order: forward, backward, optimiser.

    Flops are those of convolutions, matrix products and attention, as torch's flop counter has
    them; operations that only look at a tensor in another way (views) are left out. The memory
    that an operation takes for itself while it runs is not seen, and what is compiled runs as if
    it were not. The most memory that a step needs, for example::

        with probes.operation_costs() as rows:
            model(images)
        peak = max(row.alive_bytes for row in rows)

    Raises:
        RuntimeError: no operation was seen in the body.
    """
    watch = _Watch()
    with eager(), watch:
        yield watch.rows
    if not watch.rows:
        raise RuntimeError("the body of operation_costs must carry out an operation, got none")


def least_seconds(rows: list[OperationCost], speed: float, bandwidth: float) -> float:
    """How long the operations take at least, one after the other (the roofline's floor).

    Each has to do its arithmetic, and to read its inputs and write its outputs once; it can take
    no less than the longer of both (Williams et al. 2009, doi.org/10.1145/1498765.1498785).

    Args:
        rows: what `operation_costs` has written down.
        speed: flops per second that the machine can do.
        bandwidth: bytes per second that it can move.

    Raises:
        TypeError, ValueError: speed or bandwidth is no positive number.
    """
    check_number("speed", speed, 0, above=True)
    check_number("bandwidth", bandwidth, 0, above=True)
    return sum(max(row.flops / speed, row.moved_bytes / bandwidth) for row in rows)


class _Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.rows: list[OperationCost] = []
        self.alive: dict[StorageWeakRef, int] = {}
        self.outside: set[StorageWeakRef] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else the first operation imports torch._dynamo, which takes seconds. Nothing is compiled
        # here anyway: `eager` sees to it.
        return False

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if operation.is_view:
            return result
        given, made = _tensors((args, kwargs)), _tensors(result)
        count = flop_registry.get(operation.overloadpacket)
        flops = count(*args, **(kwargs or {}), out_val=result) if count else 0
        moved = sum(tensor.nbytes for tensor in given + made)
        # What was there before is not the body's.
        self.outside |= {ref for t in given if (ref := _storage(t)) not in self.alive}
        new = {ref: t for t in made if (ref := _storage(t)) not in self.outside}
        self.alive |= {ref: t.untyped_storage().nbytes() for ref, t in new.items()}
        self.alive = {ref: size for ref, size in self.alive.items() if not ref.expired()}
        self.rows.append(OperationCost(str(operation), flops, moved, sum(self.alive.values())))
        return result


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())

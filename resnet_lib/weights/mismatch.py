"""What does not fit between a model and a state dict, and with which arguments it would.

Beginnings that a wrapper put before all names, as `module.` and `_orig_mod.`, are among that.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

from resnet_lib.weights.reading import listed

MOST_PARTS = 6  # more to leave out, and it is another network

State = dict[str, Tensor]


def is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def renamed(name: str, rename: Mapping[str, str]) -> str:
    """The name with other parts, as {"module": "", "linear": "fc"} says; see `load_weights`."""
    for old, new in rename.items():
        if old == "":
            name = f"{new}.{name}"
        else:
            there = f".{new}." if new else "."
            name = f".{name}.".replace(f".{old}.", there, 1).strip(".")
    return name


def rename_all(given: State, rename: Mapping[str, str]) -> State:
    """The same tensors under their new names.

    Raises:
        ValueError: a part is in no name, or two names become the same.
    """
    for old in rename:
        if old and not any(f".{old}." in f".{name}." for name in given):
            raise ValueError(f"rename names {old!r}, which is in no name of the source")
    found: State = {}
    for name, tensor in given.items():
        new = renamed(name, rename)
        if new in found:
            raise ValueError(f"rename gives two tensors of the source the name {new!r}")
        found[new] = tensor
    return found


def faults(own: State, given: State) -> list[str]:
    """What does not fit, in sentences."""
    missing, unknown, shapes = _differences(own, given)
    both = [n for n in own if n in given]
    found = []
    if missing:
        found.append(f"The source lacks {listed(missing)}.")
    if unknown:
        found.append(f"The model lacks {listed(unknown)}.")
    if shapes:
        pairs = [f"{n} {tuple(own[n].shape)} and {tuple(given[n].shape)}" for n in shapes]
        found.append(f"Shapes differ, in model and source: {listed(pairs)}.")
    kinds = [n for n in both if own[n].is_floating_point() != given[n].is_floating_point()]
    if kinds:
        found.append(f"Whole numbers stand where the other has fractions: {listed(kinds)}.")
    # load_state_dict would stop at these halfway.
    odd = [n for n in both if not all(_has_values(tensor[n]) for tensor in (own, given))]
    if odd:
        found.append(f"Sparse or on the meta device, without values to copy: {listed(odd)}.")
    return found


def propose(
    own: State, given: State, rename: Mapping[str, str], leave_out: Collection[str]
) -> dict[str, Any] | None:
    """`rename` and `leave_out` with which the source would load; None: it is another network's.

    They keep what was asked for already. Whether they are right, names and shapes cannot tell.
    """
    wrapped = {**rename, **_beginning(own, _moved(given, rename))}
    for words in (_other_words(own, _moved(given, wrapped)), {}):
        attempt = {**wrapped, **words}
        moved = _moved(given, attempt)
        parts = _parts(own, moved, leave_out)
        left = [*leave_out, *parts]
        rest, wanted = (
            {n: t for n, t in state.items() if not any(is_in(n, part) for part in left)}
            for state in (moved, own)
        )
        # A network without one of its blocks, or with a random one, is none.
        in_a_row = any(word.isdigit() for part in parts for word in part.split("."))
        worth = not in_a_row and len(parts) <= MOST_PARTS and 2 * len(wanted) >= len(own)
        if len(moved) == len(given) and worth and not faults(wanted, rest):
            return {"rename": attempt, "leave_out": left}
    return None


def _differences(own: State, given: State) -> tuple[list[str], list[str], list[str]]:
    """Names that the source lacks, that the model lacks, and those of other shapes."""
    # PyTorch before 0.4.1 saved batch norms without their counter, torchvision's first files too.
    missing = [n for n in own if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in own]
    shapes = [n for n in own if n in given and own[n].shape != given[n].shape]
    return missing, unknown, shapes


def _has_values(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


def _moved(given: State, rename: Mapping[str, str]) -> State:
    return {renamed(name, rename): tensor for name, tensor in given.items()}


def _beginning(own: State, given: State) -> dict[str, str]:
    """The beginning that a wrapper put before all names, of the source or of the model."""
    least = max(1, min(len(own), len(given)) // 2)
    best, most = ("", ""), _matches(own, given)
    for old, new in product(_beginnings(given, least), _beginnings(own, least)):
        moved = {new + n.removeprefix(old): t for n, t in given.items() if n.startswith(old)}
        if (count := _matches(own, moved)) > most and count >= least:
            best, most = (old, new), count
    old, new = (part.removesuffix(".") for part in best)
    return {old: new} if old or new else {}


def _matches(own: State, given: State) -> int:
    return sum(n in own and own[n].shape == tensor.shape for n, tensor in given.items())


def _beginnings(names: Iterable[str], least: int) -> list[str]:
    """Beginnings up to a dot that at least so many names have; the empty one first."""
    counts = Counter(
        name[: place + 1] for name in names for place, sign in enumerate(name) if sign == "."
    )
    return ["", *(beginning for beginning, count in counts.items() if count >= least)]


def _other_words(own: State, given: State) -> dict[str, str]:
    """Words of the source for which the model has others: {"linear": "fc"}.

    Only where each name with the word has its counterpart of the same shape in the model.
    """
    missing, unknown, _ = _differences(own, given)
    gaps: dict[tuple, set[str]] = {}
    for name in missing:
        for key, word in _with_a_gap(name, own[name]):
            gaps.setdefault(key, set()).add(word)
    pairs = {
        (old, new)
        for name in unknown
        for key, old in _with_a_gap(name, given[name])
        for new in gaps.get(key, ())
    }
    found = {}
    for old, new in sorted(pairs):
        alone = sum(old in pair for pair in pairs) == sum(new in pair for pair in pairs) == 1
        touched = [n for n in unknown if old in n.split(".")]
        moved = [(renamed(n, {old: new}), given[n]) for n in touched]
        if alone and all(n in own and own[n].shape == tensor.shape for n, tensor in moved):
            found[old] = new
    return found


def _with_a_gap(name: str, tensor: Tensor) -> Iterator[tuple[tuple, str]]:
    """Each word of a name, with what is left of the name without it, and the shape."""
    words = name.split(".")
    for place, word in enumerate(words):
        if not word.isdigit():  # a number is the place in a row, and no word for it
            yield (*words[:place], None, *words[place + 1 :], tuple(tensor.shape)), word


def _parts(own: State, given: State, leave_out: Collection[str]) -> list[str]:
    """The parts in which something does not fit, layers or more, as `leave_out` names them."""

    def inside(name: str) -> bool:
        return any(is_in(name, part) for part in leave_out)

    missing, unknown, shapes = _differences(own, given)
    fitting = [n for n in own if n in given and n not in shapes and not inside(n)]
    bad = {name for name in (*missing, *unknown, *shapes) if not inside(name)}
    parts: list[str] = []
    for name in (name for name in dict.fromkeys([*own, *given]) if name in bad):
        part = name.rpartition(".")[0] or name
        while (outer := part.rpartition(".")[0]) and not any(is_in(n, outer) for n in fitting):
            part = outer
        if not any(is_in(part, other) for other in parts):
            parts = [other for other in parts if not is_in(other, part)] + [part]
    return parts

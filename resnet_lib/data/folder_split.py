"""Which files of a folder are trained on, and which are held back."""

from collections.abc import Sequence

import torch
from torch import Tensor

from resnet_lib.data.folder_layout import PARTS, Layout


def split_rows(
    layout: Layout, rows: Sequence[int], *, test_fraction: float, seed: int
) -> list[list[int]]:
    """Of the given files those for training, for validation and for the test.

    Raises:
        ValueError: a class has too few of them.
    """
    if layout.parts is not None:
        parts = [[row for row in rows if layout.parts[row] == part] for part in PARTS]
        for part, some in zip(PARTS, parts, strict=True):
            if part in layout.parts:
                _check_counts(layout, some, f"the {part} part of ", 1)
        return parts
    _check_counts(layout, rows, "", 2)
    labels = torch.tensor([layout.labels[row] for row in rows])
    train, test = split(labels, test_fraction, seed)
    return [[rows[i] for i in train.tolist()], [], [rows[i] for i in test.tolist()]]


def split(labels: Tensor, test_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of the training and of the test part; the share of each class is kept."""
    generator = torch.Generator().manual_seed(seed)
    held_back = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        count = min(max(1, round(test_fraction * len(rows))), len(rows) - 1)
        held_back[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return (~held_back).nonzero()[:, 0], held_back.nonzero()[:, 0]


def _check_counts(layout: Layout, rows: Sequence[int], where: str, least: int) -> None:
    labels = torch.tensor([layout.labels[row] for row in rows], dtype=torch.int64)
    counts = labels.bincount(minlength=len(layout.classes)).tolist()
    few = [f"{n} in {name}" for name, n in zip(layout.classes, counts, strict=True) if n < least]
    if few:
        readable = "1 readable picture" if least == 1 else "2 readable pictures to be split"
        raise ValueError(
            f"each class of {where}{layout.place} must have at least {readable}, "
            f"got {', '.join(few)}"
        )

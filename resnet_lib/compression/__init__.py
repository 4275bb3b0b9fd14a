"""A trained network made smaller: batch norm folded, channels removed, a student taught."""

from resnet_lib.compression.distillation import Taught, distillation_loss
from resnet_lib.compression.folding import fold_batch_norm, folded
from resnet_lib.compression.pruning import CRITERIA, prune_channels

__all__ = [
    "CRITERIA",
    "Taught",
    "distillation_loss",
    "fold_batch_norm",
    "folded",
    "prune_channels",
]

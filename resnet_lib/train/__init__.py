"""Training: one `fit`, one `evaluate`, and what lets a run survive a kill."""

from resnet_lib.train.checkpoint import CheckpointError, Checkpoints
from resnet_lib.train.config import OPTIMIZERS, PRECISIONS, SCHEDULES, TrainConfig
from resnet_lib.train.evaluation import Evaluation, evaluate
from resnet_lib.train.history import History, tensorboard
from resnet_lib.train.keeping import NonFiniteLoss
from resnet_lib.train.loop import fit, training_step
from resnet_lib.train.optimisation import learning_rate, make_optimizer, parameter_groups
from resnet_lib.train.state import TrainState
from resnet_lib.train.world import World, join, pick_device, pick_precision

__all__ = [
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "CheckpointError",
    "Checkpoints",
    "Evaluation",
    "History",
    "NonFiniteLoss",
    "TrainConfig",
    "TrainState",
    "World",
    "evaluate",
    "fit",
    "join",
    "learning_rate",
    "make_optimizer",
    "parameter_groups",
    "pick_device",
    "pick_precision",
    "tensorboard",
    "training_step",
]

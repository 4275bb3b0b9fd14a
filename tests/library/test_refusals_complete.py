"""Whether each public function and class has its rows in a table of bad input, or says why not."""

import importlib
import inspect

import bad_input
import pytest
import test_refusals_data
import test_refusals_measures
import test_refusals_networks
import test_refusals_train
import test_refusals_weights

TABLES = (
    *(test_refusals_networks.TABLE, test_refusals_data.TABLE, test_refusals_weights.TABLE),
    *(test_refusals_measures.TABLE, test_refusals_train.TABLE),
)
PACKAGES = (
    *("arguments", "blocks", "compression", "console", "data", "diagrams", "export", "files"),
    *("landscape", "names", "nets", "paths", "plots", "prediction", "probes", "serving"),
    *("switches", "train", "variants", "weights"),
)
SAME = {  # the same code under another name, and the entry that stands for it
    "resnet34": "resnet18",
    "resnet50": "resnet18",
    "resnet101": "resnet18",
    "resnet152": "resnet18",
    "plain20": "resnet20",
    "resnet56": "resnet20",
}
RECORDS = {  # what functions return, and errors; nobody else builds them
    *("ActivationStatistics", "BlockPass", "Card", "CheckpointError", "Diagram", "Evaluation"),
    *("History", "ImageData", "LayerCost", "LayerShape", "ModelCard", "NonFiniteLoss"),
    *("OperationCost", "Passes", "Prediction", "ReceptiveField", "ServerError", "Signals"),
    *("Version", "WeightsMismatch"),
}
NOTHING_TO_REFUSE = {
    *("ReZero", "numpy_data", "printable", "refusal", "operation_costs", "own_outputs"),
    *("basic_block", "bottleneck", "downsample_block", "function_classes", "plain_and_residual"),
}
BY_HAND = {  # chapters build them line by line, so they have no door; their inputs are checked
    *("autocast", "between", "branch_of", "count", "eval_mode", "gradient_by_length", "join"),
    *("learning_rate", "moved", "one_cycle", "parameter_groups", "right_answers"),
    *("through_block", "training_step"),
}
INNER = {  # parts of `fit` and `evaluate`, which hand them what was checked
    *("MoreCounts", "Objective", "TrainState", "World", "new_sums", "pick_precision", "widened"),
    *("sync_folder", "write_whole", "written_aside"),  # see test_full_disk.py
}
ELSEWHERE = {
    "Client": "test_serving_server.py",
    "ScaledStdConv2d": "arguments of torch.nn.Conv2d",
    "band": "test_plots.py",
    "check_choice": "the doors of all tables",
    "check_classes": "test_train_loaders.py",
    "check_images": "the doors of all tables",
    "check_labels": "the doors of all tables",
    "check_multiple": "the doors of all tables",
    "check_number": "the doors of all tables",
    "check_positive": "the doors of all tables",
    "check_whole": "the doors of all tables",
    "cifar10": "test_data_cifar.py",
    "figure": "test_plots.py",
    "label": "test_plots.py",
    "running": "test_serving_server.py",
    "show_images": "test_plots.py",
    "tensorboard": "test_train_history.py",
    "without_blocks": "test_refusals_networks.py",
}


def public(package: str) -> list[str]:
    module = importlib.import_module(f"resnet_lib.{package}")
    return [name for name in module.__all__ if callable(getattr(module, name))]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_public_name_has_its_rows(package):
    known = set().union(*map(bad_input.called, TABLES), SAME, RECORDS, NOTHING_TO_REFUSE)
    known |= BY_HAND | INNER | set(ELSEWHERE)
    module = importlib.import_module(f"resnet_lib.{package}")
    names = [name for name in public(package) if not _is_type(getattr(module, name))]
    assert not [name for name in names if name not in known]


def test_no_reason_is_given_for_what_is_not_there():
    there = {name for package in PACKAGES for name in public(package)}
    given = {*SAME, *SAME.values(), *RECORDS, *NOTHING_TO_REFUSE, *BY_HAND, *INNER, *ELSEWHERE}
    assert given <= there


def test_each_argument_of_a_row_is_one_of_the_function():
    for table in TABLES:
        for entry in table:
            taken = inspect.signature(entry.call).parameters
            if not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
                assert set(entry.bad) <= set(taken), entry.call


def _is_type(value: object) -> bool:
    """An alias of a type, such as Loss, is nothing that is called."""
    return not inspect.isfunction(value) and not inspect.isclass(value)

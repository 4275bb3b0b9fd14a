"""The patients: eighteen faults, each put by code into a sound training on the digits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from resnet_checks.block import basic_block
from resnet_checks.diagnosis import Diagnosis, diagnose
from resnet_checks.loops.accumulation import accumulation
from resnet_checks.loops.evaluation import evaluation_loop
from resnet_checks.loops.step import training_step
from resnet_checks.report import Report
from resnet_checks.ward import faults, symptoms
from resnet_checks.ward.trainings import Course, Recipe

__all__ = ["HEALTHY", "PATIENTS", "Patient"]

HEALTHY = Recipe()
"""The sound training that every fault is put into."""


@dataclass(frozen=True)
class Patient:
    """A fault, what one sees of it, and how to tell it from health.

    Attributes:
        name: the fault in a few words.
        complaint: what somebody says who has it and does not know it.
        inject: from a sound recipe to the faulty one.
        measure: one number from a finished training.
        unit: what that number is.
        border: what lies beyond it is sick.
        above: whether sick numbers lie above the border, or below.
        found: the kinds of `diagnose`'s findings that name it from outside; empty where none can.
        check: runs the check that names the fault from the code, where there is one.
        purpose: what the model is about to do, as `diagnose` is told.
    """

    name: str
    complaint: str
    inject: Callable[[Recipe], Recipe]
    measure: Callable[[Course], float]
    unit: str
    border: float
    above: bool
    found: tuple[str, ...] = ()
    purpose: Literal["training", "use"] | None = None
    check: Callable[[], Report] | None = None

    def is_sick(self, value: float) -> bool:
        """Whether a measured number lies beyond the border."""
        return value > self.border if self.above else value < self.border

    def run(self, seed: int) -> Course:
        """The faulty training from this seed."""
        return self.inject(HEALTHY).run(seed)

    def diagnose(self, course: Course) -> Diagnosis:
        """What `diagnose` finds with the digits of the test, and all that may be known."""
        mean, std = faults.normalisation()
        told = {"mean": [mean], "std": [std], "purpose": self.purpose, "residual": True}
        return diagnose(course.model, *course.test_batch, **told)


def _with(**changes) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, **changes)


_LOW, _HIGH = False, True

PATIENTS = (
    Patient(
        "a shortcut without the stride", "It stops at the first batch.",
        _with(build=lambda: faults.with_blocks(faults.StridelessShortcut)),
        symptoms.steps_done, "steps done", 1, _LOW, ("error",),
        check=lambda: basic_block(faults.StridelessShortcut),
    ),
    Patient(
        "a classifier made for one size", "It worked on 8×8, and stops at larger pictures.",
        _with(build=faults.Flattened, prepare_test=faults.larger),
        symptoms.sizes_taken, "sizes answered, of four", 3, _LOW, ("error",),
    ),
    Patient(
        "a rate far too high", "The loss shoots up and never comes back.",
        _with(rate=30.0),
        symptoms.last_loss, "training loss at the end", 5, _HIGH,
    ),
    Patient(
        "a rate far too low", "The loss hardly moves.",
        _with(rate=1e-4),
        symptoms.last_loss, "training loss at the end", 1.2, _HIGH,
    ),
    Patient(
        "dead ReLUs", "The loss stays at guessing, whatever the rate.",
        _with(build=faults.with_prior),
        symptoms.silent_share, "largest share of silent channels", 0.9, _HIGH, ("dead",),
    ),
    Patient(
        "softmax twice", "It learns, and the loss stays far from zero.",
        _with(build=faults.with_softmax),
        symptoms.last_loss, "training loss at the end", 1.2, _HIGH, ("probabilities",),
    ),
    Patient(
        "an overflow in 16 bits", "The loss is nan from the second step on.",
        _with(update=faults.step_in_half),
        symptoms.steps_done, "steps with a finite loss", 40, _LOW,
    ),
    Patient(
        "no shuffle", "The loss rises, then rests at guessing.",
        _with(order=faults.sorted_rows),
        symptoms.test_accuracy, "test accuracy", 0.5, _LOW,
    ),
    Patient(
        "batch norm in train mode at the test", "Good on many pictures, bad on single ones.",
        _with(evaluate=faults.evaluate_as_it_is, test_batch=1),
        symptoms.mode_cost, "accuracy lost against eval mode", 0.1, _HIGH, ("mode",), "use",
        lambda: evaluation_loop(faults.evaluate_as_it_is),
    ),
    Patient(
        "labels shifted by one", "Training is perfect, the test is below chance.",
        _with(read=faults.next_label),
        symptoms.test_accuracy, "test accuracy", 0.05, _LOW, ("labels",),
    ),
    Patient(
        "normalisation forgotten at the test", "Training is good, the test is bad.",
        _with(prepare_test=faults.raw),
        symptoms.test_loss, "test loss", 0.6, _HIGH, ("input",),
    ),
    Patient(
        "normalisation doubled at the test", "Training is good, the test is worse.",
        _with(prepare_test=faults.twice),
        symptoms.pixel_mean, "mean of the pixels in the test", -0.3, _LOW, ("input",),
    ),
    Patient(
        "overfitting", "The training loss is zero, the test is worse.",
        _with(parts=faults.few_digits, epochs=40),
        symptoms.gap, "training minus test accuracy", 0.13, _HIGH,
    ),
    Patient(
        "batch norm frozen by accident", "It learns, a little worse than it did.",
        _with(update=faults.step_to_eval),
        symptoms.batches_counted, "share of batches its statistics saw", 0.5, _LOW, ("statistics",),
        check=lambda: training_step(faults.step_to_eval),
    ),
    Patient(
        "a gradient lost on the way", "It learns. More layers at the front change nothing.",
        _with(build=faults.Detached),
        symptoms.first_layer_moved, "movement of the first layer", 1e-6, _LOW, ("gradient",),
    ),
    Patient(
        "a leak between training and test", "The test is excellent; in use it is not.",
        _with(parts=faults.copies_split),
        symptoms.flattery, "test accuracy above fresh digits'", 0.08, _HIGH,
    ),
    Patient(
        "accumulation without division", "It needs a smaller rate than it did.",
        _with(update=faults.accumulated, batch=64),
        symptoms.gradient_ratio, "length of an update, of the right one", 2, _HIGH,
        check=lambda: accumulation(faults.accumulate),
    ),
    Patient(
        "a skip that is none", "Nobody complains. It is meant to grow deeper.",
        _with(build=lambda: faults.with_blocks(faults.LostInput)),
        symptoms.blocks_open, "share of blocks that hand on x", 0.5, _LOW, ("shortcut",),
        check=lambda: basic_block(faults.LostInput),
    ),
)  # fmt: skip
"""In the order of the book; `PATIENTS[0].name` says what the first one has."""

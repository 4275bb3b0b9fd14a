"""The ward: eighteen trainings on the digits, each with one fault put into it by code.

`HEALTHY.run(seed)` trains soundly, `PATIENTS[0].run(seed)` with the first fault. Both give a
`Course`: the losses, the accuracies, the network. A patient's `measure` makes one number of it,
which lies beyond the patient's `border` where the fault is there. Each training takes about a
second.
"""

from resnet_checks.ward import faults
from resnet_checks.ward.patients import HEALTHY, PATIENTS, Patient
from resnet_checks.ward.trainings import Course, Parts, Recipe

__all__ = ["HEALTHY", "PATIENTS", "Course", "Parts", "Patient", "Recipe", "faults"]

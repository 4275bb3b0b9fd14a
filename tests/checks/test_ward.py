"""The ward: each patient is told from a sound training, by its number, diagnose, or a check."""

from functools import cache

import pytest

from resnet_checks import ward

SEEDS = (0, 1)
SAYS = {
    "a shortcut without the stride": "The projection has stride 1, though stride 2",
    "batch norm in train mode at the test": "The model is in train mode",
    "batch norm frozen by accident": "runs in eval mode",
    "accumulation without division": "added up and not divided",
    "a skip that is none": "What is added is the output of the first ReLU, not x",
}
every_patient = pytest.mark.parametrize("patient", ward.PATIENTS, ids=lambda one: one.name)


@cache
def sound(seed):
    return ward.HEALTHY.run(seed)


@every_patient
def test_its_number_and_diagnose_tell_it_from_a_sound_training(patient):
    """The borders were set on seeds 100 to 102; results/ward.json has six seeds."""
    courses = {seed: patient.run(seed) for seed in SEEDS}
    for seed, course in courses.items():
        assert patient.is_sick(patient.measure(course)), seed
        assert not patient.is_sick(patient.measure(sound(seed))), seed
    assert set(patient.found) <= set(patient.diagnose(courses[0]).kinds)


@pytest.mark.parametrize("seed", SEEDS)
def test_diagnose_raises_no_alarm_on_the_sound_training(seed):
    sick = [patient for patient in ward.PATIENTS if patient.purpose is None]
    found = sick[0].diagnose(sound(seed))
    assert found, found


def test_the_check_of_the_code_names_the_fault():
    checked = {patient.name: patient.check() for patient in ward.PATIENTS if patient.check}
    assert checked.keys() == SAYS.keys()
    for name, report in checked.items():
        assert not report, name
        assert SAYS[name] in report.fault, report


def test_a_seed_gives_the_same_training_again():
    assert ward.HEALTHY.run(0).losses == sound(0).losses
    assert sound(1).losses != sound(0).losses


def test_names_are_all_different():
    assert len({patient.name for patient in ward.PATIENTS}) == len(ward.PATIENTS) >= 12

"""ward: the record has every patient, and what the chapter says of it holds."""

import pytest
import ward as experiment
from bench import record
from notebooks import ROOT

from resnet_checks import ward


def test_the_record_separates_every_patient_with_every_seed():
    held = record.load(ROOT / "results" / "ward.json")
    seeds = held["configuration"]["seeds"]
    assert seeds >= 5
    healthy, *rows = held["results"]
    assert healthy["patient"] == experiment.SOUND
    assert healthy["kinds"] == [[]] * seeds, "diagnose raised an alarm on a sound network"
    assert [row["patient"] for row in rows] == [patient.name for patient in ward.PATIENTS]
    for row, patient in zip(rows, ward.PATIENTS, strict=True):
        assert len(row["sick"]) == len(row["healthy"]) == len(row["kinds"]) == seeds
        assert (row["border"], row["above"]) == (patient.border, patient.above)
        assert all(map(patient.is_sick, row["sick"])), patient.name
        assert not any(map(patient.is_sick, row["healthy"])), patient.name
        assert tuple(row["named"]) == patient.found
        assert all(set(patient.found) <= set(kinds) for kinds in row["kinds"]), patient.name


def test_a_small_run_leaves_a_record(tmp_path):
    out = tmp_path / "ward.json"
    assert experiment.main(["--patients", "1", "--seeds", "1", "--out", str(out)]) == 0
    healthy, row = record.load(out)["results"]
    assert healthy["training"][0] > 0.9
    assert row["patient"] == ward.PATIENTS[0].name
    assert row["sick"] == [0]


def test_unknown_patients_are_refused(capsys):
    with pytest.raises(SystemExit):
        experiment.parse(["--patients", "19"])
    assert "invalid choice" in capsys.readouterr().err

"""What the lab's page loads is made anew and compared, so that no stale file stays."""

import json

import lab_models
import onnxruntime
import pytest
import torch


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", lab_models.NETWORKS)
def test_network_gives_what_one_made_now_gives(name, tmp_path):
    """The outputs, not the bytes: another version of the exporter may write others."""
    made = session(lab_models.write_model(name, tmp_path))
    held = session(lab_models.LAB / f"{name}.onnx")
    outputs = [one.name for one in made.get_outputs()]
    assert [one.name for one in held.get_outputs()] == outputs
    images = lab_models.examples(name)[:4].numpy()
    for skips, branches in lab_models.states(name):
        given = {"images": images, "skips": skips, "branches": branches}
        given = {key: torch.tensor(value).numpy() for key, value in given.items()}
        both = zip(outputs, held.run(None, given), made.run(None, given), strict=True)
        for output, one, other in both:
            apart = abs(one - other).max()
            assert apart < 1e-4, f"{output} at {skips}, {branches}: run book/_tools/lab_models.py"


def test_digits_are_those_of_the_library():
    held = (lab_models.LAB / "digits.json").read_text(encoding="utf-8")
    assert held == lab_models.digits_text(), "run book/_tools/lab_models.py"


def test_expected_scores_are_those_of_the_networks():
    held = json.loads(lab_models.EXPECTED.read_text(encoding="utf-8"))
    now = json.loads(lab_models.expected_text())
    assert held.keys() == now.keys()
    for name in held:
        for one, other in zip(held[name], now[name], strict=True):
            assert one == pytest.approx(other, abs=2e-5), "run book/_tools/lab_models.py"


def test_pictures_name_their_licence_and_fit_their_network():
    held = json.loads((lab_models.LAB / "pictures.json").read_text(encoding="utf-8"))
    assert "Microsoft Corporation, MIT licence" in held["credit"]
    assert len(held["names"]) == len(held["labels"]) == len(lab_models.examples("pictures"))
    assert sorted(set(held["labels"])) == list(range(10))
    card = lab_models.weights.model_card("resnet20", "cifar10")
    assert (held["mean"], held["std"]) == (list(card.mean), list(card.std))
    assert held["classes"] == list(card.classes)

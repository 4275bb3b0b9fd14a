"""The load test of the server: a small run's record; failures are counted and not timed."""

import pytest
import serving as experiment
from bench import record
from toy_serving import as_images, pictures, published

from resnet_lib import serving


def test_a_small_run_leaves_a_record(tmp_path):
    out = tmp_path / "serving.json"
    words = ["--what", "batch", "--batches", "2", "--users", "3", "--seconds", "2"]
    words += ["--rounds", "2"]
    assert experiment.main([*words, "--skipped", "1", "--out", str(out)]) == 0
    rows = record.load(out)["results"]
    assert [row["round"] for row in rows] == [0, 1]
    for row in rows:
        assert (row["net"], row["batch"], row["users"], row["failed"]) == ("resnet20", 2, 3, 0)
        assert row["answers"] > 10
        assert row["per_second"] == pytest.approx(row["answers"] / 2, rel=0.2)
        assert 0 < row["p50"] <= row["p95"] <= row["p99"] < 2
        # Three users who wait for their answers: each has one under way all the time.
        assert row["per_second"] * row["p50"] < 3.5


def test_cases_are_all_that_was_asked():
    cases = experiment.cases(
        experiment.parse(["--batches", "1", "4", "--users", "1", "8", "--rounds", "1"])
    )
    assert [case["what"] for case in cases] == ["form"] * 4 + ["batch"] * 4 + ["threads"] * 8
    assert {case["threads"] for case in cases if case["what"] == "threads"} == {1, 2}


@pytest.mark.parametrize("net", ["resnet20", "resnet18"])
@pytest.mark.parametrize("form", ["images", "pictures"])
def test_a_request_is_one_that_the_server_takes(net, form):
    import json
    from types import SimpleNamespace

    from resnet_lib.serving.requests import images_of

    _, card = experiment.network(net)
    (given,) = json.loads(experiment.request(form, card.image))["inputs"]
    assert images_of([SimpleNamespace(**given)], card.image).shape == (1, *card.image)


def test_failures_are_counted_and_not_timed(tmp_path):
    published(tmp_path / "models")
    options = experiment.parse(["--seconds", "1", "--skipped", "0"])
    body = tmp_path / "body.json"
    body.write_text(experiment.json.dumps({"inputs": [as_images(pictures(1), datatype="FP32")]}))
    with serving.running(tmp_path / "models") as client:
        found = experiment.ask(f"{client.url}/v2/models/pets/infer", body, 2, options)
    assert found["failed"] > 0
    assert found["answers"] == []

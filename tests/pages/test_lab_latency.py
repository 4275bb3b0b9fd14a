"""The experiment on the lab's cost: a small run on the built pages; the record that is kept."""

import browser_latency
import chromium
import pytest
from bench import lab_browser, record
from notebooks import ROOT

WAYS = ["torch", "native", "web", "web-scores", "web-int8", "by-hand"]


@pytest.fixture(scope="module")
def made(html, tmp_path_factory):
    if chromium.find_chromium() is None:
        pytest.skip("Chromium is missing")
    out = tmp_path_factory.mktemp("latency") / "browser_latency.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab_browser, "PAGES", html)
        words = ["--turns", "1", "--repeats", "1", "--inputs", "12", "--out", str(out)]
        assert browser_latency.main(words) == 0
    return record.load(out)


def by_case(held):
    return {(row["what"], row["network"]): row for row in held["results"]}


def test_every_way_gives_pytorchs_scores(made):
    """In INT8 nearly."""
    for name in ("digits", "pictures"):
        run = by_case(made)["run", name]
        assert list(run["milliseconds"]) == WAYS[: 6 if name == "digits" else 5]
        for way, apart in run["apart"].items():
            limit = 1 if way == "web-int8" else 1e-4
            assert apart < limit, way
        assert run["apart"]["web-int8"] > 1e-4, "INT8 rounds"


def test_sizes_are_those_of_the_files(made, html):
    found = by_case(made)["size", ""]["bytes"]
    lab = html / "_static" / "lab"
    assert found["runtime-packed"] == (lab / "ort.wasm.gzip").stat().st_size
    assert found["digits-switched"] == (lab / "digits.onnx").stat().st_size
    assert found["by-hand-weights"] < found["digits-plain"]
    assert found["digits-int8"] < found["digits-plain"] / 2
    assert found["runtime-packed"] < found["runtime"] / 3


def test_inputs_and_loads_are_timed(made):
    cases = by_case(made)
    for name in ("digits", "pictures"):
        spent = cases["stroke", name]["milliseconds"]
        assert len(spent) == 12
        assert min(spent) > 0
    assert len(cases["load", ""]["seconds"]) == 1


def test_the_record_has_every_case():
    held = by_case(record.load(ROOT / "results" / "browser_latency.json"))
    names = ("digits", "pictures")
    asked = {("size", ""), ("load", ""), *((w, n) for w in ("stroke", "run") for n in names)}
    assert set(held) == asked
    assert len(held["stroke", "digits"]["milliseconds"]) == 300
    assert max(held["run", "digits"]["apart"][way] for way in WAYS if way != "web-int8") < 1e-4

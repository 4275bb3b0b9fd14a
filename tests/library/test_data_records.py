"""Records are found beside the library and inside it."""

import pytest
from notebooks import ROOT

from resnet_lib.data import read_record
from resnet_lib.data import records as records_module


@pytest.fixture(params=["repository", "installed"])
def records(request, tmp_path, monkeypatch):
    """A library that lies beside results/, or has it inside itself."""
    package = tmp_path / "resnet_lib"
    folder = (tmp_path if request.param == "repository" else package) / "results"
    folder.mkdir(parents=True)
    package.mkdir(exist_ok=True)
    (folder / "one.json").write_text('{"seed": 3, "unit": "×"}', encoding="utf-8")
    monkeypatch.setattr(records_module, "__file__", str(package / "data" / "records.py"))
    return folder


def test_record_is_found(records):
    assert read_record("results/one.json") == {"seed": 3, "unit": "×"}


def test_missing_record_is_named_with_those_there_are(records):
    with pytest.raises(FileNotFoundError, match=r"results/two\.json.*results/one\.json"):
        read_record("results/two.json")
    (records / "series").mkdir()
    (records / "one.json").rename(records / "series" / "first.json")
    with pytest.raises(FileNotFoundError, match=r"There are: results/series/first\.json"):
        read_record("results/two.json")
    (records / "series" / "first.json").unlink()
    with pytest.raises(FileNotFoundError, match="There are: none"):
        read_record("results/one.json")


def test_every_record_of_the_repository_can_be_read():
    paths = sorted((ROOT / "results").rglob("*.json"))
    assert paths
    assert all(read_record(str(path.relative_to(ROOT)))["results"] for path in paths)

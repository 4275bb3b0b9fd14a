"""A repository of models: numbered versions, whole or not at all, and never changed."""

import json
import threading

import pytest
from toy_serving import toy_card

from resnet_lib import serving

CONTENT = b"a network" * 100


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "some.onnx"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def publish(models, network, **about):
    return serving.publish(models, "pets", network, toy_card(), **about)


def test_versions_count_up_and_say_what_they_are(models, network):
    first = publish(models, network, note="the first")
    network.write_bytes(CONTENT + b"more")
    second = publish(models, network)
    assert serving.versions(models, "pets") == [first, second]
    assert (first.number, first.size, first.note) == (1, len(CONTENT), "the first")
    assert (second.number, second.size, second.note) == (2, len(CONTENT) + 4, "")
    assert first.sha256 != second.sha256
    assert (first.folder / "model.onnx").read_bytes() == CONTENT


def test_mlserver_is_told_inputs_and_outputs(models, network):
    folder = publish(models, network, max_batch_size=4, threads=2).folder
    about = json.loads((folder / "model-settings.json").read_text(encoding="utf-8"))
    shapes = {one["name"]: one["shape"] for one in about["inputs"] + about["outputs"]}
    assert shapes["images"] == [-1, 3, 8, 8]
    assert shapes["scores"] == [-1, 2]
    extra = about["parameters"]["extra"]
    assert extra["classes"] == ["bright", "dark"]
    assert (extra["max_batch_size"], extra["threads"]) == (4, 2)


def test_a_roll_back_is_a_new_version_of_the_old_network(models, network):
    first = publish(models, network, max_batch_size=4)
    network.write_bytes(b"worse")
    second = publish(models, network)
    third = serving.roll_back(models, "pets")
    assert (third.number, third.sha256, third.note) == (3, first.sha256, "version 1 again")
    settings = (third.folder / "model-settings.json").read_text(encoding="utf-8")
    assert json.loads(settings)["parameters"]["extra"]["max_batch_size"] == 4
    assert serving.versions(models, "pets")[:2] == [first, second]
    assert serving.roll_back(models, "pets", to=2).sha256 == second.sha256


@pytest.mark.parametrize("to", [None, 0, 2, 7])
def test_a_roll_back_needs_an_older_version(models, network, to):
    publish(models, network)
    with pytest.raises(ValueError, match=r"to must be an older version of pets: \[1\]"):
        serving.roll_back(models, "pets", to=to)
    assert len(serving.versions(models, "pets")) == 1


def test_a_damaged_version_is_not_published_again(models, network):
    first = publish(models, network)
    (first.folder / "model.onnx").write_bytes(CONTENT[:50])
    with pytest.raises(ValueError, match="to must be a whole version, but version 1 has a network"):
        serving.roll_back(models, "pets", to=1)


DAMAGES = {
    "cut short": (
        lambda folder: (folder / "model.onnx").write_bytes(CONTENT[:50]),
        "version 1 has a network of 50 bytes, and 900 were published",
    ),
    "changed": (
        lambda folder: (folder / "model.onnx").write_bytes(CONTENT[::-1]),
        "version 1 has another network than was published",
    ),
    "no network": (lambda folder: (folder / "model.onnx").unlink(), "version 1 cannot be read"),
    "no settings": (
        lambda folder: (folder / "model-settings.json").unlink(),
        "version 1 cannot be read",
    ),
    "half the settings": (
        lambda folder: (folder / "model-settings.json").write_text('{"name":'),
        "version 1 cannot be read",
    ),
    "other settings": (
        lambda folder: (folder / "model-settings.json").write_text("{}"),
        "version 1 cannot be read",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named(models, network, name):
    damage, words = DAMAGES[name]
    folder = publish(models, network).folder
    assert serving.fault_of(folder) == ""
    damage(folder)
    assert words in serving.fault_of(folder)


@pytest.mark.parametrize("name", ["", "Pets", "my pets", "../pets", "-pets", "pets-", "p" * 64])
def test_names_that_are_not_allowed(models, network, name):
    with pytest.raises(ValueError, match="name must be small letters, digits and dashes"):
        serving.publish(models, name, network, toy_card())
    assert not models.exists()


def test_nothing_appears_where_the_network_is_missing(models, tmp_path):
    with pytest.raises(FileNotFoundError):
        publish(models, tmp_path / "nothing.onnx")
    assert not models.exists()


def test_nothing_is_left_of_a_publication_that_fails(models, network, monkeypatch):
    publish(models, network)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resnet_lib.serving.repository.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        publish(models, network)
    assert [path.name for path in (models / "pets").iterdir()] == ["1"]


def test_two_publishers_at_once_get_two_versions(models, network):
    threads = [threading.Thread(target=publish, args=(models, network)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.number for one in serving.versions(models, "pets")] == list(range(1, 9))
    assert not any(serving.fault_of(one.folder) for one in serving.versions(models, "pets"))


def test_there_is_no_such_model(models):
    with pytest.raises(FileNotFoundError, match="there is no model pets"):
        serving.versions(models, "pets")

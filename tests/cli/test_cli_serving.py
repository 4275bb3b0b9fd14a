"""The commands publish and serve."""

import signal

import pytest
import torch
from toy_cli import SMALL, carried_out, done, ended, started
from toy_serving import as_images

from resnet_lib import data, serving, weights
from resnet_lib.serving.server import _free_ports


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    done(*SMALL, "--epochs", "1", "--out", folder)
    return folder


@pytest.fixture(scope="module")
def models(run):
    folder = run.parent / "models"
    words = ("publish", folder, "--name", "digits")
    assert done(*words, "--run", run) == f"digits has version 1: {folder}/digits/1\n"
    done(*words, "--weights", run / "model.safetensors", "--note", "again", "--max-batch-size", 2)
    return folder


def test_what_is_published_is_the_run(models):
    first, second = serving.versions(models, "digits")
    assert first.sha256 == second.sha256, "a run, or its file of weights"
    assert (first.note, second.note) == ("", "again")


def test_served_are_the_scores_of_the_network(run, models):
    ports = _free_ports()
    words = [word for name, port in ports.items() for word in ("--" + name.replace("_", "-"), port)]
    job = started("serve", models, *words)
    url = f"http://127.0.0.1:{ports['port']}"
    assert job.stdout.readline() == f"Serving {models} on {url}/v2 until Ctrl-C.\n"
    client = serving.Client(url, retries=12)
    images = data.digits().test_images[:4]
    net, card = weights.load_network(run / "model.safetensors")
    with torch.no_grad():
        expected = net.eval()(data.Normalize(card.mean, card.std)(images))
    assert torch.allclose(client.scores("digits", images), expected, atol=1e-4)
    assert client.infer("digits", as_images(images))["model_version"] == "2"
    job.send_signal(signal.SIGINT)
    assert ended(job).code == 0


def test_a_name_that_is_not_allowed(run, tmp_path):
    words = ("publish", tmp_path / "models", "--name", "My pets", "--run", run)
    last = carried_out(*words)
    assert last.code == 1
    assert "name must be small letters, digits and dashes" in last.err
    assert not (tmp_path / "models").exists()


def test_weights_that_say_too_little(tmp_path):
    path = tmp_path / "bare.safetensors"
    net, _ = weights.load_network(weights.model_card("resnet8", "digits").path)
    weights.save_weights(path, net, net="resnet8", image=(1, 8, 8), mean=(0.3,), std=(0.4,))
    words = ("publish", tmp_path / "models", "--name", "bare", "--weights", path)
    assert f"{path} does not name its classes" in carried_out(*words).err


def test_a_missing_package_is_named(models, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    last = carried_out("serve", models)
    assert last.code == 1
    assert "mlserver is needed and not installed: pip install mlserver" in last.err

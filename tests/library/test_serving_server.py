"""A server on loopback: what it answers, and that nothing makes it fall or lose a request."""

import collections
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection

import psutil
import pytest
import requests
import torch
from toy_serving import CLASSES, as_images, as_pictures, network, pictures, png, published, toy_card

from resnet_lib import serving
from resnet_lib.data import Normalize
from resnet_lib.serving import Client, ServerError
from resnet_lib.serving.guarded import MOST_BYTES

IMAGES = pictures(8)
BATCH_TIME = 0.05  # seconds that a request without company waits


def expected(seed=0, images=IMAGES):
    card = toy_card()
    with torch.no_grad():
        return network(seed)(Normalize(card.mean, card.std)(images))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "models"
    published(folder, max_batch_size=4, max_batch_time=BATCH_TIME)
    return folder


@pytest.fixture(scope="module")
def log(models):
    return models.parent / "log"


@pytest.fixture(scope="module")
def client(models, log):
    with serving.running(models, log=log) as found:
        yield found


def state_of(client, version):
    states = {row["version"]: row["state"] for row in client.index()}
    return states[str(version.number)]


def newest(client):
    return int(client.infer("pets", as_images(IMAGES[:1]))["model_version"])


@contextmanager
def asked_all_the_time(client, users=4, retries=0):
    """Users who ask for one image each, over and over; what they got, counted."""
    found, stop = collections.Counter(), threading.Event()
    right = [expected(0), expected(1)]

    def ask(number):
        own, turn = Client(client.url, retries=retries), number
        while not stop.is_set():
            turn = (turn + 3) % len(IMAGES)
            try:
                scores = own.scores("pets", IMAGES[turn : turn + 1])
            except (ServerError, OSError) as error:
                found[str(error)] += 1
                time.sleep(0.01)
            else:
                good = any(torch.allclose(scores[0], one[turn], atol=1e-4) for one in right)
                found["right" if good else "wrong"] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# Answers


def test_scores_are_those_of_pytorch(client):
    assert torch.allclose(client.scores("pets", IMAGES), expected(), atol=1e-5)


def test_a_picture_file_gives_a_class(client):
    found = client.classes("pets", [png(one) for one in IMAGES])
    assert found == [CLASSES[row] for row in expected().argmax(1)]


def test_requests_that_travel_together_get_their_own_answers(client):
    with asked_all_the_time(client, users=12) as found:
        time.sleep(2)
    assert set(found) == {"right"}
    assert found["right"] > 20


def test_a_faulty_request_spoils_no_other(client):
    with asked_all_the_time(client, users=6) as found:
        for _ in range(30):
            with pytest.raises(ServerError, match="400: images must"):
                client.infer("pets", as_images(IMAGES[:1], datatype="FP32"))
            with pytest.raises(ServerError, match="400: picture 0"):
                client.infer("pets", as_pictures([b"abc"]))
    assert set(found) == {"right"}


def test_metadata_index_and_health(client):
    about = client.metadata("pets")
    assert (about["name"], about["platform"]) == ("pets", "onnx")
    assert [one["name"] for one in about["inputs"]] == ["images", "pictures"]
    first = client.index()[-1]
    assert (first["name"], first["version"], first["state"]) == ("pets", "1", "READY")
    assert client.is_ready()


def test_metrics_count_the_requests(client):
    client.scores("pets", IMAGES)
    text = requests.get(client.metrics, timeout=10).text
    line = next(one for one in text.splitlines() if "infer_request_success_total{" in one)
    assert float(line.split()[-1]) > 0


def test_a_proxy_is_not_asked_for_this_machine(client, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # no service listens there
    assert client.is_ready()
    assert torch.allclose(
        Client(client.url, retries=0).scores("pets", IMAGES), expected(), atol=1e-5
    )


# Faults

WRONG = {
    "half a JSON": (b'{"inputs": [', 422),
    "nothing": (b"", 422),
    "a list": (b"[1]", 422),
    "no inputs": (b'{"inputs": []}', 400),
    "a thousand brackets": (b"[" * 100_000, 422),
    "not a number": (
        b'{"inputs": [{"name": "images", "shape": [1, 3, 8, 8], "datatype": "UINT8", '
        b'"data": [NaN]}]}',
        422,
    ),
    "no such type": (
        b'{"inputs": [{"name": "images", "shape": [1], "datatype": "INT4", "data": [1]}]}',
        422,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_body_is_a_fault_of_the_client(client, name):
    body, status = WRONG[name]
    head = {"content-type": "application/json"}
    answer = requests.post(f"{client.url}/v2/models/pets/infer", data=body, headers=head)
    assert answer.status_code == status
    assert answer.json()
    assert client.is_ready()


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_body_that_is_too_large(client, in_pieces):
    size = MOST_BYTES + 1
    body = (b"x" * 2**20 for _ in range(size // 2**20 + 1)) if in_pieces else b"x" * size
    answer = requests.post(f"{client.url}/v2/models/pets/infer", data=body)
    assert answer.status_code == 413
    assert answer.json() == {"error": "a body has at most 33,554,432 bytes"}


@pytest.mark.parametrize("codings", [["gzip"], ["gzip", "identity"], ["identity", "gzip"]])
def test_a_packed_body_is_not_unpacked(client, codings):
    connection = HTTPConnection(client.url.removeprefix("http://"))
    connection.putrequest("POST", "/v2/models/pets/infer")
    for coding in codings:
        connection.putheader("content-encoding", coding)
    connection.putheader("content-length", "1")
    connection.endheaders(b"x")
    assert connection.getresponse().status == 415
    connection.close()


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [("cats", None, "Model cats not found"), ("pets", 9, "Model pets with version 9 not found")],
)
def test_what_is_not_there(client, name, version, words):
    with pytest.raises(ServerError, match=f"404: {words}") as caught:
        client.scores(name, IMAGES, version)
    assert caught.value.status == 404


# Versions


def test_a_new_version_and_a_roll_back_drop_no_request(client, models):
    begun = newest(client)
    with asked_all_the_time(client) as found:
        for publish in (
            lambda: published(models, seed=1),
            lambda: serving.roll_back(models, "pets"),
        ):
            made = publish()
            assert newest(client) == made.number - 1, "it waits to be told"
            assert state_of(client, made) == "UNAVAILABLE"
            client.load("pets")
            assert newest(client) == made.number
            assert state_of(client, made) == "READY"
            time.sleep(0.3)
    assert set(found) == {"right"}
    assert torch.allclose(client.scores("pets", IMAGES), expected(0), atol=1e-5)
    assert torch.allclose(client.scores("pets", IMAGES, begun + 1), expected(1), atol=1e-5)
    versions = {int(one["version"]) for one in client.index()}
    assert versions >= {begun, begun + 1, begun + 2}


def test_a_version_that_is_taken_away_drops_no_request(client, models, tmp_path):
    before = newest(client)
    made = published(models, seed=1)
    client.load("pets")
    with asked_all_the_time(client) as found:
        shutil.move(made.folder, tmp_path / "away")
        client.load("pets")
        time.sleep(0.3)
    assert set(found) == {"right"}
    assert newest(client) == before


def test_a_model_file_cut_short_is_refused_and_the_rest_goes_on(client, models, tmp_path):
    before, index = newest(client), client.index()
    made = published(models, seed=1)
    path = made.folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:1000])
    words = f"422: pets is as it was: version {made.number} has a network of 1,000 bytes"
    with pytest.raises(ServerError, match=words):
        client.load("pets")
    assert (newest(client), client.index()) == (before, index)
    shutil.move(made.folder, tmp_path / "away")


def test_requests_still_wait_for_others_when_a_version_was_loaded_anew(client, models):
    """MLServer's own batching would be gone."""
    made = serving.roll_back(models, "pets", to=1)
    for _ in range(2):
        client.load("pets")
        begun = time.monotonic()
        client.scores("pets", IMAGES[:1], made.number)
        assert time.monotonic() - begun >= BATCH_TIME


def test_the_newest_three_versions_are_loaded(client, models):
    made = [serving.roll_back(models, "pets", to=1) for _ in range(4)]
    client.load("pets")
    assert sorted(int(row["version"]) for row in client.index()) == [m.number for m in made[1:]]
    assert client.infer("pets", as_images(IMAGES), made[1].number)
    with pytest.raises(ServerError, match="404: Model pets with version"):
        client.infer("pets", as_images(IMAGES), made[0].number)


# The process


def server_of(process, models):
    """The process that answers; its parent only watches."""
    (parent,) = (p for p in process.children() if str(models) in p.cmdline())
    (child,) = parent.children()
    return parent, child


def test_a_killed_server_comes_back_and_no_request_is_lost(client, models):
    with (
        asked_all_the_time(client, retries=12) as found,
        asked_all_the_time(client, users=1, retries=0) as bare,
    ):
        time.sleep(0.5)
        _, child = server_of(psutil.Process(), models)
        child.send_signal(signal.SIGKILL)
        child.wait(20)
        before = found["right"]
        end = time.monotonic() + 120
        while found["right"] < before + 50 and time.monotonic() < end:
            time.sleep(0.1)
    assert set(found) == {"right"}
    assert found["right"] >= before + 50
    assert set(bare) > {"right"}, "without trying again, some are lost"


def test_damaged_versions_are_left_out_at_the_start(models, tmp_path):
    folder = tmp_path / "models"
    first = published(folder)
    second = published(folder, seed=1)
    path = second.folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    (folder / "strange").mkdir()
    (folder / "strange" / "model-settings.json").write_text("{")
    other = {"name": "other", "implementation": "mlserver.MLModel"}
    (folder / "other").mkdir()
    (folder / "other" / "model-settings.json").write_text(json.dumps(other))
    with serving.running(folder, log=tmp_path / "log") as client:
        assert newest(client) == first.number
        parent, child = server_of(psutil.Process(), folder)
    assert not parent.is_running()
    assert not child.is_running()
    assert "Left out of pets: version 2 has a network of" in (tmp_path / "log").read_text()


def test_a_server_ends_with_the_program_that_started_it(models):
    code = (
        "import os, sys, time; from resnet_lib import serving\n"
        "with serving.running(sys.argv[1]):\n"
        "    print('ready', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(models)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout.readline() == "ready\n"
        parent, child = server_of(psutil.Process(program.pid), models)
        program.kill()
        _, alive = psutil.wait_procs([parent, child], 30)
    assert not alive


@pytest.mark.parametrize("what", ["folder", "port"])
def test_what_cannot_be_served(models, tmp_path, what, client):
    if what == "folder":
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            serving.serve(tmp_path / "nothing")
    else:
        port = int(client.url.rsplit(":", 1)[1])
        settings = serving.ServerSettings(port=port)
        with pytest.raises(OSError, match=f"port {port}: Address already in use"):
            serving.serve(models, settings)


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("resnet_lib.serving.server.CHILD", "raise SystemExit('no such thing')")
    monkeypatch.setattr("resnet_lib.serving.server.SOON", 30.0)
    with pytest.raises(RuntimeError, match="the server died 5 times, the last time with 1"):
        serving.serve(tmp_path, free_settings())


def free_settings():
    from resnet_lib.serving.server import _free_ports

    return serving.ServerSettings(**_free_ports())


def test_too_many_requests_are_sent_away(models, monkeypatch):
    """By itself: 129 at once would take long."""
    import asyncio

    from mlserver.errors import MLServerError
    from mlserver.settings import ModelSettings

    from resnet_lib.serving import runtime

    folder = serving.versions(models, "pets")[0].folder
    about = json.loads((folder / "model-settings.json").read_text(encoding="utf-8"))
    about["parameters"]["uri"] = str(folder / "model.onnx")
    monkeypatch.setattr(runtime, "MOST_WAITING", 0)

    async def ask():
        model = runtime.OnnxRuntime(ModelSettings(**about))
        await model.load()
        await model.predict(None)

    with pytest.raises(MLServerError, match="pets is busy: 0 requests wait") as caught:
        asyncio.run(ask())
    assert caught.value.status_code == 503


def test_ready_means_loaded(monkeypatch):
    """By itself: how long a model takes to load is left to chance."""
    import asyncio
    from types import SimpleNamespace

    from mlserver import MLServer
    from mlserver.registry import MultiModelRegistry
    from mlserver.settings import ModelSettings

    from resnet_lib.serving.guarded import GuardedServer

    monkeypatch.setattr(MLServer, "_create_servers", lambda self: None)
    server = GuardedServer.__new__(GuardedServer)
    app = SimpleNamespace(add_middleware=lambda *_, **__: None)
    server._rest_server = SimpleNamespace(_app=app)
    server._model_repository_handlers = SimpleNamespace()
    server._model_registry = MultiModelRegistry()
    server._data_plane = SimpleNamespace(_model_registry=server._model_registry)
    server._create_servers()
    own = {"name": "pets", "implementation": "mlserver.MLModel", "parameters": {"version": "1"}}
    server._awaited = [ModelSettings(**own)]
    assert not asyncio.run(server._data_plane.ready())
    server._awaited = []
    assert asyncio.run(server._data_plane.ready())

"""The client, when a server's answer breaks off within."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch

from resnet_lib.serving import Client

ANSWER = json.dumps({"outputs": [{"name": "scores", "shape": [1, 2], "data": [3.0, 4.0]}]}).encode()
IMAGES = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)


@contextmanager
def answering_in_part(times):
    """The address of a server that breaks off within so many answers, and what it was asked."""
    asked = []

    class Broken(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER if len(asked) > times else ANSWER[:20])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_that_breaks_off_is_asked_for_again():
    with answering_in_part(times=2) as (url, asked):
        assert Client(url).scores("pets", IMAGES).tolist() == [[3.0, 4.0]]
    assert asked == ["/v2/models/pets/infer"] * 3


def test_as_often_as_was_asked_and_no_more():
    with answering_in_part(times=9) as (url, asked):
        with pytest.raises(OSError, match="IncompleteRead"):
            Client(url, retries=1).scores("pets", IMAGES)
        assert len(asked) == 2
        with pytest.raises(OSError, match="IncompleteRead"):
            Client(url).load("pets")
        assert len(asked) == 3

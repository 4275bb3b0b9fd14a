"""What asks a server that speaks the Open Inference Protocol, in JSON."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:  # a process that only watches over a server does without PyTorch
    from torch import Tensor

__all__ = ["Client", "ServerError"]

# A worker that died, or a server with too much to do: the same request may be answered next time.
TRANSIENT = (500, 502, 503, 504)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServerError(RuntimeError):
    """An answer that says what is wrong.

    Attributes:
        status: the HTTP status: 4xx, the request was at fault; 5xx, the server.
    """

    def __init__(self, status: int, reason: str):
        super().__init__(f"{status}: {reason}")
        self.status = status


class Client:
    """Asks one server; one on this machine without the proxy that the system may be set to.

    Where it asks for scores or classes, answers 500 to 504 and connections that break are tried
    again: to ask twice changes nothing.

    Args:
        url: the server's address, `http://127.0.0.1:8080`.
        metrics: where it tells its metrics; empty: nowhere.
        retries: how often to try again: at once, then after 0.2, 0.4, 0.8, ... seconds.
        timeout: seconds to wait for an answer.

    Raises:
        ImportError: requests is not installed.
    """

    def __init__(self, url: str, *, metrics: str = "", retries: int = 8, timeout: float = 30.0):
        import requests
        from urllib3.util import Retry

        self.url, self.metrics, self.timeout = url.rstrip("/"), metrics, timeout
        self.retries = retries
        self.once, self.session = requests.Session(), requests.Session()
        if urlsplit(url).hostname in LOOPBACK:  # no proxy finds this machine's own address
            self.once.trust_env = self.session.trust_env = False
        again = Retry(
            total=retries,
            backoff_factor=0.1,
            status_forcelist=TRANSIENT,
            allowed_methods=None,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=again))

    def is_ready(self) -> bool:
        """Whether the server has loaded all its models.

        Raises:
            OSError: no server answers.
        """
        return self.once.get(f"{self.url}/v2/health/ready", timeout=self.timeout).ok

    def metadata(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Inputs, outputs and version of a model; None: of its newest version."""
        return self.ask("GET", _place(name, version))

    def index(self) -> list[dict[str, Any]]:
        """The versions in the server's repository that it can take up, with their state.

        READY is what answers; UNAVAILABLE is what it was not told to load, see `load`.
        """
        return self.ask("POST", "repository/index", {})

    def load(self, name: str) -> None:
        """Have the server take up the versions that its repository has now; the newest answers."""
        self.ask("POST", f"repository/models/{name}/load")

    def unload(self, name: str) -> None:
        """Have the server forget a model."""
        self.ask("POST", f"repository/models/{name}/unload")

    def scores(self, name: str, images: "Tensor", version: int | None = None) -> "Tensor":
        """The network's scores (N, num_classes) for bytes (N, C, H, W)."""
        import torch

        given = {"name": "images", "datatype": "UINT8", "shape": list(images.shape)}
        answer = self.infer(name, given | {"data": images.flatten().tolist()}, version)
        outputs = {output["name"]: output for output in answer["outputs"]}
        return torch.tensor(outputs["scores"]["data"]).reshape(outputs["scores"]["shape"])

    def classes(
        self, name: str, pictures: "Sequence[str | os.PathLike | bytes]", version: int | None = None
    ) -> list[str]:
        """The likeliest class of each picture, given as a file or as a file's content."""
        files = [p if isinstance(p, bytes) else Path(p).read_bytes() for p in pictures]
        data = [base64.b64encode(file).decode() for file in files]
        given = {"name": "pictures", "datatype": "BYTES", "shape": [len(data)], "data": data}
        outputs = {output["name"]: output for output in self.infer(name, given, version)["outputs"]}
        return outputs["classes"]["data"]

    def infer(self, name: str, given: dict[str, Any], version: int | None = None) -> dict[str, Any]:
        """The answer to a request with one input, both as the protocol has them.

        Raises:
            ServerError: the server refuses it, or fails.
            OSError: no server answers.
        """
        body = {"inputs": [given]}
        return self.ask("POST", f"{_place(name, version)}/infer", body, again=True)

    def ask(self, method: str, place: str, body: Any = None, *, again: bool = False) -> Any:
        """What the server answers below /v2; `again`: with retries.

        Raises:
            ServerError: the server refuses it, or fails.
            OSError: no server answers.
        """
        from requests.exceptions import ChunkedEncodingError

        session = self.session if again else self.once
        for left in range(self.retries if again else 0, -1, -1):
            try:
                answer = session.request(
                    method, f"{self.url}/v2/{place}", json=body, timeout=self.timeout
                )
                break
            except ChunkedEncodingError:  # within an answer, where urllib3 does not try again
                if not left:
                    raise
        if not answer.ok:
            raise ServerError(answer.status_code, _reason(answer))
        return answer.json() if answer.content else None


def _place(name: str, version: int | None) -> str:
    return f"models/{name}" + ("" if version is None else f"/versions/{version}")


def _reason(answer) -> str:
    """What went wrong, in the forms in which servers say it."""
    try:
        said = answer.json()
    except ValueError:
        return answer.text.strip()
    if isinstance(said, dict) and isinstance(said.get("detail"), list):  # of its validation
        first = said["detail"][0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return said.get("error", str(said)) if isinstance(said, dict) else str(said)

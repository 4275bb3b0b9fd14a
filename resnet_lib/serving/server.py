"""A server of a repository's models, on MLServer, in a process that is started anew if it dies."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_lib.serving.client import Client
from resnet_lib.serving.settings import ServerSettings

if TYPE_CHECKING:  # processes import these by name; so a notebook that stands alone brings them
    from resnet_lib.serving import guarded, runtime  # noqa: F401

__all__ = ["running", "serve"]

SECONDS_TO_START = 120
SECONDS_TO_END = 20
# A server that dies so soon, so often, will not live the next time either.
SOON, OFTEN = 30.0, 5
CHILD = "import sys; from resnet_lib.serving.guarded import run; run(*sys.argv[1:])"
PARENT = "import sys; from resnet_lib.serving.server import _serve_for; _serve_for(*sys.argv[1:])"


def serve(
    repository: str | os.PathLike,
    settings: ServerSettings | None = None,
    *,
    ends_with: int | None = None,
) -> None:
    """Serve all models of a repository, until SIGTERM or Ctrl-C.

    The server is a process of its own. When it dies, it is started anew. Damaged versions are left
    out.

    Args:
        repository: the folder of all models.
        settings: where to listen.
        ends_with: number of the parent process, when the server is to end with it.

    Raises:
        ImportError: mlserver is not installed; the message says how to get it.
        FileNotFoundError: there is no such folder.
        OSError: a port is taken.
        RuntimeError: the server dies again and again.
    """
    folder, settings = Path(repository).resolve(), settings or ServerSettings()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if importlib.util.find_spec("mlserver") is None:
        raise ImportError("mlserver is needed and not installed: pip install mlserver")
    _check_ports(settings)
    words = [sys.executable, "-c", CHILD, str(folder), json.dumps(asdict(settings))]
    deaths = 0
    with _Ending() as ending:
        while not ending.asked:
            begun = time.monotonic()
            status = ending.wait(subprocess.Popen(words), ends_with)
            if ending.asked or status == 0:
                return
            deaths = deaths + 1 if time.monotonic() - begun < SOON else 1
            if deaths == OFTEN:
                raise RuntimeError(f"the server died {deaths} times, the last time with {status}")
            print(f"The server died with status {status}: starting it anew.", flush=True)


@contextmanager
def running(
    repository: str | os.PathLike, *, log: str | os.PathLike | None = None
) -> Iterator[Client]:
    """A server on free ports of this machine, as long as the block runs.

    Args:
        repository: the folder of all models.
        log: file for what the server prints; None: nowhere.

    Yields:
        A `Client` of it, once all models are loaded.

    Raises:
        RuntimeError: the server did not come up; the message says what it printed last.
    """
    settings = ServerSettings(**_free_ports())
    own = json.dumps(asdict(settings)), str(os.getpid())
    words = [sys.executable, "-c", PARENT, os.fspath(repository), *own]
    path = os.pathsep.join(place for place in sys.path if place)
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        log = Path(log or Path(scratch) / "log")
        output = stack.enter_context(log.open("w", encoding="utf-8"))
        env = os.environ | {"PYTHONPATH": path}
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=env)
        stack.callback(_stop, process)
        places = [f"http://{settings.host}:{n}" for n in (settings.port, settings.metrics_port)]
        client = Client(places[0], metrics=f"{places[1]}/metrics")
        _wait_until_ready(process, client, log)
        yield client


class _Ending:
    """Signals that end a program, passed on to the process that it waits for."""

    def __enter__(self) -> "_Ending":
        self.asked, self._process = False, None
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, process: subprocess.Popen, ends_with: int | None) -> int:
        """Wait for a process's end; returns its status."""
        self._process = process
        while True:
            if self.asked or (ends_with is not None and os.getppid() != ends_with):
                self.asked = True
                _stop(process)
            with suppress(subprocess.TimeoutExpired):
                return process.wait(0.5)

    def _ask(self, *_) -> None:
        self.asked = True
        if self._process is not None:
            self._process.terminate()


def _serve_for(repository: str, settings: str, parent: str) -> None:
    """What `running` starts."""
    serve(repository, ServerSettings(**json.loads(settings)), ends_with=int(parent))


def _check_ports(settings: ServerSettings) -> None:
    """Refuse ports that are taken: MLServer would log it and run on without."""
    for port in (settings.port, settings.grpc_port, settings.metrics_port):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind((settings.host, port))
            except OSError as error:
                raise OSError(error.errno, f"port {port}: {error.strerror}") from None


def _free_ports() -> dict[str, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    return dict(zip(("port", "grpc_port", "metrics_port"), ports, strict=True))


def _wait_until_ready(process: subprocess.Popen, client: Client, log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError):
            if client.is_ready():
                return
        time.sleep(0.05)
    said = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
    raise RuntimeError(f"the server did not come up. It said last:\n{said}")


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

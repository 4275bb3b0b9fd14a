"""A Python that is forked from one which has imported PyTorch and others already.

A new Python spends up to 16 seconds of processor time on their imports; torch._dynamo, which the
first optimiser asks for, takes the most. A forked one begins with them. It is otherwise what a new
one would be: its main module, arguments, folder, environment, streams, signals and exit status are
its own. Settings that a Python reads as it begins, PYTHONIOENCODING and its like, need a new one.

    python warm_python.py serve SOCKET
    python warm_python.py ask SOCKET [-m MODULE | FILE] [ARGUMENT ...]

The second stands for the new Python: it hands all that to the first, passes signals on, and ends
with the same status; if it is killed, so is the forked one.
"""

import atexit
import contextlib
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

POSSIBLE = sys.platform == "linux"  # others have no fork, or libraries that do not stand it
IMPORTED = (
    *("torch._dynamo", "torchvision", "matplotlib.pyplot", "sklearn.datasets"),
    "ipykernel.kernelapp",
)
PASSED_ON = signal.SIGINT, signal.SIGTERM


@cache
def warm_python() -> list[str]:
    """What a command line may begin with in place of sys.executable."""
    if not POSSIBLE:
        return [sys.executable]
    _kept.append(folder := tempfile.TemporaryDirectory(prefix="warm_"))
    return serve_from(Path(sys.executable), Path(folder.name, "socket"), dict(os.environ))


def under_torchrun(processes: int) -> list[str]:
    """What comes before a command that this many processes shall carry out."""
    options = ["--standalone", f"--nproc-per-node={processes}", "--no-python"]
    return [*warm_python(), "-m", "torch.distributed.run", *options]


def serve_from(python: Path, address: Path, environment: dict[str, str]) -> list[str]:
    """Start the process that forks; return what a command line begins with.

    The process ends when the caller does.
    """
    command = [str(python), __file__, "serve", str(address)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen(command, env=environment, **pipes)
    if not server.stdout.readline():
        raise RuntimeError(f"{command} ended with status {server.wait()}")
    _kept.append(server)
    # Without site-packages the process that stands for another is there at once.
    return [sys.executable, "-I", "-S", __file__, "ask", str(address)]


_kept: list = []  # until this process ends: pipes stay open, folders stay


def serve(address: str) -> list[str]:
    """Fork for each call until the caller is gone; return in the forked ones alone."""
    for name in IMPORTED:
        importlib.import_module(name)
    calls = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    calls.bind(address)
    calls.listen()
    print("ready", flush=True)
    running: dict[int, tuple[int, socket.socket]] = {}  # by what becomes readable with an end
    while True:
        asking = {asked: number for number, asked in running.values()}
        # Who asked comes before an end, with which the socket is closed.
        ready = select.select([calls, 0, *asking, *running], [], [])[0]
        if 0 in ready:
            os._exit(0)
        for one in ready:
            if one is calls:
                asked, _ = calls.accept()
                message, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
                number = os.fork()
                if number == 0:
                    return begin(streams, **json.loads(message))
                running[os.pidfd_open(number)] = number, asked
                for stream in streams:
                    os.close(stream)
            elif one in asking:
                hand_on(one, asking[one])
            else:
                finish(one, *running.pop(one))


def begin(
    streams: list[int], folder: str, environment: dict[str, str], words: list[str]
) -> list[str]:
    """Make this process what a new one would be."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    for name in environment:
        if name.startswith("PYTHON") and name != "PYTHONPATH":
            assert environment[name] == os.environ.get(name), f"{name} needs a new Python"
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    random.seed()
    sys.modules["numpy"].random.seed()
    return words


def hand_on(asked: socket.socket, number: int) -> None:
    """Give a process the signal that came for it; without the one that asked it has to end."""
    os.kill(number, (asked.recv(1) or bytes([signal.SIGKILL]))[0])


def finish(end: int, number: int, asked: socket.socket) -> None:
    """Tell the one that asked how its process ended."""
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    with contextlib.suppress(OSError):  # it may be gone
        asked.send(str(status).encode())
    asked.close()
    os.close(end)


def ask(address: str, *words: str) -> None:
    """Stand for a process, and end as it does."""
    about = {"folder": os.getcwd(), "environment": dict(os.environ), "words": words}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: server.send(bytes([number])))
        socket.send_fds(server, [json.dumps(about).encode()], [0, 1, 2])
        status = int(server.recv(16))
    if status < 0:
        for number in PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def carry_out(words: list[str]) -> None:
    """What python WORDS does."""
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name="__main__")


def end(error: BaseException | None) -> None:
    """Leave as Python does, but for clearing away a second's worth of modules."""
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(*sys.argv[2:])
    del sys.path[0]  # the folder of this file
    try:
        carry_out(serve(*sys.argv[2:]))
    except BaseException as error:
        end(error)
    end(None)

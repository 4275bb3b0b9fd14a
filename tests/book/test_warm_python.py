"""The forked Python that tests and kernels begin with: in all that is asked here like a new one."""

import os
import signal
import subprocess
import sys
import time

import pytest
from warm_python import POSSIBLE, warm_python

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="a new Python is started here instead")

TELL = """
import json, os, random, sys
print(json.dumps({
    "arguments": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "path": sys.path[0],
    "variable": os.environ.get("ASKED"), "home": os.environ.get("HOME"), "input": sys.stdin.read(),
    "main": sys.modules["__main__"].__dict__ is globals(), "chance": random.random(),
}))
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a script in either Python: its status and what it printed."""

    def run(python, source, *words, **options):
        script = tmp_path / "script.py"
        script.write_text(source, encoding="utf-8")
        options = {"capture_output": True, "text": True, "cwd": tmp_path} | options
        done = subprocess.run([*python, str(script), *words], **options)
        return done.returncode, done.stdout, done.stderr

    return run


def test_it_is_in_the_place_of_a_new_one(run):
    environment = {"ASKED": "yes", "PATH": os.environ["PATH"]}
    asked = {"input": "words", "env": environment}
    code, found, errors = run(warm_python(), TELL, "one", "two words", **asked)
    new = run([sys.executable], TELL, "one", "two words", **asked)
    chance = found.index('"chance"')
    assert (code, found[:chance], errors) == (0, new[1][:chance], "")
    assert found[chance:] != run(warm_python(), TELL, **asked)[1][chance:], "the same luck twice"


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit(3)",
        "raise SystemExit('in words')",
        "raise SystemExit",
        "import atexit\natexit.register(print, 'last words')",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
        "print('out')\nimport sys\nprint('error', file=sys.stderr)\nsys.exit(-1)",
    ],
)
def test_it_ends_as_a_new_one(source, run):
    assert run(warm_python(), source) == run([sys.executable], source)


def test_an_error_has_its_traceback(run):
    code, _, errors = run(warm_python(), "def f():\n    raise ValueError('so')\n\nf()\n")
    assert code == 1
    assert errors.splitlines()[-1] == "ValueError: so"
    assert 'script.py", line 2, in f' in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_it(number, tmp_path):
    wait = tmp_path / "wait.py"
    wait.write_text(
        "import signal, sys, time\n"
        "def stop(number, frame):\n    print(number, flush=True)\n    sys.exit(7)\n"
        f"signal.signal({int(number)}, stop)\nprint('here', flush=True)\ntime.sleep(60)\n"
    )
    job = subprocess.Popen([*warm_python(), str(wait)], stdout=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "here\n"
    job.send_signal(number)
    assert (job.communicate()[0], job.returncode) == (f"{int(number)}\n", 7)


def test_interrupted_it_ends_as_one_that_was_interrupted(run):
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(60)"
    code, _, errors = run(warm_python(), source)
    assert code == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_it_does_not_outlive_the_one_that_asked(tmp_path):
    wait = tmp_path / "wait.py"
    wait.write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    job = subprocess.Popen([*warm_python(), str(wait)], stdout=subprocess.PIPE, text=True)
    number = int(job.stdout.readline())
    job.kill()
    job.communicate()
    for _ in range(1000):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"{number} still runs")


def test_one_that_ends_as_its_asker_is_killed_leaves_the_others_their_python(run, tmp_path):
    wait = tmp_path / "wait.py"
    wait.write_text("import os, sys, time\nprint(flush=True)\nsys.stdin.read()\nos._exit(0)\n")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    for _ in range(20):
        jobs = [subprocess.Popen([*warm_python(), str(wait)], **pipes) for _ in range(5)]
        for job in jobs:
            job.stdout.readline()
        for job in jobs:
            job.stdin.close()  # it ends
            job.kill()
        for job in jobs:
            job.wait()
    assert run(warm_python(), "print('here')") == (0, "here\n", "")


def test_what_a_python_reads_as_it_begins_needs_a_new_one(run):
    settings = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ""}
    code, _, errors = run(warm_python(), "print('é')", env=settings)
    assert code == 1
    assert errors.splitlines()[-1] == "AssertionError: PYTHONIOENCODING needs a new Python"
    assert run(warm_python(), "print('here')", env=os.environ | {"PYTHONPATH": ""})[0] == 0

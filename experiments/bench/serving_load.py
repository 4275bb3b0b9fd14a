"""Users who ask a server again and again, with Locust; a program of its own.

    python serving_load.py URL BODY USERS SECONDS SKIPPED

BODY is the file of a request in JSON. Each user waits for an answer and asks again at once. What
happens in the first SKIPPED seconds is left out. Printed is a JSON object: the seconds of each
answer, how many failed, and how long was counted.
"""

import gevent.monkey

gevent.monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from locust import FastHttpUser, constant, task  # noqa: E402
from locust.env import Environment  # noqa: E402


def load(url: str, body: bytes, users: int, seconds: float, skipped: float) -> dict:
    """Ask for that long; return what is printed."""

    class User(FastHttpUser):
        host = url
        wait_time = constant(0)

        @task
        def ask(self):
            self.client.post("", data=body, headers={"content-type": "application/json"})

    answers: list[float] = []
    failed = 0
    begun = time.monotonic() + skipped

    def note(response_time, exception, **_):
        nonlocal failed
        if time.monotonic() < begun:
            return
        if exception is None:
            answers.append(round(response_time / 1000, 5))
        else:
            failed += 1

    environment = Environment(user_classes=[User])
    environment.events.request.add_listener(note)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.sleep(skipped + seconds)
    counted = time.monotonic() - begun
    found = {"answers": list(answers), "failed": failed, "seconds": round(counted, 3)}
    runner.quit()
    return found


if __name__ == "__main__":
    url, body, users, seconds, skipped = sys.argv[1:]
    found = load(url, Path(body).read_bytes(), int(users), float(seconds), float(skipped))
    print(json.dumps(found))

"""Real processes, killed with SIGKILL: the run that goes on ends with the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import killing
import pytest

KILLS = 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_runs_end_with_the_same_bits():
    script = Path(killing.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "--kills", str(KILLS)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    tally = json.loads(done.stdout)
    at_random, aimed = tally["at random"], tally["in each operation of a writing"]
    for part in (at_random, aimed):
        assert part["runs ended"] > 0
        assert part["runs that ended differently"] == 0
        assert part["kills"] == sum(part["in"].values()) == part["attempts"] - part["runs ended"]
    assert at_random["kills"] >= KILLS
    assert {"step", "write"} <= set(at_random["in"])
    # Writing takes at least: make the folder once; open, write, sync and rename two files; then
    # sync the folder and remove the older pair.
    assert aimed["in"] == {"write": sum(aimed["operations"].values())}
    assert min(aimed["operations"].values()) >= 10
    assert tally["starts from a checkpoint"] >= KILLS
    assert tally["damaged checkpoints"] == 0

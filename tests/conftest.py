"""Settings of the whole test run, the chapters' kernels included."""

import os
import signal

# Two pytest workers on two cores: more threads each would only wait for one another.
# The kept outputs are made with one thread too (book/_tools/execute.py).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A job that was started in the background ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

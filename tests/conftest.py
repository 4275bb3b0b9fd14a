"""Settings of the whole test run, the chapters' kernels included.

RESNET_ISA=avx2 runs the tests as on a processor without AVX-512 and bf16, with two threads.
"""

import os
import signal

from instruction_sets import HELD_DOWN, TWO_THREADS

if held_down := os.environ.get("RESNET_ISA"):
    os.environ.update(HELD_DOWN[held_down] | TWO_THREADS)

# Two pytest workers on two cores: more threads each would only wait for one another.
# The kept outputs are made with one thread too (book/_tools/execute.py).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A job that was started in the background ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

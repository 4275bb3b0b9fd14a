"""Settings of the whole test run, the chapters' kernels included.

RESNET_ISA=avx2 runs the tests as on a processor without AVX-512 and bf16, with two threads.
"""

import signal

from instruction_sets import hold_down

hold_down()

# A job that was started in the background ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

"""Processors that this one can pretend to be, as environment variables.

PyTorch, oneDNN and MKL read them once, when a process first computes. They can only forbid: on a
processor that has no more than AVX2, or on arm64, they change nothing.
"""

import os

HELD_DOWN = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "sse4": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}

# Threads that wait must sleep: where they spin, two busy cores stand still.
TWO_THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}


def hold_down() -> None:
    """Have this process and its children compute as RESNET_ISA says, if it is set.

    Raises:
        ValueError: it names no processor of `HELD_DOWN`.
    """
    if name := os.environ.get("RESNET_ISA"):
        if name not in HELD_DOWN:
            raise ValueError(f"RESNET_ISA must be one of {', '.join(HELD_DOWN)}, got {name!r}")
        os.environ.update(HELD_DOWN[name] | TWO_THREADS)
    # Two pytest workers on two cores: more threads each would only wait for one another.
    # The kept outputs are made with one thread too (book/_tools/execute.py).
    os.environ.setdefault("OMP_NUM_THREADS", "1")

"""Processors that this one can pretend to be, as environment variables.

PyTorch, oneDNN and MKL read them once, when a process first computes. They can only forbid: on a
processor that has no more than AVX2, or on arm64, they change nothing.
"""

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

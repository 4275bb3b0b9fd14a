"""Holding the instruction sets down bites, or the second run of the tests would prove nothing."""

import json
import os
import platform
import subprocess
import sys

import pytest
import torch
from instruction_sets import HELD_DOWN, TWO_THREADS, hold_down

ASK = """
import json, torch
a = torch.ones(64, 64)
a @ a
print(json.dumps([
    torch.backends.cpu.get_cpu_capability(),
    torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    torch.get_num_threads(),
]))
"""
CAPABILITY = {"avx2": "AVX2", "sse4": "DEFAULT"}

x86_only = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="these are x86's instructions"
)


@x86_only
@pytest.mark.parametrize("name", HELD_DOWN)
def test_a_process_held_down_computes_with_less(name):
    environment = os.environ | HELD_DOWN[name] | TWO_THREADS | {"MKL_VERBOSE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    told = run.stdout.splitlines()
    assert json.loads(told[-1]) == [CAPABILITY[name], False, 2]
    if torch.backends.mkl.is_available():
        architecture = next(line for line in told if line.startswith("MKL_VERBOSE"))
        assert "AVX-512" not in architecture


@x86_only
@pytest.mark.skipif("RESNET_ISA" not in os.environ, reason="the instructions are not held down")
def test_this_run_is_held_down():
    assert torch.backends.cpu.get_cpu_capability() == CAPABILITY[os.environ["RESNET_ISA"]]
    assert not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_an_unknown_processor_is_named(monkeypatch):
    monkeypatch.setenv("RESNET_ISA", "avx3")
    with pytest.raises(ValueError, match="RESNET_ISA must be one of avx2, sse4, got 'avx3'"):
        hold_down()


def test_without_a_word_there_is_one_thread_and_nothing_else(monkeypatch):
    for name in ("RESNET_ISA", *HELD_DOWN["avx2"], *TWO_THREADS):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    hold_down()
    assert dict(os.environ) == before | {"OMP_NUM_THREADS": "1"}

"""What a check hands back, and what it refuses to check."""

import pytest
from plant import Block
from torch import nn

import resnet_checks as checks
from resnet_checks import Report

ALL = [
    checks.basic_block,
    checks.bottleneck,
    checks.network,
    checks.residual_formula,
    checks.shortcut,
]


def test_report_of_a_pass_reads_as_text():
    report = Report("Basic block", ("it runs", "it adds"))
    assert report
    assert report.passed
    assert repr(report) == "Basic block: passed\n  ✓ it runs\n  ✓ it adds"


def test_report_of_a_fault_reads_as_text():
    report = Report("Basic block", ("it runs",), "It does not add.", "Look at the end.")
    assert not report
    assert not report.passed
    assert repr(report) == (
        "Basic block: fault found\n  ✓ it runs\n  ✗ It does not add.\n  Hint: Look at the end."
    )


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("make", [None, 3, Block(4, 4, 1), nn.Identity()])
def test_what_cannot_build_anything_is_refused(check, make):
    with pytest.raises(TypeError, match="make must be a class or a function"):
        check(make)


@pytest.mark.parametrize("check", ALL)
def test_an_interrupt_is_not_swallowed(check):
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(interrupted)


def test_a_fault_names_the_reader_s_line():
    def make(c_in, c_out, stride):
        return undefined_name  # noqa: F821

    fault = checks.basic_block(make).fault
    assert "NameError" in fault
    assert "(in make, at `return undefined_name" in fault

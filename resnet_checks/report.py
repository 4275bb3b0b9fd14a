"""What a check hands back, and how it is collected."""

from collections.abc import Iterator
from dataclasses import dataclass

from resnet_lib.console import printable

__all__ = ["FaultFound", "Report", "require_function", "require_maker", "write_report"]


@dataclass(frozen=True, repr=False)
class Report:
    """The outcome of a check: true when everything passed, else with the first fault.

    Attributes:
        subject: what was checked.
        passed_checks: the sentences that were found true, in order.
        fault: the first fault in plain words, or None.
        hint: where to look, or None.
        words: what passed, fault and hint are called, in the language of the sentences.
    """

    subject: str
    passed_checks: tuple[str, ...]
    fault: str | None = None
    hint: str | None = None
    words: tuple[str, str, str] = ("passed", "fault found", "Hint")

    @property
    def passed(self) -> bool:
        return self.fault is None

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        passed, fault, hint = self.words
        lines = [f"{self.subject}: {passed if self.passed else fault}"]
        lines += [f"  ✓ {sentence}" for sentence in self.passed_checks]
        if self.fault:
            lines.append(f"  ✗ {self.fault}")
        if self.hint:
            lines.append(f"  {hint}: {self.hint}")
        return printable("\n".join(lines))


class FaultFound(Exception):
    """Ends a check: what is wrong, and a hint where to look."""

    def __init__(self, fault: str, hint: str | None = None):
        super().__init__(fault)
        self.fault = fault
        self.hint = hint


def write_report(
    subject: str, steps: Iterator[str], words: tuple[str, str, str] = Report.words
) -> Report:
    """Run a check's steps, each of which yields a true sentence, up to the first fault."""
    passed: list[str] = []
    try:
        for sentence in steps:
            passed.append(sentence)
    except FaultFound as found:
        return Report(subject, tuple(passed), found.fault, found.hint, words)
    return Report(subject, tuple(passed), words=words)


def require_maker(make: object, call: str) -> None:
    """Raise a `TypeError` unless `make` can be called to build a module.

    Args:
        make: what the caller of the check handed over.
        call: how the check will call it, for the message.
    """
    # A module is callable too, but calling it runs it; it would not build a fresh one.
    if not callable(make) or (hasattr(make, "forward") and not isinstance(make, type)):
        kind = type(make).__name__
        raise TypeError(
            f"make must be a class or a function that is called as {call}, got "
            + ("None" if make is None else f"an object of type {kind}")
        )


def require_function(function: object, name: str, call: str) -> None:
    """Raise a `TypeError` unless `function` can be called and is neither a class nor a module.

    Args:
        function: what the caller of the check handed over.
        name: the name of the check's argument.
        call: how the check will call it, for the message.
    """
    if not callable(function) or isinstance(function, type) or hasattr(function, "forward"):
        kind = type(function).__name__
        if isinstance(function, type):
            came = f"the class {function.__name__}"
        else:
            came = "None" if function is None else f"an object of type {kind}"
        raise TypeError(f"{name} must be a function that is called as {call}, got {came}")

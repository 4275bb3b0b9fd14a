"""What `diagnose` hands back: faults it found, facts it saw, and what it cannot see."""

from collections.abc import Iterator
from dataclasses import dataclass

from resnet_lib.console import printable

__all__ = ["Diagnosis", "Finding"]


@dataclass(frozen=True)
class Finding:
    """One fault, seen from outside.

    Attributes:
        kind: "input", "error", "non-finite", "mode", "statistics", "dead", "constant",
            "probabilities", "gradient", "labels", "chance" or "shortcut".
        text: the fault in words, with what was measured.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Fact:
    """Something seen that is no fault by itself."""

    text: str


@dataclass(frozen=True)
class Unseen:
    """Something that could not be looked at, and why."""

    text: str


Remark = Finding | Fact | Unseen
Remarks = Iterator[Remark]


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """True where nothing was found; printed, it says everything.

    Attributes:
        findings: the faults, in the order in which they were looked for.
        facts: what was seen and is no fault by itself.
        unseen: what could not be looked at here.
    """

    findings: tuple[Finding, ...]
    facts: tuple[str, ...]
    unseen: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the findings."""
        return tuple(finding.kind for finding in self.findings)

    def __bool__(self) -> bool:
        return not self.findings

    def __repr__(self) -> str:
        number = len(self.findings)
        found = {0: "nothing found", 1: "1 finding"}.get(number, f"{number} findings")
        lines = [f"Diagnosis: {found}"]
        lines += [f"  ✗ {finding.kind}: {finding.text}" for finding in self.findings]
        lines += [f"  · {text}" for text in self.facts]
        lines += [f"  ? {text}" for text in self.unseen]
        return printable("\n".join(lines))


def gathered(remarks: list[Remark]) -> Diagnosis:
    """Put the remarks in their places."""
    return Diagnosis(
        tuple(one for one in remarks if isinstance(one, Finding)),
        tuple(one.text for one in remarks if isinstance(one, Fact)),
        tuple(one.text for one in remarks if isinstance(one, Unseen)),
    )

"""What a verification finds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and the name of the file, line or event that it is wrong with."""

    name: str
    what: str


@dataclass(slots=True)
class Findings:
    """All faults, and notes on what is no fault but should be known."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, name: str, what: str) -> None:
        self.faults.append(Fault(name, what))

    def note(self, what: str) -> None:
        self.notes.append(what)

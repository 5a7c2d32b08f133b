"""What everybody who is told of events has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.results import Event

NO_HOST_NAME = "the name of the host is not valid"
"""The problem of a host that cannot even be looked up. Python's own words for it differ from version to version."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How the telling goes: events told, those that wait, and those that were lost: there were too many, or they waited
    too long. `problem` is what stands in the way now; it holds no secret."""

    name: str
    delivered: int
    waiting: int
    dropped: int
    problem: str | None


class Notifier(Protocol):
    """A log that tells somebody elsewhere. `write` may be called from any thread, and never waits."""

    def open(self, cameras: Sequence[str], /) -> None:
        """Begin; what was written before has waited."""
        ...

    def write(self, event: Event) -> None: ...
    def close(self) -> None:
        """Tell what can be told at once, and end."""
        ...

    def delivery(self) -> DeliveryStatus:
        """How it goes. May read a database."""
        ...

"""Interface of event notifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.results import Event

NO_HOST_NAME = "the name of the host is not valid"
"""The problem text for an invalid host name; Python's own text differs between versions."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Delivery statistics of a notifier: numbers of events delivered, waiting, and dropped because too many waited or
    they waited too long. `problem` is the current obstacle; it contains no secret."""

    name: str
    delivered: int
    waiting: int
    dropped: int
    problem: str | None


class Notifier(Protocol):
    """Event sink that sends events to another system. `write` is thread-safe and never blocks."""

    def open(self, cameras: Sequence[str], /) -> None:
        """Start sending, also the events written before."""
        ...

    def write(self, event: Event) -> None: ...
    def close(self) -> None:
        """Send what can be sent at once, and stop."""
        ...

    def delivery(self) -> DeliveryStatus:
        """Return the delivery statistics. May read a database."""
        ...

"""What stands in the way of a run at this moment, in sentences, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stream.eventlog import EventFile
from stream.store import EventStore
from stream.supervised_thread import thread_states


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what to do."""

    what: str
    remedy: str


def failing_threads() -> list[Problem]:
    """Threads of ours that failed, and have yet to be run again."""
    return [
        Problem(
            f"the thread {state.name} failed and waits to be run again (run again {state.restarts} times so far)",
            "the log says why, and where: please report it",
        )
        for state in thread_states()
        if state.problem
    ]


def problems(ledgers: Iterable[tuple[str, EventFile | EventStore]]) -> list[Problem]:
    """All that is known of: event stores among a run's `ledgers` that are locked by another program, and threads that
    failed."""
    stores = [ledger for _, ledger in ledgers if isinstance(ledger, EventStore)]
    return [*(_locked(store) for store in stores if store.busy_since), *failing_threads()]


def _locked(store: EventStore) -> Problem:
    since = store.busy_since.isoformat(timespec="seconds") if store.busy_since else "now"
    return Problem(
        f"another program has held the event store {store.place} locked since {since}: {store.waiting} events wait on"
        " disk",
        "end that program (a database browser, a backup): what waits is then stored by itself",
    )

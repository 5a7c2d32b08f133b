"""Verifies that the log agrees with the evidence: reports every changed, missing, inserted or moved event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from stream.errors import UsageError
from stream.events.jsonl_log import to_line
from stream.events.query import clocks, query
from stream.events.schema import EventDict, parse_event
from stream.evidence.verify_chain import ChainVerifier, VerificationReport
from stream.evidence.verify_files import FileVerifier


class LogVerifier:
    """Compares logs with the bundles, one after the other; `finish` reports events that are missing in all or some."""

    def __init__(self, audit: ChainVerifier, inventory: FileVerifier, findings: VerificationReport) -> None:
        self._audit, self._events, self._findings = audit, inventory.events, findings
        self._places = {event: place for place, event in enumerate(audit.standing.live)}
        self._logs: dict[str, set[str]] = {}

    def log(self, where: str) -> None:
        """Verify a JSONL file, or a database at a URL. Raises UsageError if the log does not exist."""
        latest, early, gone, known = -1, 0, 0, False
        here: set[str] = set()
        for record in self._records(where):
            event = str(record["id"])
            name = f"{where}: event {event}"
            if event in here:
                self._findings.fault(name, "stands there a second time")
            here.add(event)
            known |= event in self._places or event in self._audit.standing.gone
            if event in self._places:
                self._compare(name, record, event)
                if self._places[event] < latest:
                    self._findings.fault(name, "stands behind an event that came after it")
                latest = max(latest, self._places[event])
            elif event in self._audit.standing.gone:
                gone += self._check_removed(name, event)
            elif self._audit.shortened and not known:
                early += 1
            else:
                self._findings.fault(name, "was put in: there is no bundle of it")
        if early:
            self._findings.note(f"{where}: {early} events are older than the chain, and cannot be checked")
        if gone:
            self._findings.note(f"{where}: {gone} events whose bundle is gone were not checked")
        self._logs[where] = here

    def finish(self) -> None:
        """After all logs: report events that are missing."""
        logged = set[str]().union(*self._logs.values())
        for event in self._places:
            if event in logged:
                continue
            if event in self._audit.unlogged or (self._audit.held and event == list(self._places)[-1]):
                self._findings.note(f"event {event} is in no log: a run broke off there, or is writing it")
            else:
                self._findings.fault(f"event {event}", "is missing from the log")
        for where, here in self._logs.items():
            if elsewhere := len(logged & set(self._places) - here):
                self._findings.note(f"{where}: {elsewhere} events of the evidence are not here, but in another log")

    def _check_removed(self, name: str, event: str) -> int:
        """Check an event without a bundle; returns 1 if that is no fault."""
        if self._audit.standing.gone[event] != "forgotten":
            return 1
        self._findings.fault(name, "is still there: in the evidence it was forgotten")
        return 0

    def _compare(self, name: str, record: EventDict, event: str) -> None:
        kept = self._events.get(event)
        if kept is not None and record != kept:
            wrong = ", ".join(key for key in kept if record.get(key) != kept[key])
            self._findings.fault(name, f"was changed ({wrong}): its bundle says otherwise")

    def _records(self, where: str) -> Iterator[EventDict]:
        return self._stored(where) if "://" in where else self._lines(Path(where))

    def _stored(self, where: str) -> Iterator[EventDict]:
        records = query(where)
        first = next(records, None)  # what cannot be opened at all is no fault of the evidence
        if first is None:
            return
        yield first
        try:
            yield from records
            self._check_clock(where)
        except UsageError as error:
            self._findings.fault(where, str(error))

    def _check_clock(self, where: str) -> None:
        """Verify the column that is used for searches by time: a wrong value hides an event."""
        for event, wall_time, wall_s in clocks(where):
            if wall_s != (datetime.fromisoformat(wall_time).timestamp() if wall_time else None):
                self._findings.fault(f"{where}: event {event}", "was changed (wall_s): its wall_time says otherwise")

    def _lines(self, path: Path) -> Iterator[EventDict]:
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise UsageError(f"cannot read events from {path}: {error.strerror}") from error
        for number, line in enumerate(lines, 1):
            place = f"{path}, line {number}"
            try:
                record = parse_event(line, place)
            except UsageError as error:
                self._findings.fault(place, str(error))
                continue
            if line != f"{to_line(record)}\n".encode():
                self._findings.fault(place, "is not as unblur writes it")
            yield record

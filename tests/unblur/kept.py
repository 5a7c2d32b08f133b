"""What several runs kept of three people, for the tests of what deletes it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models.fetch import fingerprint
from recognize.gallery import Gallery, Person
from stream.cipher import Cipher
from stream.data import Candidate, Event, EventType
from stream.eventlog import EventFile
from stream.store import EventStore
from tests.recognize.conftest import directions
from tests.stream.events import an_event
from tests.stream.proof import a_sighting, open_folder
from unblur.records import Records, open_records

GONE = "Zoë Gone"
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
_STORY: tuple[tuple[EventType, int, str | None, str | None], ...] = (
    ("new", 1, None, "Ann"),
    ("update", 1, GONE, "Ann"),
    ("new", 2, "Ann", GONE),
    ("end", 1, GONE, "Ann"),
    ("end", 2, "Ann", GONE),
    ("new", 1, "Bob", None),
    ("end", 1, "Bob", None),
)
"""Type, track, name and runner-up: the second track 1 is another run's."""
HERS = {"event-0", "event-1", "event-3"}


def story() -> list[Event]:
    """An hour lies between one event and the next."""
    events = []
    for number, (kind, track, name, runner_up) in enumerate(_STORY):
        event = an_event(number, name, wall_time=BEGIN + timedelta(hours=number))
        candidate = Candidate(runner_up, 0.3) if runner_up else None
        events.append(replace(event, type=kind, track=track, identity=replace(event.identity, runner_up=candidate)))
    return events


def keep(folder: Path, cipher: Cipher | None = None) -> None:
    """Evidence, log, an earlier log, store and gallery."""
    evidence = open_folder(folder / "evidence")
    events = [evidence.keep(event, *a_sighting(number)) for number, event in enumerate(story())]
    evidence.close()
    log, earlier = EventFile(folder / "log.jsonl"), EventFile(folder / "log.jsonl.previous")
    store = EventStore(f"sqlite:///{folder / 'log.sqlite'}")
    for event in events:
        for kept in (log, earlier, store):
            kept.write(event)
    for kept in (log, earlier, store):
        kept.close()
    people = {
        name: Person(directions(2, seed), enrolled=(BEGIN + timedelta(days=seed)).timestamp())
        for seed, name in enumerate(("Ann", GONE, "Bob"))
    }
    Gallery(fingerprint("sface"), people).save(folder / "people.joblib", cipher)


def records(folder: Path, stack: ExitStack, cipher: Cipher | None = None) -> Records:
    logs = [str(folder / "log.jsonl"), f"sqlite:///{folder / 'log.sqlite'}"]
    return open_records(folder / "people.joblib", logs, folder / "evidence", None, cipher, fingerprint("sface"), stack)


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())

"""Personal data of three people from several runs, for the tests of erasure and retention."""

from __future__ import annotations

import json
import unicodedata
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sql

from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import Gallery, load_gallery
from recognize.gallery.person import Person
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog, to_line
from stream.results import Candidate, Event, EventType
from stream.storage.encryption import Cipher
from stream.storage.images import write_picture
from tests.recognize.conftest import directions
from tests.stream.support.events import an_event
from tests.stream.support.proof import a_sighting, open_folder
from unblur.app_database import application_database
from unblur.feedback import Feedback
from unblur.notify.webhook_queue import Queue
from unblur.people.face_thumbnails import FaceThumbnails, thumbnails_folder
from unblur.privacy.app_event_data import AppEventData
from unblur.privacy.personal_data import PersonalData, open_personal_data

ERASED = "Zoë Gone"
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
_STORY: tuple[tuple[EventType, int, str | None, str | None], ...] = (
    ("new", 1, None, "Ann"),
    ("update", 1, ERASED, "Ann"),
    ("new", 2, "Ann", ERASED),
    ("end", 1, ERASED, "Ann"),
    ("end", 2, "Ann", ERASED),
    ("new", 1, "Bob", None),
    ("end", 1, "Bob", None),
)
"""Type, track, name and runner-up of each event; the last two events, also of track 1, belong to another run."""
ERASED_EVENTS = {"event-0", "event-1", "event-3"}


def make_events() -> list[Event]:
    """The events, one hour apart."""
    events = []
    for number, (kind, track, name, runner_up) in enumerate(_STORY):
        event = an_event(number, name, wall_time=BEGIN + timedelta(hours=number))
        candidate = Candidate(runner_up, 0.3) if runner_up else None
        events.append(replace(event, type=kind, track=track, identity=replace(event.identity, runner_up=candidate)))
    return events


def write_personal_data(folder: Path, cipher: Cipher | None = None) -> None:
    """Write evidence, a log, a rotated log, a store and a gallery."""
    evidence = open_folder(folder / "evidence")
    events = [evidence.add(event, *a_sighting(number)) for number, event in enumerate(make_events())]
    evidence.close()
    log, earlier = JsonlEventLog(folder / "log.jsonl"), JsonlEventLog(folder / "log.jsonl.previous")
    store = SqlEventStore(f"sqlite:///{folder / 'log.sqlite'}")
    for event in events:
        for sink in (log, earlier, store):
            sink.write(event)
    for sink in (log, earlier, store):
        sink.close()
    people = {
        name: Person(directions(2, seed), enrolled=(BEGIN + timedelta(days=seed)).timestamp())
        for seed, name in enumerate(("Ann", ERASED, "Bob"))
    }
    Gallery(fingerprint("sface"), people).save(folder / "people.joblib", cipher)


def write_data_folder(folder: Path) -> None:
    """Write the same as a data folder of `unblur serve`, with crops of the photos, feedback and queued posts."""
    write_personal_data(folder)
    for log in folder.glob("log.jsonl*"):
        log.unlink()
    (folder / "log.sqlite").rename(folder / "events.sqlite")
    gallery = folder / "people.joblib"
    FaceThumbnails(thumbnails_folder(gallery), None)
    for photo in load_gallery(gallery, fingerprint("sface")).photos:
        write_picture(thumbnails_folder(gallery) / f"{photo}.png", np.full((128, 128, 3), int(photo[:2], 16), np.uint8))
    engine = application_database(folder)
    feedback, hooks = Feedback(engine), [Queue(engine, "door"), Queue(engine, "desk")]
    feedback.add("event-0", "wrong", None, "operator")
    feedback.add("event-5", "wrong", unicodedata.normalize("NFD", ERASED), "operator")
    feedback.add("event-5", "right", "Bob", "operator")
    for event in make_events():
        for hook in hooks:
            hook.add(event.id, to_line(event.to_json()), 0.0)
    engine.dispose()


def open_data(folder: Path, stack: ExitStack, cipher: Cipher | None = None) -> PersonalData:
    logs = [str(folder / "log.jsonl"), f"sqlite:///{folder / 'log.sqlite'}"]
    return open_personal_data(
        folder / "people.joblib", logs, folder / "evidence", None, cipher, fingerprint("sface"), stack
    )


def open_data_folder(folder: Path, stack: ExitStack) -> PersonalData:
    """Open the data of `write_data_folder`."""
    engine = application_database(folder)
    stack.callback(engine.dispose)
    store = f"sqlite:///{folder / 'events.sqlite'}"
    evidence, network = folder / "evidence", fingerprint("sface")
    return open_personal_data(folder / "people.joblib", [store], evidence, AppEventData(engine), None, network, stack)


def queued_posts(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """The queued posts, each with its hook."""
    engine = application_database(folder)
    with engine.connect() as connection:
        rows = connection.execute(sql.text("SELECT hook, body FROM webhook_posts ORDER BY position")).all()
    engine.dispose()
    return [(hook, json.loads(body)) for hook, body in rows]


def feedback_rows(folder: Path) -> list[tuple[str, str, str | None]]:
    """Event, verdict and person of every feedback entry."""
    engine = application_database(folder)
    with engine.connect() as connection:
        rows = connection.execute(sql.text("SELECT event, verdict, person FROM feedback ORDER BY number")).all()
    engine.dispose()
    return [(event, verdict, person) for event, verdict, person in rows]


def bytes_of(folder: Path, pattern: str = "*") -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob(pattern)) if path.is_file())

"""What earlier versions kept of the demo among an owner's records: events of the simulated camera in their store and
evidence, and the people whom it knows in their gallery. Found at the start of `unblur serve`, and removed by
`unblur forget --demo`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from configs.schema import Config
from models.assets.fetch import fingerprint
from recognize.gallery import people_gallery as galleries
from recognize.gallery.people_gallery import Gallery
from stream.errors import UnblurError, UsageError
from stream.events.erasure import without
from stream.events.query import EventFilter, file_of, query
from unblur.commands.demo import CAMERA, ENROLLED
from unblur.data_dir import DEMO, GALLERY, place_of_data
from unblur.privacy.erasure import open_configured_data
from unblur.privacy.personal_data import ErrorCollector, PersonalData, require_done
from unblur.terminal import Results, messages


@dataclass(slots=True)
class Removed:
    """How much of the demo is gone; and why what should have gone did not."""

    entries: int = 0
    bundles: int = 0
    annexed: int = 0
    people: tuple[str, ...] = ()
    failed: Sequence[str] = ()


def warn_of_demo(config: Config, data: Path, path: Path | None) -> None:
    """Say at the start if records of the demo lie among those of the configuration, and what removes them. Raises
    UsageError if they cannot be read."""
    if not (data / DEMO).is_dir() or _claims_camera(config):
        return  # no demo was ever shown from here
    if _has_events(config.output.store) or _has_people(config, data):
        options = f"--config {path} --data {data}" if path else f"--data {data}"
        messages().say(
            "an earlier version kept events or people of its demo among yours:"
            f" end this, and `unblur forget --demo {options}` removes them"
        )


def forget_demo(config: Config, logs: Sequence[str], stores: Sequence[str]) -> None:
    """Take the demo out of the configuration's records, of `logs` and `stores`, and of its folder of data, or the
    user's own, and say what went.

    Raises UsageError if a camera of the configuration bears the demo's name, or there is no such folder; OutputError
    where a run is writing; UnblurError, once all the rest is done, where something could not be.
    """
    if _claims_camera(config):
        raise UsageError(f"a camera of yours is called {CAMERA}, too: its events cannot be told from the demo's")
    data = place_of_data(config.serve.data)
    config = config.model_copy(update={"serve": config.serve.model_copy(update={"data": data})})
    with ExitStack() as stack:
        removed = remove(open_configured_data(config, logs, stores, stack), _photos(data))
    people = ", ".join(removed.people) or "nobody"
    Results().say(
        f"of the demo: {removed.entries} log entries, {removed.bundles} bundles,"
        f" {removed.annexed} opinions and unsent webhooks are gone; from the gallery: {people}"
    )
    require_done(list(removed.failed))


def remove(records: PersonalData, photos: frozenset[str]) -> Removed:
    """Take the events of the demo's camera, and these `photos` of its people, out of everything. Doing it again does
    what failed."""
    attempts, removed, ids = ErrorCollector(), Removed(), set[object]()
    logs = list(chain.from_iterable(records.logs))
    with attempts.collect():
        for event in chain(*(log.events() for log in logs), records.evidence.events() if records.evidence else ()):
            if event["camera"] == CAMERA:
                ids.add(event["id"])
        if records.evidence and ids:
            removed.bundles = records.evidence.amend(without(ids), "forgotten", ids)
        removed.annexed = records.annex.amend(without(ids), ids) if records.annex and ids else 0
        removed.entries = sum(log.ledger.rewrite_events(without(ids)) for log in logs) if ids else 0
    with attempts.collect():
        removed.people = records.remove_photos(photos)
    removed.failed = attempts.failed
    return removed


def _claims_camera(config: Config) -> bool:
    """Whether a camera of the owner's is, or without a name of its own may be, called as the demo's."""
    return any(each.name == CAMERA or (each.name is None and CAMERA in each.source) for each in config.cameras)


def _has_events(store: str | None) -> bool:
    if store is None or ((file := file_of(store)) and not file.exists()):
        return False
    return any(True for _ in query(store, EventFilter(camera=CAMERA)))


def _has_people(config: Config, data: Path) -> bool:
    gallery = config.recognition.gallery
    if gallery is None or not gallery.exists() or not (photos := _photos(data)):
        return False
    try:
        known = galleries.load_gallery(gallery, fingerprint("sface"), allow_empty=True)
    except UnblurError:
        return False  # encrypted, or another network's: not what a demo leaves; who uses it will say what is wrong
    return not known.photos.isdisjoint(photos)


def _photos(data: Path) -> frozenset[str]:
    """Of the people whom the demo knows, by what their photos are called in galleries; whom its owner added to it is
    the owner's."""
    path = data / DEMO / GALLERY
    if not path.is_file():
        return frozenset()
    known: Gallery = galleries.load_gallery(path, fingerprint("sface"), allow_empty=True)
    return frozenset(photo for name in ENROLLED if name in known.people for photo in known.people[name].photos)

"""Cleanup of demo data that earlier versions mixed with the user's own: events of the simulated camera in store and
evidence, and the demo's people in the gallery. Detected at the start of `unblur serve`, removed by
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
from unblur.data_dir import DEMO, GALLERY, data_folder_path
from unblur.privacy.erasure import open_configured_data
from unblur.privacy.personal_data import ErrorCollector, PersonalData, require_done
from unblur.terminal import Results, messages


@dataclass(slots=True)
class CleanupReport:
    """Result of the cleanup: numbers of deleted log entries, evidence bundles and `app_rows` (feedback and queued
    posts), the people removed from the gallery, and the reasons of failures."""

    entries: int = 0
    bundles: int = 0
    app_rows: int = 0
    people: tuple[str, ...] = ()
    failed: Sequence[str] = ()


def warn_of_demo(config: Config, data: Path, path: Path | None) -> None:
    """Print a warning if the configuration's data contains data of the demo, with the command that removes it. Raises
    UsageError if the data cannot be read."""
    if not (data / DEMO).is_dir() or _claims_camera(config):
        return  # no demo was ever served from this folder
    if _has_events(config.output.store) or _has_people(config, data):
        options = f"--config {path} --data {data}" if path else f"--data {data}"
        messages().say(
            "an earlier version kept events or people of its demo among yours:"
            f" end this, and `unblur forget --demo {options}` removes them"
        )


def forget_demo(config: Config, logs: Sequence[str], stores: Sequence[str]) -> None:
    """Remove the demo's data from the configuration's data, `logs`, `stores` and data folder (by default the user's),
    and print what was removed.

    Raises UsageError if a camera of the configuration has the demo's name, or the data folder does not exist;
    OutputError if a run is writing; UnblurError, after everything else was done, if a part failed.
    """
    if _claims_camera(config):
        raise UsageError(f"a camera of yours is called {CAMERA}, too: its events cannot be told from the demo's")
    data = data_folder_path(config.serve.data)
    config = config.model_copy(update={"serve": config.serve.model_copy(update={"data": data})})
    with ExitStack() as stack:
        removed = remove(open_configured_data(config, logs, stores, stack), _photos(data))
    people = ", ".join(removed.people) or "nobody"
    Results().say(
        f"of the demo: {removed.entries} log entries, {removed.bundles} bundles,"
        f" {removed.app_rows} opinions and unsent webhooks are gone; from the gallery: {people}"
    )
    require_done(list(removed.failed))


def remove(personal_data: PersonalData, photos: frozenset[str]) -> CleanupReport:
    """Remove the events of the demo's camera, and these `photos` of its people, from all data. A repeated call
    completes what failed."""
    errors, removed, ids = ErrorCollector(), CleanupReport(), set[object]()
    logs = list(chain.from_iterable(personal_data.logs))
    with errors.collect():
        for event in chain(
            *(log.events() for log in logs), personal_data.evidence.events() if personal_data.evidence else ()
        ):
            if event["camera"] == CAMERA:
                ids.add(event["id"])
        if personal_data.evidence and ids:
            removed.bundles = personal_data.evidence.amend(without(ids), "forgotten", ids)
        removed.app_rows = personal_data.app_data.amend(without(ids), ids) if personal_data.app_data and ids else 0
        removed.entries = sum(log.log.rewrite_events(without(ids)) for log in logs) if ids else 0
    with errors.collect():
        removed.people = personal_data.remove_photos(photos)
    removed.failed = errors.failed
    return removed


def _claims_camera(config: Config) -> bool:
    """Whether one of the user's cameras has, or without a configured name may have, the demo camera's name."""
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
        return False  # encrypted, or of another network: not made by a demo; its use will report the error
    return not known.photos.isdisjoint(photos)


def _photos(data: Path) -> frozenset[str]:
    """The photo ids of the demo's own people in its gallery; people whom the user added are left out."""
    path = data / DEMO / GALLERY
    if not path.is_file():
        return frozenset()
    known: Gallery = galleries.load_gallery(path, fingerprint("sface"), allow_empty=True)
    return frozenset(photo for name in ENROLLED if name in known.people for photo in known.people[name].photos)

"""All stored personal data, opened for changes: gallery, event logs, evidence and application data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from recognize.gallery import gallery_edits
from recognize.gallery import people_gallery as galleries
from recognize.gallery.people_gallery import Gallery
from stream.errors import UnblurError, UsageError
from stream.events.erasure import without
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog, set_aside
from stream.events.query import file_of, query
from stream.events.schema import EventDict
from stream.evidence.evidence_store import EvidenceStore
from stream.evidence.signing import Signer
from stream.storage.encryption import Cipher
from unblur.people.face_thumbnails import FaceThumbnails, thumbnails_folder
from unblur.privacy.app_event_data import AppEventData


@dataclass(frozen=True, slots=True)
class LogHandle:
    """An open event log with its location: a file path or a database URL."""

    where: str
    log: JsonlEventLog | SqlEventStore

    def events(self) -> Iterator[EventDict]:
        return query(self.where)

    def drop(self, ids: Collection[object]) -> int:
        """Delete the events with these ids, also while a run writes; return their number."""
        if isinstance(self.log, SqlEventStore):
            return self.log.drop(ids)  # also without ids: a reader may have blocked the last wipe
        return self.log.rewrite_events(without(ids)) if ids else 0

    def size(self) -> int | None:
        """Size in bytes on disk; None for a database server."""
        return self.log.size() if isinstance(self.log, SqlEventStore) else Path(self.where).stat().st_size


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Personal data opened for changes. Each group of `logs` is a log with its rotated predecessors, oldest first. The
    `gallery` file may be created later; `fingerprint` is that of the gallery's embedder."""

    gallery: Path | None
    logs: Sequence[Sequence[LogHandle]]
    evidence: EvidenceStore | None
    app_data: AppEventData | None
    cipher: Cipher | None
    fingerprint: str

    def people(self) -> Gallery | None:
        """Read the gallery; None if it does not exist. Raises GalleryError, UsageError if it cannot be read."""
        return self._read(self.gallery) if self.gallery and self.gallery.exists() else None

    def remove_people(self, *names: str, former: Collection[str] = ()) -> bool:
        """Remove people from the gallery with the crops of their photos, and the names `former` from the other people's
        former names; return whether any of `names` was enrolled. A repeated call after a failure completes the work."""
        if self.gallery is None or not self.gallery.exists():
            return False
        with galleries.gallery_lock(self.gallery):
            gallery = self._read(self.gallery)
            remaining = gallery_edits.drop_former_names(gallery.without_people(*names), former)
            if thumbnails_folder(self.gallery).is_dir():
                FaceThumbnails(thumbnails_folder(self.gallery), self.cipher).tidy(remaining)
            if remaining.people != gallery.people:
                remaining.save(self.gallery, self.cipher)
        return remaining.names != gallery.names

    def remove_photos(self, photos: Collection[str]) -> tuple[str, ...]:
        """Remove photos from the gallery with their crops; return the people removed with their last photo."""
        if self.gallery is None or not self.gallery.exists():
            return ()
        with galleries.gallery_lock(self.gallery):
            gallery = self._read(self.gallery)
            removed = tuple(name for name, person in gallery.people.items() if set(person.photos) <= set(photos))
            remaining = gallery.without_people(*removed)
            for name, person in remaining.people.items():
                for photo in set(person.photos) & set(photos):
                    remaining = gallery_edits.remove_photo(remaining, name, photo)
            if remaining.photos != gallery.photos:
                remaining.save(self.gallery, self.cipher)
            if thumbnails_folder(self.gallery).is_dir():
                FaceThumbnails(thumbnails_folder(self.gallery), self.cipher).tidy(remaining)
        return removed

    def _read(self, path: Path) -> Gallery:
        return galleries.load_gallery(path, self.fingerprint, allow_empty=True, cipher=self.cipher)


def open_personal_data(
    gallery: Path | None,
    logs: Sequence[str],
    evidence: Path | None,
    app_data: AppEventData | None,
    cipher: Cipher | None,
    fingerprint: str,
    stack: ExitStack,
) -> PersonalData:
    """Open and lock personal data; `stack` closes it.

    Raises UsageError if a part is missing or cannot be read, OutputError if another process writes to it.
    """
    for path in (gallery, evidence, *map(file_of, logs)):
        if path and not path.exists():
            raise UsageError(f"{path} does not exist: check the name")
    opened = [[*open_rotated_logs(where, stack), _open(where, stack)] for where in logs]
    folder = EvidenceStore(evidence, Signer(), dict) if evidence else None
    if folder:
        stack.callback(folder.close)
    records = PersonalData(gallery, opened, folder, app_data, cipher, fingerprint)
    records.people()  # fail on an unreadable gallery before anything is changed
    return records


def open_rotated_logs(where: str, stack: ExitStack) -> list[LogHandle]:
    """Open the rotated predecessors of a log; `stack` closes them. Raises OutputError."""
    return [] if "://" in where else [_open(str(path), stack) for path in set_aside(Path(where))]


def _open(where: str, stack: ExitStack) -> LogHandle:
    log = SqlEventStore(where) if "://" in where else JsonlEventLog(Path(where))
    stack.callback(log.close)
    return LogHandle(where, log)


class ErrorCollector:
    """Collects the messages of errors in `failed`, each once."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Context manager that records an UnblurError or OSError instead of raising it."""
        try:
            yield
        except (UnblurError, OSError) as error:
            self.note(str(error))

    def note(self, failure: str) -> None:
        """Record a failure."""
        if failure not in self.failed:
            self.failed.append(failure)


def require_done(failed: list[str] | tuple[str, ...]) -> None:
    """Raise UnblurError with all failures, if there are any."""
    if failed:
        raise UnblurError(f"not all could be done: {'; '.join(failed)}; put it right, and do this again")

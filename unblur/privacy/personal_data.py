"""All that is kept of people, opened so that it can be changed: galleries, logs, evidence, annex."""

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
from unblur.people.face_thumbnails import FaceThumbnails, faces_of
from unblur.privacy.app_event_data import AppEventData


@dataclass(frozen=True, slots=True)
class LogHandle:
    """A log that holds events, and where it is: a file, or a database by URL."""

    where: str
    ledger: JsonlEventLog | SqlEventStore

    def events(self) -> Iterator[EventDict]:
        return query(self.where)

    def drop(self, ids: Collection[object]) -> int:
        """Delete the events with these ids while a run writes; how many there were."""
        if isinstance(self.ledger, SqlEventStore):
            return self.ledger.drop(ids)  # none, too: the last time somebody may have read what was to be wiped
        return self.ledger.rewrite_events(without(ids)) if ids else 0

    def size(self) -> int | None:
        """Bytes that it takes in its file; None for a database server's."""
        return self.ledger.size() if isinstance(self.ledger, SqlEventStore) else Path(self.where).stat().st_size


@dataclass(frozen=True, slots=True)
class PersonalData:
    """`logs` are groups that belong together, oldest first: a JSONL file and those that earlier runs set aside. The
    file of the `gallery` may come later; `fingerprint` is that of the gallery's embedder."""

    gallery: Path | None
    logs: Sequence[Sequence[LogHandle]]
    evidence: EvidenceStore | None
    annex: AppEventData | None
    cipher: Cipher | None
    fingerprint: str

    def people(self) -> Gallery | None:
        """The gallery, if there is one by now. Raises GalleryError, UsageError if it cannot be read."""
        return self._read(self.gallery) if self.gallery and self.gallery.exists() else None

    def remove_people(self, *names: str, former: Collection[str] = ()) -> bool:
        """Take people out of the gallery, and the crops of their photos out of the folder beside it, and the names
        `former` from whoever had them before; whether any of them was known. Doing it again after it failed half-way
        does the rest."""
        if self.gallery is None or not self.gallery.exists():
            return False
        with galleries.gallery_lock(self.gallery):
            gallery = self._read(self.gallery)
            left = gallery_edits.drop_former_names(gallery.without_people(*names), former)
            if faces_of(self.gallery).is_dir():
                FaceThumbnails(faces_of(self.gallery), self.cipher).tidy(left)
            if left.people != gallery.people:
                left.save(self.gallery, self.cipher)
        return left.names != gallery.names

    def remove_photos(self, photos: Collection[str]) -> tuple[str, ...]:
        """Take photos out of the gallery, and their crops out of the folder beside it; who is not known any more, for
        no photo of theirs is left."""
        if self.gallery is None or not self.gallery.exists():
            return ()
        with galleries.gallery_lock(self.gallery):
            gallery = self._read(self.gallery)
            gone = tuple(name for name, person in gallery.people.items() if set(person.photos) <= set(photos))
            left = gallery.without_people(*gone)
            for name, person in left.people.items():
                for photo in set(person.photos) & set(photos):
                    left = gallery_edits.remove_photo(left, name, photo)
            if left.photos != gallery.photos:
                left.save(self.gallery, self.cipher)
            if faces_of(self.gallery).is_dir():
                FaceThumbnails(faces_of(self.gallery), self.cipher).tidy(left)
        return gone

    def _read(self, path: Path) -> Gallery:
        return galleries.load_gallery(path, self.fingerprint, allow_empty=True, cipher=self.cipher)


def open_personal_data(
    gallery: Path | None,
    logs: Sequence[str],
    evidence: Path | None,
    annex: AppEventData | None,
    cipher: Cipher | None,
    fingerprint: str,
    stack: ExitStack,
) -> PersonalData:
    """Open them for this process alone; `stack` closes them.

    Raises UsageError where one of them is missing or cannot be read, OutputError where another process writes there.
    """
    for path in (gallery, evidence, *map(file_of, logs)):
        if path and not path.exists():
            raise UsageError(f"{path} does not exist: check the name")
    opened = [[*earlier(where, stack), _open(where, stack)] for where in logs]
    folder = EvidenceStore(evidence, Signer(), dict) if evidence else None
    if folder:
        stack.callback(folder.close)
    records = PersonalData(gallery, opened, folder, annex, cipher, fingerprint)
    records.people()  # a gallery that cannot be read is found before anything is changed
    return records


def earlier(where: str, stack: ExitStack) -> list[LogHandle]:
    """The logs that earlier runs set aside beside this one, opened; `stack` closes them. Raises OutputError."""
    return [] if "://" in where else [_open(str(path), stack) for path in set_aside(Path(where))]


def _open(where: str, stack: ExitStack) -> LogHandle:
    ledger = SqlEventStore(where) if "://" in where else JsonlEventLog(Path(where))
    stack.callback(ledger.close)
    return LogHandle(where, ledger)


class ErrorCollector:
    """What was tried; `failed` says of each thing that could not be done why, once."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """What goes wrong in here is noted, and ends only this."""
        try:
            yield
        except (UnblurError, OSError) as error:
            self.note(str(error))

    def note(self, failure: str) -> None:
        """Something that could not be done."""
        if failure not in self.failed:
            self.failed.append(failure)


def require_done(failed: list[str] | tuple[str, ...]) -> None:
    """Raises UnblurError if anything failed, with all of it."""
    if failed:
        raise UnblurError(f"not all could be done: {'; '.join(failed)}; put it right, and do this again")

"""The one owner of the gallery while it is served: every change is on disk first, and then in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import structlog

from recognize.gallery import gallery_edits
from recognize.gallery import people_gallery as galleries
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import photo_id
from stream.errors import ConfirmationRequiredError, UnblurError, UsageError
from stream.names import normalize_name
from stream.threads import SupervisedThread
from stream.values import Array, Image
from unblur.people.face_thumbnails import FaceThumbnails, content, faces_of
from unblur.people.photo_review import PhotoReviewer, Rejection, ReviewedPhoto, objections, require_usable, usable

_EVERY_S = 0.5
"""How often the file is looked at: another program's change is in use within a second."""
_Stamp = tuple[int, int, int]

_log = structlog.get_logger(__name__)


class GalleryService:
    """Who is known, for any thread: by the gallery at `path`, and by the crops of their photos in the folder beside it.

    Each change is written, then handed to `use`, then told to `note` (who did it, what, about whom). A file that
    another program changes (`unblur enroll`) is taken over, and never written over with what was known before.

    Raises GalleryError if the file cannot be used, OutputError if the folder cannot be made. A change raises, with
    nothing changed, KeyError for somebody who is not known, UsageError for what cannot be, and OutputError or
    StorageError if the disk refuses.
    """

    def __init__(
        self,
        path: Path,
        examiner: PhotoReviewer,
        use: Callable[[Gallery], None],
        note: Callable[[str, str, str], None],
    ) -> None:
        self._path, self._examiner, self._use, self._note = path, examiner, use, note
        self._faces = FaceThumbnails(faces_of(path), examiner.cipher)
        self._lock = threading.RLock()
        self._gallery = Gallery(examiner.fingerprint)
        self._taken: _Stamp | None = None
        with galleries.gallery_lock(path):
            if path.exists():
                self._refresh()
            else:
                self._take(self._gallery, None)
        self._closing = threading.Event()
        self._thread = SupervisedThread("people", self._watch)
        self._thread.start()

    def close(self) -> None:
        """Look at the file no more."""
        self._closing.set()
        self._thread.close()

    @property
    def gallery(self) -> Gallery:
        """Who is known at this moment."""
        return self._gallery

    def has_face(self, photo: str) -> bool:
        """Whether the crop of an enrolled photo is here."""
        return self._faces.has(photo)

    def face(self, photo: str) -> bytes | None:
        """The PNG of the crop of a photo; None if nobody is known by it, or its crop is not here. Raises
        UsageError if it cannot be decrypted."""
        return self._faces.read(photo) if photo in self._gallery.photos else None

    def enrol(self, name: str, description: str | None, shots: Sequence[ReviewedPhoto], who: str) -> str:
        """Somebody new; returns the name as it is kept."""
        name = normalize_name(name)

        def enrolled(known: Gallery) -> Gallery:
            return gallery_edits.enroll_person(known, name, description, self._embeddings(shots, name, known))

        self._change(enrolled, shots)
        self._note(who, "enrolled", name)
        return name

    def add(self, name: str, shots: Sequence[ReviewedPhoto], who: str) -> None:
        """More photos of somebody."""

        def extended(known: Gallery) -> Gallery:
            return gallery_edits.add_embeddings(known, name, self._embeddings(shots, name, known))

        self._change(extended, shots)
        self._note(who, "added photos", name)

    def add_crop(self, name: str, crop: Image, who: str, sure: bool = False) -> Rejection | None:
        """Add an aligned crop (128 x 128) to somebody; or what speaks against it, and then nothing is changed. Who is
        `sure` adds a doubtful one."""
        if name not in self._gallery.people:
            return Rejection(f"{name} is not known", "nobody")
        (shot,) = self._examiner.judged([self._examiner.crop("crop", crop)], name, self._gallery)
        if shot.findings and not (sure and usable(shot)):
            return Rejection(objections(shot), "doubtful" if usable(shot) else "unfit")
        self.add(name, [shot], who)
        return None

    def rename(self, name: str, new: str, who: str) -> str:
        """Give somebody a name that nobody has; returns it as it is kept."""
        new = normalize_name(new)
        self._change(lambda known: gallery_edits.rename_person(known, name, new))
        self._note(who, f"renamed to {new}", name)
        return new

    def describe(self, name: str, description: str | None, who: str) -> None:
        """Say something else of somebody, or nothing."""
        self._change(lambda known: gallery_edits.set_description(known, name, description))
        self._note(who, "described", name)

    def merge(self, name: str, into: str, who: str, sure: bool = False) -> None:
        """Two are one: all photos of `name` become those of `into`. Raises DoubtError where they are unlike, and nobody
        is sure."""

        def merged(known: Gallery) -> Gallery:
            one = gallery_edits.merge_people(known, name, into)
            if not sure:
                self._require_alike(known, name, into)
            return one

        self._change(merged)
        self._note(who, f"merged into {into}", name)

    def delete(self, name: str, who: str) -> None:
        """Forget somebody: embeddings and crops."""
        self._change(lambda known: gallery_edits.remove_person(known, name))
        self._note(who, "deleted", name)

    def remove(self, name: str, photo: str, who: str) -> None:
        """Forget one photo of somebody: embedding and crop."""
        self._change(lambda known: gallery_edits.remove_photo(known, name, photo))
        self._note(who, "removed a photo", name)

    def _change(self, change: Callable[[Gallery], Gallery], shots: Sequence[ReviewedPhoto] = ()) -> None:
        with self._lock, galleries.gallery_lock(self._path):
            self._refresh()
            changed = change(self._gallery)
            self._faces.keep(self._contents(shots))
            self._take(changed.save(self._path, self._examiner.cipher), _stamp(self._path))

    def _embeddings(self, shots: Sequence[ReviewedPhoto], name: str, known: Gallery) -> Array:
        """Judged once more, for whoever asks may say what they like, and others may have become known meanwhile."""
        require_usable(self._examiner.judged(shots, name, known))
        rows = [shot.embedding for shot in shots if shot.embedding is not None]
        if not rows:
            raise UsageError("none of the photos shows a face that can be used")
        return np.stack(rows)

    def _require_alike(self, known: Gallery, name: str, into: str) -> None:
        likeness, threshold = gallery_edits.likeness(known, name, into), self._examiner.threshold(known)
        if likeness < threshold:
            raise ConfirmationRequiredError(
                f"These do not look like the same person (similarity {likeness:.2f}; usually over {threshold:.2f}). "
                "Merge anyway?"
            )

    def _contents(self, shots: Sequence[ReviewedPhoto]) -> Iterator[tuple[str, bytes]]:
        for shot in shots:
            if shot.crop is not None and shot.embedding is not None:
                yield photo_id(shot.embedding), content(shot.crop, self._examiner.cipher)

    def _refresh(self) -> None:
        """Take over what another program has made of the file."""
        stamp, fingerprint = _stamp(self._path), self._gallery.fingerprint
        if stamp == self._taken:
            return
        there = self._read() if stamp else Gallery(fingerprint)
        self._take(there, stamp)
        _log.info("the gallery was read", people=len(there.names), file=str(self._path))

    def _read(self) -> Gallery:
        examiner = self._examiner
        return galleries.load_gallery(self._path, examiner.fingerprint, allow_empty=True, cipher=examiner.cipher)

    def _take(self, gallery: Gallery, stamp: _Stamp | None) -> None:
        self._gallery, self._taken = gallery, stamp
        self._use(gallery)
        self._faces.tidy(gallery)

    def _watch(self) -> None:
        said = ""
        while not self._closing.wait(_EVERY_S):
            try:
                if _stamp(self._path) != self._taken:
                    with self._lock, galleries.gallery_lock(self._path):  # whoever writes it puts crops there first
                        self._refresh()
                said = ""
            except (UnblurError, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("the gallery on disk cannot be used: the last one stays in use", reason=said)


def _stamp(path: Path) -> _Stamp | None:
    """Another for every file that takes the place of the last; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

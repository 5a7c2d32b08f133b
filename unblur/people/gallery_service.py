"""Thread-safe gallery service: writes every change to disk before it is used, and reloads changes of other programs."""

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
from unblur.people.face_thumbnails import FaceThumbnails, encode_thumbnail, thumbnails_folder
from unblur.people.photo_review import (
    PhotoReviewer,
    Rejection,
    ReviewedPhoto,
    describe_issues,
    is_usable,
    require_usable,
)

_EVERY_S = 0.5
"""Interval between checks of the file, in seconds: another program's change is in use within a second."""
_Stamp = tuple[int, int, int]

_log = structlog.get_logger(__name__)


class GalleryService:
    """The gallery at `path` and the crops of its photos in the folder next to it. Thread-safe.

    Each change is written, then passed to `use`, then to `note` (user, action, person) for the audit log. A file that
    another program changes (`unblur enroll`) is reloaded, and never overwritten with an older state.

    Raises GalleryError if the file cannot be used, OutputError if the folder cannot be created. A change that fails
    changes nothing and raises KeyError for a name that is not enrolled, UsageError for invalid input, OutputError or
    StorageError if writing fails.
    """

    def __init__(
        self,
        path: Path,
        reviewer: PhotoReviewer,
        use: Callable[[Gallery], None],
        note: Callable[[str, str, str], None],
    ) -> None:
        self._path, self._reviewer, self._use, self._note = path, reviewer, use, note
        self._faces = FaceThumbnails(thumbnails_folder(path), reviewer.cipher)
        self._lock = threading.RLock()
        self._gallery = Gallery(reviewer.fingerprint)
        self._loaded_stamp: _Stamp | None = None
        with galleries.gallery_lock(path):
            if path.exists():
                self._refresh()
            else:
                self._apply(self._gallery, None)
        self._closing = threading.Event()
        self._thread = SupervisedThread("people", self._watch)
        self._thread.start()

    def close(self) -> None:
        """Stop watching the file."""
        self._closing.set()
        self._thread.close()

    @property
    def gallery(self) -> Gallery:
        """The current gallery."""
        return self._gallery

    def has_face(self, photo: str) -> bool:
        """Whether the crop of an enrolled photo is stored."""
        return self._faces.has(photo)

    def face(self, photo: str) -> bytes | None:
        """Return the PNG of a photo's crop; None if the photo is not in the gallery or its crop is not stored. Raises
        UsageError if it cannot be decrypted."""
        return self._faces.read(photo) if photo in self._gallery.photos else None

    def enroll(self, name: str, description: str | None, shots: Sequence[ReviewedPhoto], who: str) -> str:
        """Enroll a new person; return the normalized name."""
        name = normalize_name(name)

        def enroll_person(known: Gallery) -> Gallery:
            return gallery_edits.enroll_person(known, name, description, self._embeddings(shots, name, known))

        self._change(enroll_person, shots)
        self._note(who, "enrolled", name)
        return name

    def add(self, name: str, shots: Sequence[ReviewedPhoto], who: str) -> None:
        """Add photos to an enrolled person."""

        def add_photos(known: Gallery) -> Gallery:
            return gallery_edits.add_embeddings(known, name, self._embeddings(shots, name, known))

        self._change(add_photos, shots)
        self._note(who, "added photos", name)

    def add_crop(self, name: str, crop: Image, who: str, confirmed: bool = False) -> Rejection | None:
        """Add an aligned crop (128 x 128) to a person; return the reason if it is rejected, else None. A doubtful crop
        is added only if `confirmed`."""
        if name not in self._gallery.people:
            return Rejection(f"{name} is not known", "nobody")
        (shot,) = self._reviewer.review([self._reviewer.check_crop("crop", crop)], name, self._gallery)
        if shot.findings and not (confirmed and is_usable(shot)):
            return Rejection(describe_issues(shot), "doubtful" if is_usable(shot) else "unfit")
        self.add(name, [shot], who)
        return None

    def rename(self, name: str, new: str, who: str) -> str:
        """Rename a person to an unused name; return the normalized name."""
        new = normalize_name(new)
        self._change(lambda known: gallery_edits.rename_person(known, name, new))
        self._note(who, f"renamed to {new}", name)
        return new

    def describe(self, name: str, description: str | None, who: str) -> None:
        """Replace or, with None, delete a person's description."""
        self._change(lambda known: gallery_edits.set_description(known, name, description))
        self._note(who, "described", name)

    def merge(self, name: str, into: str, who: str, confirmed: bool = False) -> None:
        """Merge two people: all photos of `name` go to `into`. Raises ConfirmationRequiredError if their photos are
        unlike and it is not `confirmed`."""

        def merge_people(known: Gallery) -> Gallery:
            merged = gallery_edits.merge_people(known, name, into)
            if not confirmed:
                self._require_alike(known, name, into)
            return merged

        self._change(merge_people)
        self._note(who, f"merged into {into}", name)

    def delete(self, name: str, who: str) -> None:
        """Delete a person: embeddings and crops."""
        self._change(lambda known: gallery_edits.remove_person(known, name))
        self._note(who, "deleted", name)

    def remove(self, name: str, photo: str, who: str) -> None:
        """Delete one photo of a person: embedding and crop."""
        self._change(lambda known: gallery_edits.remove_photo(known, name, photo))
        self._note(who, "removed a photo", name)

    def _change(self, change: Callable[[Gallery], Gallery], shots: Sequence[ReviewedPhoto] = ()) -> None:
        with self._lock, galleries.gallery_lock(self._path):
            self._refresh()
            changed = change(self._gallery)
            self._faces.save(self._contents(shots))
            self._apply(changed.save(self._path, self._reviewer.cipher), _stamp(self._path))

    def _embeddings(self, shots: Sequence[ReviewedPhoto], name: str, known: Gallery) -> Array:
        """The photos' embeddings, after a second review: clients are not trusted, and the gallery may have changed."""
        require_usable(self._reviewer.review(shots, name, known))
        rows = [shot.embedding for shot in shots if shot.embedding is not None]
        if not rows:
            raise UsageError("none of the photos shows a face that can be used")
        return np.stack(rows)

    def _require_alike(self, known: Gallery, name: str, into: str) -> None:
        likeness, threshold = gallery_edits.likeness(known, name, into), self._reviewer.threshold(known)
        if likeness < threshold:
            raise ConfirmationRequiredError(
                f"These do not look like the same person (similarity {likeness:.2f}; usually over {threshold:.2f}). "
                "Merge anyway?"
            )

    def _contents(self, shots: Sequence[ReviewedPhoto]) -> Iterator[tuple[str, bytes]]:
        for shot in shots:
            if shot.crop is not None and shot.embedding is not None:
                yield photo_id(shot.embedding), encode_thumbnail(shot.crop, self._reviewer.cipher)

    def _refresh(self) -> None:
        """Reload the file if another program has changed it."""
        stamp, fingerprint = _stamp(self._path), self._gallery.fingerprint
        if stamp == self._loaded_stamp:
            return
        gallery = self._read() if stamp else Gallery(fingerprint)
        self._apply(gallery, stamp)
        _log.info("the gallery was read", people=len(gallery.names), file=str(self._path))

    def _read(self) -> Gallery:
        examiner = self._reviewer
        return galleries.load_gallery(self._path, examiner.fingerprint, allow_empty=True, cipher=examiner.cipher)

    def _apply(self, gallery: Gallery, stamp: _Stamp | None) -> None:
        self._gallery, self._loaded_stamp = gallery, stamp
        self._use(gallery)
        self._faces.tidy(gallery)

    def _watch(self) -> None:
        last_problem = ""
        while not self._closing.wait(_EVERY_S):
            try:
                if _stamp(self._path) != self._loaded_stamp:
                    with self._lock, galleries.gallery_lock(self._path):  # its writer saves the crops first
                        self._refresh()
                last_problem = ""
            except (UnblurError, OSError) as error:
                if str(error) != last_problem:
                    last_problem = str(error)
                    _log.warning("the gallery on disk cannot be used: the last one stays in use", reason=last_problem)


def _stamp(path: Path) -> _Stamp | None:
    """Return a value that changes whenever the file is replaced; None if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino

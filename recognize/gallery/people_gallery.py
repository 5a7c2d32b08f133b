"""The gallery: the enrolled people with a scikit-learn nearest-neighbor index, in one file.

**A gallery is code-like: load only galleries you trust.** The payload of the file is a joblib dump, and a writer
of such a dump can make its reader run any code. The header before it detects accidents (another program's file, a
damaged one, one made for another network) and is checked before a byte is unpickled; it is no signature.

The file is `unblur gallery\\n`, a version byte, the sha256 of the embedder's fingerprint (32 bytes), the sha256 of all
the other bytes (32 bytes), and the dump, which holds only arrays, strings and scikit-learn's own objects.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from filelock import FileLock, Timeout

from recognize.gallery.calibration import VERSION, Calibration, calibrate
from recognize.gallery.person import Person
from stream.errors import GalleryError, OutputError
from stream.results import Candidate
from stream.storage.encryption import Cipher, decrypt_if, encrypt_if
from stream.values import Array

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

_MAGIC = b"unblur gallery\n"
_VERSION = b"\x03"
_DIGEST = sha256().digest_size
_FILE_KEYS = {"mean_impostor_score": "alike", "max_impostor_score": "ceiling", "min_genuine_score": "floor"}
"""Keys in the file by field of a calibration."""
_LOCK_TIMEOUT_S = 10.0
_HEADER = len(_MAGIC) + len(_VERSION) + 2 * _DIGEST


class Gallery:
    """The known people by name (Unicode NFC). Immutable: `with_people` returns a new gallery.

    `fingerprint` identifies the network that made the embeddings; `sha256` is that of the file, if it was read from
    one.
    """

    def __init__(
        self,
        fingerprint: str,
        people: Mapping[str, Person] | None = None,
        knn: NearestNeighbors | None = None,
        sha256: str | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """`knn` is the index of all photos in order, and `calibration` that of the people; both are computed if
        missing."""
        self.fingerprint = fingerprint
        self.sha256 = sha256
        self.people = MappingProxyType({_normalize(name): person for name, person in (people or {}).items()})
        self.names = tuple(self.people)
        photos = [person.embeddings for person in self.people.values()]
        self._owners = np.repeat(np.arange(len(photos)), [len(part) for part in photos])
        self._knn = _index(photos) if knn is None and photos else knn
        self.calibration = calibration or calibrate(self.people)

    def with_people(self, people: Mapping[str, Person]) -> Gallery:
        """Return a gallery with these people added, or replaced by name."""
        return Gallery(
            self.fingerprint, {**self.people, **{_normalize(name): person for name, person in people.items()}}
        )

    def without_people(self, *names: str) -> Gallery:
        """Return a gallery without these people; unknown names are ignored."""
        removed = {_normalize(name) for name in names}
        kept = {name: person for name, person in self.people.items() if name not in removed}
        return Gallery(self.fingerprint, kept)

    def scores(self, embeddings: Array) -> Array:
        """Return the cosine similarity (-1..1), N x people, of N embeddings (N x D of length 1) to each person's
        nearest photo.

        The nearest, not the mean: photos differ in age and pose, and their mean resembles none of them.
        """
        scores = np.full((len(embeddings), len(self.names)), -1.0, np.float32)
        if self._knn is None or not len(embeddings):
            return scores
        distances, photos = self._knn.kneighbors(embeddings, n_neighbors=len(self._owners))
        np.maximum.at(scores, (np.arange(len(embeddings))[:, None], self._owners[photos]), 1 - distances)
        return scores

    def match(self, embeddings: Array) -> list[tuple[Candidate, ...]]:
        """Return for each of N embeddings the two nearest people, best first; fewer if fewer are enrolled."""
        return [
            tuple(self.candidate(int(person), scores) for person in np.argsort(-scores, kind="stable")[:2])
            for scores in self.scores(embeddings)
        ]

    def candidate(self, person: int, scores: Array) -> Candidate:
        """Return the person at this index with its score in a row of `scores`."""
        return Candidate(self.names[person], float(scores[person]))

    @cached_property
    def photos(self) -> frozenset[str]:
        """Ids of all photos."""
        return frozenset(photo for person in self.people.values() for photo in person.photos)

    def find_successor(self, name: str, person: Person) -> str | None:
        """Return the name here of a `person` of this name in another gallery: who has most of their photos in common,
        or else the same name; None without either."""
        if self.people.get(name) is person:
            return name
        photos = set(person.photos)
        common = {other: len(photos.intersection(candidate.photos)) for other, candidate in self.people.items()}
        best = max(common, key=lambda other: (common[other], other == name), default=None)
        return best if best is not None and (common[best] or best == name) else None

    def save(self, path: Path, cipher: Cipher | None = None) -> Gallery:
        """Write the gallery atomically; readable by its owner only, since faces are personal data, and encrypted if
        there is a cipher. Returns the gallery with the file's sha256.

        Raises OutputError if the file cannot be written.
        """
        dump = io.BytesIO()
        people = {name: asdict(person) for name, person in self.people.items()}
        joblib.dump({"knn": self._knn, "people": people, "calibration": _calibration_to_file(self.calibration)}, dump)
        head = _MAGIC + _VERSION + sha256(self.fingerprint.encode()).digest()
        content = head + _checksum(head, dump.getvalue()) + dump.getvalue()
        stored = encrypt_if(content, cipher)
        try:
            write_private(path, stored)
        except OSError as error:
            raise OutputError(f"the gallery cannot be written to {path}: {error.strerror}") from error
        return Gallery(self.fingerprint, self.people, self._knn, sha256(stored).hexdigest(), self.calibration)


@contextmanager
def gallery_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the gallery at `path` while it is read, changed and written back, so that no change is lost.
    Temporary files of a killed program are deleted, since they have names and embeddings.

    Raises OutputError if the lock cannot be had, or such a file not be deleted.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(f"another program has been changing {path} for long: try again") from error
    except OSError as error:
        raise OutputError(f"the gallery cannot be written to {path}: {error.strerror}") from error
    try:
        _delete_leftovers(path)
        yield
    finally:
        lock.release()


def _delete_leftovers(path: Path) -> None:
    leftover = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as `tempfile` calls them in `write_private`
    try:
        for file in path.parent.iterdir():
            if leftover.fullmatch(file.name):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"the temporary files of {path} cannot be deleted: {error.strerror}") from error


def load_gallery(path: Path, fingerprint: str, *, allow_empty: bool = False, cipher: Cipher | None = None) -> Gallery:
    """Read a gallery made with the network of this fingerprint. Trust the file: see the top of this module.

    `cipher` decrypts it if it is encrypted. Raises UsageError without the right one.

    Raises GalleryError, before anything is unpickled, if the file is missing or not a gallery, damaged, of an
    unknown version, or made with another network; and if it has no people (unless `allow_empty`), or objects that this
    version of scikit-learn cannot read.
    """
    stored, changed = _read(path)
    knn, people, calibration = _unpickle(path, _check_header(path, decrypt_if(path, stored, cipher), fingerprint))
    people = _fill_enrollment_time(people, changed)
    if not people and not allow_empty:
        raise GalleryError(f"{path} holds nobody: enroll people with `unblur enroll` first")
    return Gallery(fingerprint, people, knn, sha256(stored).hexdigest(), calibration)


def _read(path: Path) -> tuple[bytes, float]:
    """Return the content of the file, and the time of its last change."""
    try:
        return path.read_bytes(), path.stat().st_mtime
    except OSError as error:
        reason = f"no gallery can be read at {path} ({error.strerror}): make one with `unblur enroll`"
        raise GalleryError(reason) from error


def _check_header(path: Path, content: bytes, fingerprint: str) -> bytes:
    """Check the header and return the dump after it."""
    head, checksum, dump = content[: _HEADER - _DIGEST], content[_HEADER - _DIGEST : _HEADER], content[_HEADER:]
    if not content.startswith(_MAGIC):
        raise GalleryError(f"{path} is not a gallery made by `unblur enroll`")
    if head[len(_MAGIC) : len(_MAGIC) + 1] > _VERSION:
        raise GalleryError(f"{path} was made by a later unblur: update unblur, or enroll again")
    if checksum != _checksum(head, dump):
        raise GalleryError(f"{path} is damaged (its checksum does not hold): restore it or enroll again")
    if head[-_DIGEST:] != sha256(fingerprint.encode()).digest():
        raise GalleryError(f"{path} was made with another embedding network than the one in use: enroll again")
    return dump


def _unpickle(path: Path, dump: bytes) -> tuple[NearestNeighbors | None, dict[str, Person], Calibration | None]:
    """Load the index, the people and their calibration from a checked dump. An index of another scikit-learn version is
    left out, and so is the calibration of another version."""
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415  as in _index

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            payload = joblib.load(io.BytesIO(dump))
        except (ImportError, AttributeError) as error:
            raise GalleryError(f"{path} needs another version of scikit-learn ({error}): enroll again") from error
    foreign = any(issubclass(warning.category, InconsistentVersionWarning) for warning in caught)
    people = {name: Person(**person) for name, person in payload["people"].items()}
    stored = payload.get("calibration", {})
    calibration = _calibration_from_file(stored) if stored.get("version") == VERSION else None
    return None if foreign else payload["knn"], people, calibration


def _calibration_to_file(calibration: Calibration) -> dict[str, object]:
    return {_FILE_KEYS.get(key, key): value for key, value in asdict(calibration).items()}


def _calibration_from_file(stored: Mapping[str, Any]) -> Calibration:
    fields = {in_file: field for field, in_file in _FILE_KEYS.items()}
    return Calibration(**{fields.get(key, key): value for key, value in stored.items()})


def _fill_enrollment_time(people: dict[str, Person], changed: float) -> dict[str, Person]:
    """Set a missing time of enrollment (older files) to that of the file, before its next change loses it."""
    return {
        name: replace(person, enrolled=changed) if person.enrolled is None else person
        for name, person in people.items()
    }


def _normalize(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _index(photos: list[Array]) -> NearestNeighbors:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  it loads scipy.stats: a second

    return NearestNeighbors(metric="cosine", algorithm="brute").fit(np.concatenate(photos))


def _checksum(head: bytes, dump: bytes) -> bytes:
    return sha256(head + dump).digest()


def write_private(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically, readable by its owner only; after an error nothing is left.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

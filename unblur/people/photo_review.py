"""Looking at pictures of one person who is to be enrolled: what `unblur enroll` says of photos, said of pictures."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

from configs.schema import Config
from deblur.blur_estimation import BlurEstimator
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.gallery.photo_checks import BLOCKING_ISSUES, Photo, PhotoIssue
from stream.errors import UsageError
from stream.values import Array, Image
from unblur.assembly.components import Components
from unblur.people.enrollment import enroller_of

_NAMELESS = ""
_ENROLLED = Path("a photo enrolled before")
_NEVER = BLOCKING_ISSUES | {PhotoIssue.UNREADABLE, PhotoIssue.NO_FACE}
"""What leaves nothing to enrol, or would poison the gallery."""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewedPhoto:
    """A picture that was looked at, under an id of our own: what is to be said of it, and the aligned crop (128 x 128)
    and embedding of its largest face, if it shows one. `photo.path` is what it is called, and leads nowhere."""

    id: str
    photo: Photo
    crop: Image | None = None

    @property
    def name(self) -> str:
        return self.photo.name

    @property
    def findings(self) -> Mapping[PhotoIssue, str]:
        """What speaks against it."""
        return self.photo.findings

    @property
    def embedding(self) -> Array | None:
        return self.photo.embedding


class PhotoReviewer:
    """Looks at pictures; from any thread."""

    def __init__(self, config: Config, parts: Components) -> None:
        self.fingerprint, self.cipher = parts.embedder.fingerprint, parts.cipher
        self._enroller = enroller_of(config, parts)
        self._blurriness = BlurEstimator()
        self._alone = threading.Lock()  # a detector is for one thread at a time

    def picture(
        self, name: str, image: Image | None, fault: str | None = None, remark: str | None = None
    ) -> ReviewedPhoto:
        """A picture with a face somewhere, perhaps the first of several (`remark`); or, with the reason, a file that is
        none."""
        photo = Photo(_NAMELESS, Path(name))
        if remark:
            photo = photo.with_issue(PhotoIssue.FIRST_ONLY, remark)
        if image is None:
            return _shot(photo.with_issue(PhotoIssue.UNREADABLE, fault or ""))
        with self._alone:
            return _shot(*self._enroller.examine(photo, image))

    def crop(self, name: str, crop: Image) -> ReviewedPhoto:
        """A face that was cut out and aligned before, as an event's is."""
        with self._alone:
            blur = self._blurriness.estimate(crop).extent
            return _shot(self._enroller.measure(Photo(_NAMELESS, Path(name)), crop, blur), crop)

    def judged(self, shots: Sequence[ReviewedPhoto], name: str | None, known: Gallery) -> list[ReviewedPhoto]:
        """The shots, with what is found by comparing them with each other, with the photos of the person of this name,
        or of somebody new (None), and with everybody else who is known."""
        name = name or _NAMELESS
        person = known.people.get(name)
        own = [Photo(name, _ENROLLED, embedding) for embedding in person.embeddings] if person else []
        others = known.without_people(name)
        photos = [*own, *(replace(shot.photo, person=name) for shot in shots)]
        among = len(others.names) + 1
        compared = self._enroller.compare(photos, others, among)[len(own) :]
        if person:
            compared = [_beside(photo, person, self._enroller.threshold(among)) for photo in compared]
        return [replace(shot, photo=photo) for shot, photo in zip(shots, compared, strict=True)]

    def threshold(self, known: Gallery) -> float:
        """The cosine similarity from which two faces may be the same person's, among those who are known."""
        return self._enroller.threshold(len(known.names))


def require_usable(shots: Sequence[ReviewedPhoto]) -> None:
    """Raises UsageError if one of them is not to be enrolled, however sure somebody is."""
    for shot in shots:
        if not usable(shot):
            raise UsageError(f"{shot.name}: {objections(shot)}: it cannot be enrolled, leave it out")


def objections(shot: ReviewedPhoto) -> str:
    """What speaks against it, in one line."""
    return "; ".join(f"{finding}: {why}" for finding, why in shot.findings.items())


def _beside(photo: Photo, person: Person, threshold: float) -> Photo:
    """A face like nobody who is known may still not be this person's: whoever picked the wrong name is told."""
    if photo.embedding is None or PhotoIssue.MISLABELED in photo.findings:
        return photo
    likeness = float((person.embeddings @ photo.embedding).max())
    return (
        photo
        if likeness >= threshold
        else photo.with_issue(PhotoIssue.UNLIKE, f"{likeness:.2f}, needed {threshold:.2f}")
    )


def usable(shot: ReviewedPhoto) -> bool:
    """Whether it can be enrolled at all."""
    return not _NEVER & shot.findings.keys()


def _shot(photo: Photo, crop: Image | None = None) -> ReviewedPhoto:
    return ReviewedPhoto(uuid4().hex, photo, crop)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why it was not done. "nobody": no one of this name is known, who could be enrolled as somebody new. "doubtful":
    what was found on the crop, which somebody who is sure may add all the same. "unfit": what nobody may add."""

    why: str
    kind: Literal["nobody", "doubtful", "unfit"]

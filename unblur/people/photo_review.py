"""Review of single photos before they are enrolled on the People page, with the checks of `unblur enroll`."""

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
from recognize.gallery.photo_checks import BLOCKING_ISSUES, CheckedPhoto, PhotoIssue
from stream.errors import UsageError
from stream.values import Array, Image
from unblur.assembly.components import Components
from unblur.people.enrollment import make_enroller

_NAMELESS = ""
_ENROLLED = Path("a photo enrolled before")
_NEVER = BLOCKING_ISSUES | {PhotoIssue.UNREADABLE, PhotoIssue.NO_FACE}
"""Issues that leave no face to enroll, or would poison the gallery."""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewedPhoto:
    """A reviewed photo with a random id: its issues, and the aligned crop (128 x 128) and embedding of its largest
    face, if it shows one. `photo.path` is only its name, not an existing file."""

    id: str
    photo: CheckedPhoto
    crop: Image | None = None

    @property
    def name(self) -> str:
        return self.photo.name

    @property
    def findings(self) -> Mapping[PhotoIssue, str]:
        """The issues found, each with its reason."""
        return self.photo.findings

    @property
    def embedding(self) -> Array | None:
        return self.photo.embedding


class PhotoReviewer:
    """Reviews photos and crops for enrollment. Thread-safe."""

    def __init__(self, config: Config, parts: Components) -> None:
        self.fingerprint, self.cipher = parts.embedder.fingerprint, parts.cipher
        self._enroller = make_enroller(config, parts)
        self._blur_estimator = BlurEstimator()
        self._lock = threading.Lock()  # detectors are not thread-safe

    def check_picture(
        self, name: str, image: Image | None, fault: str | None = None, remark: str | None = None
    ) -> ReviewedPhoto:
        """Review a photo: find its largest face and measure it. `remark` is set if only the first of several images in
        the file was read; `fault` is the reason if the file could not be read (`image` is None)."""
        photo = CheckedPhoto(_NAMELESS, Path(name))
        if remark:
            photo = photo.with_issue(PhotoIssue.FIRST_ONLY, remark)
        if image is None:
            return _make_reviewed(photo.with_issue(PhotoIssue.UNREADABLE, fault or ""))
        with self._lock:
            return _make_reviewed(*self._enroller.examine(photo, image))

    def check_crop(self, name: str, crop: Image) -> ReviewedPhoto:
        """Review an aligned crop, such as an event's."""
        with self._lock:
            blur = self._blur_estimator.estimate(crop).extent
            return _make_reviewed(self._enroller.measure(CheckedPhoto(_NAMELESS, Path(name)), crop, blur), crop)

    def review(self, shots: Sequence[ReviewedPhoto], name: str | None, known: Gallery) -> list[ReviewedPhoto]:
        """Return the photos with the issues found by comparing them with each other, with the photos of the person
        `name` (None for a new person), and with all other people in the gallery."""
        name = name or _NAMELESS
        person = known.people.get(name)
        own = [CheckedPhoto(name, _ENROLLED, embedding) for embedding in person.embeddings] if person else []
        others = known.without_people(name)
        photos = [*own, *(replace(shot.photo, person=name) for shot in shots)]
        gallery_size = len(others.names) + 1
        compared = self._enroller.compare(photos, others, gallery_size)[len(own) :]
        if person:
            compared = [
                _check_against_person(photo, person, self._enroller.threshold(gallery_size)) for photo in compared
            ]
        return [replace(shot, photo=photo) for shot, photo in zip(shots, compared, strict=True)]

    def threshold(self, known: Gallery) -> float:
        """The cosine similarity from which two faces may be the same person's, for a gallery of this size."""
        return self._enroller.threshold(len(known.names))


def require_usable(shots: Sequence[ReviewedPhoto]) -> None:
    """Raise UsageError if one of the photos cannot be enrolled, even if confirmed."""
    for shot in shots:
        if not is_usable(shot):
            raise UsageError(f"{shot.name}: {describe_issues(shot)}: it cannot be enrolled, leave it out")


def describe_issues(shot: ReviewedPhoto) -> str:
    """Describe the photo's issues in one line."""
    return "; ".join(f"{finding}: {why}" for finding, why in shot.findings.items())


def _check_against_person(photo: CheckedPhoto, person: Person, threshold: float) -> CheckedPhoto:
    """Add an issue if the face is unlike this person's photos, even if it is unlike everybody else's, too: the user may
    have chosen the wrong name."""
    if photo.embedding is None or PhotoIssue.MISLABELED in photo.findings:
        return photo
    likeness = float((person.embeddings @ photo.embedding).max())
    return (
        photo
        if likeness >= threshold
        else photo.with_issue(PhotoIssue.UNLIKE, f"{likeness:.2f}, needed {threshold:.2f}")
    )


def is_usable(shot: ReviewedPhoto) -> bool:
    """Whether the photo can be enrolled at all."""
    return not _NEVER & shot.findings.keys()


def _make_reviewed(photo: CheckedPhoto, crop: Image | None = None) -> ReviewedPhoto:
    return ReviewedPhoto(uuid4().hex, photo, crop)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a crop was not added. "nobody": the name is not enrolled. "doubtful": the crop has issues, but may be added
    after confirmation. "unfit": the crop cannot be added."""

    why: str
    kind: Literal["nobody", "doubtful", "unfit"]

"""Enrollment of people: from folders of photos to a gallery, with the issues of every photo.

Detection and alignment are parameters, since this package does not depend on detectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import Protocol

import numpy as np

from recognize.embedders.embedder import Embedder
from recognize.gallery import gallery_edits
from recognize.gallery.calibration import threshold_for
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.gallery.photo_checks import CheckedPhoto, PhotoIssue, compare_photos
from recognize.gallery.photo_folders import Folder
from stream.errors import SourceError, UsageError
from stream.interfaces import Detector
from stream.storage.images import read_still
from stream.values import FaceDetection, Image

FaceExtractor = Callable[[Image, FaceDetection], tuple[Image, float]]
"""Cuts a face out of an image as the square crop that the embedder takes, and measures its blur extent in crop pixels,
without softness from enlargement."""


class Progress(Protocol):
    """Receives the progress of an enrollment."""

    def expect(self, photos: int) -> None:
        """Set the number of photos to read: those of people whose folders have changed."""
        ...

    def note(self, photo: CheckedPhoto, crop: Image | None) -> None:
        """Report a photo after its check. `crop` is of its face, if it shows one; it is stored nowhere else."""
        ...


BLURRED = 5.0
"""Extent of blur, in pixels of the crop, from which a photo is too blurred to compare with."""


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentReport:
    """Result of an enrollment: the gallery, the people enrolled anew, the photos checked, by person and file, and the
    names of people who were not changed because their folder is the same (`unchanged`) or has no usable face
    (`unusable`)."""

    gallery: Gallery
    enrolled: Mapping[str, Person]
    photos: tuple[CheckedPhoto, ...]
    unchanged: tuple[str, ...]
    unusable: tuple[str, ...]


class Enroller:
    """Checks photos and enrolls the faces in them.

    `threshold` is the cosine similarity from which two faces may be of one person; without one it follows from the
    number of people, as measured for SFace. An embedder that was fitted to these photos is not `independent`. A photo
    with a blur of `blur_limit` pixels or more counts as blurred. Photos that would cause false names are left out; if
    `strict`, all doubtful ones are, not only reported.
    """

    def __init__(
        self,
        detector: Detector,
        extract_face: FaceExtractor,
        embedder: Embedder,
        *,
        threshold: float | None = None,
        independent: bool = True,
        blur_limit: float = BLURRED,
        strict: bool = False,
    ) -> None:
        self._detector = detector
        self._extract_face = extract_face
        self._embedder = embedder
        self._threshold = threshold
        self._independent = independent
        self._blur_limit = blur_limit
        self._strict = strict

    def enroll(self, folders: Sequence[Folder], known: Gallery, progress: Progress) -> EnrollmentReport:
        """Enroll the people of these folders into `known`; existing ones anew if their folder has changed.

        Raises UsageError if the result has no people.
        """
        sources = {folder.name: self._source(folder) for folder in folders}
        unchanged = tuple(name for name, source in sources.items() if _unchanged(known, name, source))
        new = [folder for folder in folders if folder.name not in unchanged]
        progress.expect(sum(len(folder.photos) for folder in new))
        checked = [self._check(folder, path, progress) for folder in new for path in folder.photos]
        others = known.without_people(*(folder.name for folder in new))
        photos = self.compare(checked, others, len(new) + len(others.names))
        people = {folder.name: self._person(folder, photos, sources[folder.name]) for folder in new}
        enrolled = {name: person for name, person in people.items() if person}
        gallery = gallery_edits.reenroll(known, enrolled)
        if not gallery.names:
            raise UsageError(
                f"nobody can be enrolled: none of {len(photos)} photos shows a face {_first_issue(photos)}"
            )
        return EnrollmentReport(
            gallery, enrolled, tuple(photos), unchanged, tuple(name for name in people if name not in enrolled)
        )

    def compare(self, photos: Sequence[CheckedPhoto], others: Gallery, people: int) -> list[CheckedPhoto]:
        """Add the issues found by comparing the photos with each other and with `others`; `people` is the number of
        people in both."""
        return compare_photos(photos, others, self.threshold(people), independent=self._independent)

    def threshold(self, people: int) -> float:
        """Return the cosine similarity from which two faces may be of one person, for this number of people."""
        return threshold_for(people) if self._threshold is None else self._threshold

    def _source(self, folder: Folder) -> str:
        return f"{'strict' if self._strict else 'usual'} {folder.digest()}"

    def _check(self, folder: Folder, path: Path, progress: Progress) -> CheckedPhoto:
        photo, crop = self._read(CheckedPhoto(folder.name, path, folder=folder.path))
        progress.note(photo, crop)
        return photo

    def _read(self, photo: CheckedPhoto) -> tuple[CheckedPhoto, Image | None]:
        try:
            still = read_still(photo.path)
        except SourceError as error:
            return photo.with_issue(PhotoIssue.UNREADABLE, str(error)), None
        if still.remark:
            photo = photo.with_issue(PhotoIssue.FIRST_ONLY, still.remark)
        return self.examine(photo, still.image)

    def examine(self, photo: CheckedPhoto, image: Image) -> tuple[CheckedPhoto, Image | None]:
        """Check the image of a photo: the photo with its issues, and the crop of its largest face, if there is one."""
        faces = sorted(self._detector.detect(image), key=lambda face: face.box.area, reverse=True)
        if not faces:
            return photo.with_issue(PhotoIssue.NO_FACE, "none was found"), None
        if len(faces) > 1:
            photo = photo.with_issue(PhotoIssue.SEVERAL, f"{len(faces)}, of which the largest was taken")
        crop, blur = self._extract_face(image, faces[0])
        return self.measure(photo, crop, blur), crop

    def measure(self, photo: CheckedPhoto, crop: Image, blur: float) -> CheckedPhoto:
        """Embed a crop, and add an issue if its `blur` in pixels is too large."""
        if blur >= self._blur_limit:
            photo = photo.with_issue(PhotoIssue.BLURRED, f"over {blur:.1f} pixels of the face")
        return replace(photo, embedding=self._embedder.embed([crop])[0])

    def _person(self, folder: Folder, photos: Sequence[CheckedPhoto], source: str) -> Person | None:
        usable = [photo for photo in photos if photo.person == folder.name and photo.usable(self._strict)]
        embeddings = [photo.embedding for photo in usable if photo.embedding is not None]
        return Person(np.stack(embeddings), folder.description, source, time()) if embeddings else None


def _first_issue(photos: Sequence[CheckedPhoto]) -> str:
    """Describe why no photo can be used: the issue of the first."""
    issues = [f"{photo.name}: {finding}: {why}" for photo in photos for finding, why in photo.findings.items()]
    return f"that can be used ({issues[0]})" if issues else "that can be used"


def _unchanged(known: Gallery, name: str, source: str) -> bool:
    return name in known.people and known.people[name].source == source

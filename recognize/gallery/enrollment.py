"""Enrolling people: folders of photos in, a gallery out, and a word on every photo.

What finds, aligns and measures faces is handed in, for this room knows no detector.
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
from recognize.gallery.photo_checks import Photo, PhotoIssue, compare_photos
from recognize.gallery.photo_folders import Folder
from stream.errors import SourceError, UsageError
from stream.interfaces import Detector
from stream.storage.images import read_still
from stream.values import FaceDetection, Image

FaceExtractor = Callable[[Image, FaceDetection], tuple[Image, float]]
"""Cuts a face out of a picture as the square crop that the embedder takes, and says how blurred it is: the extent in
pixels of the crop, without what is soft because it was enlarged."""


class Progress(Protocol):
    """Follows an enrolment."""

    def expect(self, photos: int) -> None:
        """So many photos will be looked at: those of people whose folders have changed."""
        ...

    def note(self, photo: Photo, crop: Image | None) -> None:
        """This photo has been looked at. `crop` is of its face, if it shows one; nobody else keeps it."""
        ...


BLURRED = 5.0
"""Extent of blur, in pixels of the crop, from which a photo is too blurred to be compared with."""


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """What came of it: the gallery, who of it was enrolled anew, the photos looked at, by person and file, and the
    names of people who were left as they were because their folder has not changed (`unchanged`) or shows no face that
    can be used (`unusable`)."""

    gallery: Gallery
    enrolled: Mapping[str, Person]
    photos: tuple[Photo, ...]
    unchanged: tuple[str, ...]
    unusable: tuple[str, ...]


class Enroller:
    """Looks at photos and enrols the faces on them.

    `threshold` is the cosine similarity from which two faces may be the same person's; without one it follows the
    number of people, as measured for SFace. An embedder that was fitted to these very photos is not `independent`.
    A photo with a blur of `blur_limit` pixels or more counts as blurred. Those that would poison the gallery are left
    out; when `strict`, all doubtful ones are, not only reported.
    """

    def __init__(
        self,
        detector: Detector,
        look: FaceExtractor,
        embedder: Embedder,
        *,
        threshold: float | None = None,
        independent: bool = True,
        blur_limit: float = BLURRED,
        strict: bool = False,
    ) -> None:
        self._detector = detector
        self._look_at = look
        self._embedder = embedder
        self._threshold = threshold
        self._independent = independent
        self._blur_limit = blur_limit
        self._strict = strict

    def enroll(self, folders: Sequence[Folder], known: Gallery, progress: Progress) -> Enrolment:
        """The people of `known` and of these folders; who is in both is enrolled anew if their folder has changed.

        Raises UsageError if nobody at all could be enrolled.
        """
        sources = {folder.name: self._source(folder) for folder in folders}
        unchanged = tuple(name for name, source in sources.items() if _unchanged(known, name, source))
        new = [folder for folder in folders if folder.name not in unchanged]
        progress.expect(sum(len(folder.photos) for folder in new))
        looked = [self._look(folder, path, progress) for folder in new for path in folder.photos]
        others = known.without_people(*(folder.name for folder in new))
        photos = self.compare(looked, others, len(new) + len(others.names))
        people = {folder.name: self._person(folder, photos, sources[folder.name]) for folder in new}
        enrolled = {name: person for name, person in people.items() if person}
        gallery = gallery_edits.reenroll(known, enrolled)
        if not gallery.names:
            raise UsageError(f"nobody can be enrolled: none of {len(photos)} photos shows a face {_doubt(photos)}")
        return Enrolment(
            gallery, enrolled, tuple(photos), unchanged, tuple(name for name in people if name not in enrolled)
        )

    def compare(self, photos: Sequence[Photo], others: Gallery, people: int) -> list[Photo]:
        """The photos, with what is found beside each other and beside the `others`; `people` is how many these, and
        those on the photos, are together."""
        return compare_photos(photos, others, self.threshold(people), independent=self._independent)

    def threshold(self, people: int) -> float:
        """The cosine similarity from which two faces may be the same person's, among so many people."""
        return threshold_for(people) if self._threshold is None else self._threshold

    def _source(self, folder: Folder) -> str:
        return f"{'strict' if self._strict else 'usual'} {folder.digest()}"

    def _look(self, folder: Folder, path: Path, progress: Progress) -> Photo:
        photo, crop = self._seen(Photo(folder.name, path, folder=folder.path))
        progress.note(photo, crop)
        return photo

    def _seen(self, photo: Photo) -> tuple[Photo, Image | None]:
        try:
            still = read_still(photo.path)
        except SourceError as error:
            return photo.with_issue(PhotoIssue.UNREADABLE, str(error)), None
        if still.remark:
            photo = photo.with_issue(PhotoIssue.FIRST_ONLY, still.remark)
        return self.examine(photo, still.image)

    def examine(self, photo: Photo, image: Image) -> tuple[Photo, Image | None]:
        """What the picture of a photo shows, and the crop of the face that was taken, if there is one."""
        faces = sorted(self._detector.detect(image), key=lambda face: face.box.area, reverse=True)
        if not faces:
            return photo.with_issue(PhotoIssue.NO_FACE, "none was found"), None
        if len(faces) > 1:
            photo = photo.with_issue(PhotoIssue.SEVERAL, f"{len(faces)}, of which the largest was taken")
        crop, blur = self._look_at(image, faces[0])
        return self.measure(photo, crop, blur), crop

    def measure(self, photo: Photo, crop: Image, blur: float) -> Photo:
        """What a crop with so many pixels of blur shows."""
        if blur >= self._blur_limit:
            photo = photo.with_issue(PhotoIssue.BLURRED, f"over {blur:.1f} pixels of the face")
        return replace(photo, embedding=self._embedder.embed([crop])[0])

    def _person(self, folder: Folder, photos: Sequence[Photo], source: str) -> Person | None:
        usable = [photo for photo in photos if photo.person == folder.name and photo.usable(self._strict)]
        embeddings = [photo.embedding for photo in usable if photo.embedding is not None]
        return Person(np.stack(embeddings), folder.description, source, time()) if embeddings else None


def _doubt(photos: Sequence[Photo]) -> str:
    """Where no photo can be used, what is wrong with the first tells most."""
    found = [f"{photo.name}: {finding}: {why}" for photo in photos for finding, why in photo.findings.items()]
    return f"that can be used ({found[0]})" if found else "that can be used"


def _unchanged(known: Gallery, name: str, source: str) -> bool:
    return name in known.people and known.people[name].source == source

"""Checks of photos to enroll: each by itself, and compared with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognize.gallery.people_gallery import Gallery
from stream.values import Array

SAME_PICTURE = 0.95
"""Cosine similarity from which the second of two photos of a person adds nothing."""


class PhotoIssue(StrEnum):
    """A problem of a photo. With one of the first two there is nothing to enroll; the others are doubts."""

    UNREADABLE = "unreadable"
    NO_FACE = "no face"
    SEVERAL = "several faces"
    FIRST_ONLY = "several pictures"
    BLURRED = "blurred"
    DUPLICATE = "near-duplicate"
    OTHER_PERSON = "looks like somebody else"
    MISLABELED = "somebody else's"
    UNLIKE = "unlike their other photos"


BLOCKING_ISSUES = frozenset({PhotoIssue.BLURRED, PhotoIssue.MISLABELED})
"""Doubts with which a photo is never enrolled: a blurred face resembles all blurred faces, and a face that is more like
another person than the rest of its folder causes false names (`tests/recognize/test_poison.py`)."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedPhoto:
    """A photo of a person, in `folder` if it is in one: its embedding (D, of length 1) if it shows a face, and the
    issues found, each with a reason; none for a good photo."""

    person: str
    path: Path
    embedding: Array | None = None
    findings: dict[PhotoIssue, str] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def name(self) -> str:
        """File name, with the subfolders of the person's folder."""
        return self.path.relative_to(self.folder).as_posix() if self.folder else self.path.name

    def with_issue(self, finding: PhotoIssue, why: str) -> CheckedPhoto:
        """Return a copy with one more issue."""
        return replace(self, findings={**self.findings, finding: why})

    def usable(self, strict: bool) -> bool:
        """Return whether to enroll it: it shows a face and has no blocking issue, or if `strict` no issue at all."""
        doubts = set(self.findings) if strict else BLOCKING_ISSUES & set(self.findings)
        return self.embedding is not None and not doubts


def compare_photos(
    photos: Sequence[CheckedPhoto], others: Gallery, threshold: float, *, independent: bool = True
) -> list[CheckedPhoto]:
    """Add the issues found by comparing the photos with each other and with the people enrolled before.

    `threshold` is the cosine similarity from which two faces may be of one person. If the embedder is not `independent`
    but was fitted to these photos, all photos of a person are similar: near-duplicates and mislabeled photos are then
    not reported as such.
    """
    checked = list(photos)
    with_face = [index for index, photo in enumerate(checked) if photo.embedding is not None]
    if not with_face:
        return checked
    comparison = _Comparison([checked[index] for index in with_face], others, threshold)
    duplicates = comparison.find_duplicates() if independent else []
    for row, issue, why in [*duplicates, *comparison.find_mislabeled(independent)]:
        checked[with_face[row]] = checked[with_face[row]].with_issue(issue, why)
    return checked


PhotoNote = tuple[int, PhotoIssue, str]
"""Index of the photo, issue, and reason."""
Mask = NDArray[np.bool_]


class _Comparison:
    """Compares all photos with a face with each other and with a gallery."""

    def __init__(self, photos: Sequence[CheckedPhoto], others: Gallery, threshold: float) -> None:
        self._photos = photos
        self._threshold = threshold
        embeddings = np.stack([photo.embedding for photo in photos if photo.embedding is not None])
        self._likeness = embeddings @ embeddings.T
        people = np.array([photo.person for photo in photos])
        self._same = people[:, None] == people
        self._gallery_matches = [ranking[0] if ranking else None for ranking in others.match(embeddings)]

    def find_duplicates(self) -> list[PhotoNote]:
        """Find photos that are nearly equal to an earlier one of the same person."""
        duplicates = np.tril(self._same & (self._likeness >= SAME_PICTURE), -1)
        return [
            (int(row), PhotoIssue.DUPLICATE, f"like {self._photos[int(duplicates[row].argmax())].name}")
            for row in np.flatnonzero(duplicates.any(1))
        ]

    def find_mislabeled(self, independent: bool) -> list[PhotoNote]:
        """Find photos nearer to another person than to the rest of their own folder, the clearest first.

        Each is excluded once it is found, so that a photo in the wrong folder does not cast doubt on the photos of the
        person that it shows.
        """
        notes: list[PhotoNote] = []
        trusted = np.ones(len(self._photos), np.bool_)
        while True:
            own = self._nearest(self._same & (self._likeness < SAME_PICTURE), trusted)
            other = self._nearest(~self._same, trusted)
            score = np.maximum(other.max(1), [match.score if match else -1 for match in self._gallery_matches])
            folder = np.where(own.max(1) > -1, own.max(1), self._threshold)
            doubt = np.where(trusted & (score >= self._threshold), score - folder, 0)
            row = int(doubt.argmax())
            if doubt[row] <= 0:
                return notes
            trusted[row] = False
            has_own_photos = independent and own[row].max() > -1
            issue = PhotoIssue.MISLABELED if has_own_photos else PhotoIssue.OTHER_PERSON
            notes.append((row, issue, self._reason(row, other[row], own[row])))

    def _nearest(self, candidates: Mask, trusted: Mask) -> Array:
        return np.where(candidates & trusted, self._likeness, np.float32(-1))

    def _reason(self, row: int, other: Array, own: Array) -> str:
        match, score = self._gallery_matches[row], float(other.max())
        name = self._photos[int(other.argmax())].person
        if match and match.score > score:
            name, score = match.name, match.score
        comparison = f", only {own.max():.2f} like their other photos" if own.max() > -1 else ""
        return f"{score:.2f} like {name}{comparison}"

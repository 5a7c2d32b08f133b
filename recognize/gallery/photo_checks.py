"""What is to be said of a photo that somebody wants to enrol, by itself and beside the others."""

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
"""Cosine similarity from which two photos of a person show them so much alike that the second adds nothing."""


class PhotoIssue(StrEnum):
    """What speaks against a photo. The first two leave nothing to enrol; the others are doubts."""

    UNREADABLE = "unreadable"
    NO_FACE = "no face"
    SEVERAL = "several faces"
    FIRST_ONLY = "several pictures"
    BLURRED = "blurred"
    DUPLICATE = "near-duplicate"
    SOMEBODY_ELSE = "looks like somebody else"
    MISLABELED = "somebody else's"
    UNLIKE = "unlike their other photos"


BLOCKING_ISSUES = frozenset({PhotoIssue.BLURRED, PhotoIssue.MISLABELED})
"""Doubts over which a photo is never enrolled: a blurred face resembles all blurred faces, and a face that is more like
somebody else than like the rest of its folder brings them the name (`tests/recognize/test_poison.py`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo in a person's `folder`, if it lies in one: its embedding (D, of length 1) if it shows a face, and the
    findings, each with a word on why; none for a good photo."""

    person: str
    path: Path
    embedding: Array | None = None
    findings: dict[PhotoIssue, str] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The file's, with the subfolders between it and the person's folder."""
        return self.path.relative_to(self.folder).as_posix() if self.folder else self.path.name

    def with_issue(self, finding: PhotoIssue, why: str) -> Photo:
        return replace(self, findings={**self.findings, finding: why})

    def usable(self, strict: bool) -> bool:
        """Whether it is enrolled: it shows a face that poisons nothing, and where one is strict no doubt is left."""
        doubts = set(self.findings) if strict else BLOCKING_ISSUES & set(self.findings)
        return self.embedding is not None and not doubts


def compare_photos(
    photos: Sequence[Photo], others: Gallery, threshold: float, *, independent: bool = True
) -> list[Photo]:
    """The photos, with what is found by comparing them with each other and with the people enrolled before.

    `threshold` is the cosine similarity from which two faces may be the same person's. Where the embedder is not
    `independent` but was fitted to these very photos, it finds all of a person's alike: near-duplicates are not told,
    and nothing is called mixed up over a likeness.
    """
    judged = list(photos)
    seen = [number for number, photo in enumerate(judged) if photo.embedding is not None]
    if not seen:
        return judged
    comparison = _Comparison([judged[number] for number in seen], others, threshold)
    alike = comparison.find_duplicates() if independent else []
    for row, finding, why in [*alike, *comparison.find_mislabeled(independent)]:
        judged[seen[row]] = judged[seen[row]].with_issue(finding, why)
    return judged


Note = tuple[int, PhotoIssue, str]
"""Which photo, what, and why."""
Mask = NDArray[np.bool_]


class _Comparison:
    """All photos with a face against each other."""

    def __init__(self, photos: Sequence[Photo], others: Gallery, threshold: float) -> None:
        self._photos = photos
        self._threshold = threshold
        embeddings = np.stack([photo.embedding for photo in photos if photo.embedding is not None])
        self._likeness = embeddings @ embeddings.T
        people = np.array([photo.person for photo in photos])
        self._same = people[:, None] == people
        self._elsewhere = [ranking[0] if ranking else None for ranking in others.match(embeddings)]

    def find_duplicates(self) -> list[Note]:
        alike = np.tril(self._same & (self._likeness >= SAME_PICTURE), -1)
        return [
            (int(row), PhotoIssue.DUPLICATE, f"like {self._photos[int(alike[row].argmax())].name}")
            for row in np.flatnonzero(alike.any(1))
        ]

    def find_mislabeled(self, independent: bool) -> list[Note]:
        """Photos nearer to somebody else than to the rest of their own folder, the clearest first.

        Each is set aside as it is found, so that a photo in the wrong folder does not cast doubt on the photos of
        the person whom it shows.
        """
        notes: list[Note] = []
        trusted = np.ones(len(self._photos), np.bool_)
        while True:
            own = self._nearest(self._same & (self._likeness < SAME_PICTURE), trusted)
            other = self._nearest(~self._same, trusted)
            score = np.maximum(other.max(1), [who.score if who else -1 for who in self._elsewhere])
            folder = np.where(own.max(1) > -1, own.max(1), self._threshold)
            doubt = np.where(trusted & (score >= self._threshold), score - folder, 0)
            row = int(doubt.argmax())
            if doubt[row] <= 0:
                return notes
            trusted[row] = False
            beside = independent and own[row].max() > -1
            finding = PhotoIssue.MISLABELED if beside else PhotoIssue.SOMEBODY_ELSE
            notes.append((row, finding, self._why(row, other[row], own[row])))

    def _nearest(self, candidates: Mask, trusted: Mask) -> Array:
        return np.where(candidates & trusted, self._likeness, np.float32(-1))

    def _why(self, row: int, other: Array, own: Array) -> str:
        elsewhere, score = self._elsewhere[row], float(other.max())
        name = self._photos[int(other.argmax())].person
        if elsewhere and elsewhere.score > score:
            name, score = elsewhere.name, elsewhere.score
        beside = f", only {own.max():.2f} like their other photos" if own.max() > -1 else ""
        return f"{score:.2f} like {name}{beside}"

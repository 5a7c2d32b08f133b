"""Datasets of the identification experiments: enrolled people, their probes, and non-mated (unknown) people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.interfaces import Detector
from stream.values import Array, FaceDetection, Image
from unblur.evaluate.data import archives

ARCHIVE = "lfw160.tar"
Split = Literal["test", "val"]
ENROLLED = 3
"""People of `val` with at least so many photographs are enrolled, with the first half of them; others are non-mated."""


MARGIN = 32
"""Pixels by which photographs are extended on each side, by reflection. Without them crops of close faces would have
black edges that blur does not cross, and every restoration, most of all with the true kernel, would ring there."""


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A sharp photograph of one person, extended by `MARGIN` on each side, and the five points (5 x 2) of its face."""

    person: str
    image: Image
    landmarks: Array


@dataclass(frozen=True, slots=True, eq=False)
class DatasetSplit:
    """`gallery` and `probes` show the same people, `non_mated` others. `faceless` counts the photographs without a
    detected face: they are left out, and so are the probes of people without a gallery photograph left."""

    gallery: Sequence[Photograph]
    probes: Sequence[Photograph]
    non_mated: Sequence[Photograph]
    faceless: int

    @property
    def people(self) -> list[str]:
        """The names of the enrolled people, sorted."""
        return sorted({photograph.person for photograph in self.gallery})

    def labels(self, photographs: Sequence[Photograph]) -> NDArray[np.intp]:
        """Return the index in `people` of each photograph's person, who must be enrolled."""
        return np.searchsorted(self.people, [photograph.person for photograph in photographs])


def load_split(data: Path, split: Split, detector: Detector, every: int = 1) -> DatasetSplit:
    """Load a split and detect its faces. `every`: take every n-th person only, sorted by name.

    Raises SourceError if the split's archive is missing or has another layout.
    """
    archive = data / split / ARCHIVE
    make_photograph, parts = photograph_detector(detector), read_roles(archive, every)
    images = {role: [(each.person, each.image) for each in portraits] for role, portraits in parts.items()}
    photographs = {role: [each for each in map(make_photograph, pairs) if each] for role, pairs in images.items()}
    known = {photograph.person for photograph in photographs["gallery"]}
    probes = [photograph for photograph in photographs["probe"] if photograph.person in known]
    if not probes or not photographs["strangers"]:
        raise SourceError(f"no faces were found in {archive}")
    faceless = sum(map(len, images.values())) - sum(map(len, photographs.values()))
    return DatasetSplit(photographs["gallery"], probes, photographs["strangers"], faceless)


SplitRole = Literal["gallery", "probe", "strangers"]
_LAYOUTS = (
    "people/<Name>/gallery|probe/*.jpg and strangers/<Name>_<number>.jpg, or as <Name>/*.jpg, with"
    f" {ENROLLED} or more photographs of some and fewer of others"
)


class Portrait(NamedTuple):
    """A photograph of an archive: the person, the file's name and the image."""

    person: str
    file: str
    image: Image


Roles = dict[SplitRole, list[Portrait]]


def read_roles(archive: Path, every: int = 1) -> Roles:
    """Read the photographs of an archive or a folder, grouped by role. `every`: take every n-th person only, sorted by
    name.

    Raises SourceError if it cannot be read or has neither the layout people/<Name>/gallery|probe/*.jpg and
    strangers/<Name>_<number>.jpg, nor <Name>/*.jpg with enough photographs of some people and few of others.
    """
    images = archives.read(archive)
    parts = _group_by_folder(images) if any(name.startswith("people/") for name in images) else _divide_people(images)
    if not all(parts.values()):
        raise SourceError(f"{archive} is not laid out as {_LAYOUTS}")
    return {role: _take_every(portraits, every) for role, portraits in parts.items()}


def _group_by_folder(images: Mapping[str, Image]) -> Roles:
    parts: Roles = {"gallery": [], "probe": [], "strangers": []}
    for name, image in images.items():
        path = PurePosixPath(name)
        match path.parts:
            case ("people", person, "gallery" | "probe" as role, _):
                parts[role].append(Portrait(person, path.name, image))
            case ("strangers", _):
                parts["strangers"].append(Portrait(path.stem.rpartition("_")[0], path.name, image))
    return parts


def _divide_people(images: Mapping[str, Image]) -> Roles:
    parts: Roles = {"gallery": [], "probe": [], "strangers": []}
    people: dict[str, list[Portrait]] = defaultdict(list)
    for name, image in images.items():
        path = PurePosixPath(name)
        people[path.parent.name].append(Portrait(path.parent.name, path.name, image))
    for portraits in people.values():
        if len(portraits) < ENROLLED:
            parts["strangers"] += portraits
        else:
            half = (len(portraits) + 1) // 2
            parts["gallery"] += portraits[:half]
            parts["probe"] += portraits[half:]
    return parts


def _take_every(portraits: Sequence[Portrait], every: int) -> list[Portrait]:
    people = set(sorted({portrait.person for portrait in portraits})[::every])
    return [portrait for portrait in portraits if portrait.person in people]


def photograph_detector(detector: Detector) -> Callable[[tuple[str, Image]], Photograph | None]:
    """Return a function that makes a Photograph of a person's name and image; None if no face is detected."""

    def make_photograph(named_image: tuple[str, Image]) -> Photograph | None:
        person, image = named_image
        extended = np.pad(image, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "reflect")
        landmarks = detect_landmarks(detector, extended)
        return None if landmarks is None else Photograph(person, extended, landmarks)

    return make_photograph


def detect_landmarks(detector: Detector, extended: Image) -> Array | None:
    """Detect the face nearest to the center of an extended photograph and return its five points (5 x 2), or None. The
    detector gets the photograph without the extension."""
    nearest = detect_portrait(detector, extended[MARGIN:-MARGIN, MARGIN:-MARGIN])
    return None if nearest is None else nearest.landmarks + np.float32(MARGIN)


def detect_portrait(detector: Detector, image: Image) -> FaceDetection | None:
    """Detect the face nearest to the center of a photograph: the portrayed person's. None if there is none."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    faces = detector.detect(image)
    return min(faces, key=lambda face: float(np.hypot(*(np.array(face.box.center) - middle))), default=None)

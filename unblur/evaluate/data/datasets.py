"""Whose photographs identification is judged on: people enrolled, their probes, and strangers."""

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
"""Of how many photographs on somebody of `val` is enrolled, with the first half of them; the others are strangers."""


MARGIN = 32
"""Pixels by which photographs are continued by reflection. The close ones would give crops with black edges; blur does
not cross these, and every restoration, the true kernel's most of all, would ring there."""


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A sharp photograph of one person, continued by `MARGIN` on each side, and the five points (5 x 2) of its face."""

    person: str
    image: Image
    landmarks: Array


@dataclass(frozen=True, slots=True, eq=False)
class DatasetSplit:
    """`gallery` and `probes` are of the same people, `strangers` of others. `faceless` counts the photographs on which
    no face was found: they are left out, and so are the probes of somebody of whose gallery nothing remains."""

    gallery: Sequence[Photograph]
    probes: Sequence[Photograph]
    strangers: Sequence[Photograph]
    faceless: int

    @property
    def people(self) -> list[str]:
        """Those enrolled."""
        return sorted({photograph.person for photograph in self.gallery})

    def labels(self, photographs: Sequence[Photograph]) -> NDArray[np.intp]:
        """The places among `people` of those on these photographs, who must be enrolled."""
        return np.searchsorted(self.people, [photograph.person for photograph in photographs])


def cast(data: Path, split: Split, detector: Detector, every: int = 1) -> DatasetSplit:
    """The people of a split; of each second, third ... only (`every`), in the order of their names, to be quick.

    Raises SourceError if the split's archive is not there or not laid out as it ought to be.
    """
    archive = data / split / ARCHIVE
    find, parts = finder(detector), roles(archive, every)
    taken = {role: [(each.person, each.image) for each in portraits] for role, portraits in parts.items()}
    found = {role: [each for each in map(find, images) if each] for role, images in taken.items()}
    known = {photograph.person for photograph in found["gallery"]}
    probes = [photograph for photograph in found["probe"] if photograph.person in known]
    if not probes or not found["strangers"]:
        raise SourceError(f"no faces were found in {archive}")
    faceless = sum(map(len, taken.values())) - sum(map(len, found.values()))
    return DatasetSplit(found["gallery"], probes, found["strangers"], faceless)


Role = Literal["gallery", "probe", "strangers"]
_LAYOUTS = (
    "people/<Name>/gallery|probe/*.jpg and strangers/<Name>_<number>.jpg, or as <Name>/*.jpg, with"
    f" {ENROLLED} or more photographs of some and fewer of others"
)


class Portrait(NamedTuple):
    """A photograph as it lies in an archive: of whom, its file's name, and the picture."""

    person: str
    file: str
    image: Image


Roles = dict[Role, list[Portrait]]


def roles(archive: Path, every: int = 1) -> Roles:
    """The photographs of an archive, or a folder, by what they are for; of each second, third ... person only
    (`every`), in the order of their names.

    Raises SourceError if it cannot be read or is laid out neither as people/<Name>/gallery|probe/*.jpg and
    strangers/<Name>_<number>.jpg, nor as <Name>/*.jpg with enough photographs of some and few of others.
    """
    images = archives.read(archive)
    parts = _as_laid_out(images) if any(name.startswith("people/") for name in images) else _divided(images)
    if not all(parts.values()):
        raise SourceError(f"{archive} is not laid out as {_LAYOUTS}")
    return {role: _thinned(portraits, every) for role, portraits in parts.items()}


def _as_laid_out(images: Mapping[str, Image]) -> Roles:
    parts: Roles = {"gallery": [], "probe": [], "strangers": []}
    for name, image in images.items():
        path = PurePosixPath(name)
        match path.parts:
            case ("people", person, "gallery" | "probe" as role, _):
                parts[role].append(Portrait(person, path.name, image))
            case ("strangers", _):
                parts["strangers"].append(Portrait(path.stem.rpartition("_")[0], path.name, image))
    return parts


def _divided(images: Mapping[str, Image]) -> Roles:
    parts: Roles = {"gallery": [], "probe": [], "strangers": []}
    people: dict[str, list[Portrait]] = defaultdict(list)
    for name, image in images.items():
        path = PurePosixPath(name)
        people[path.parent.name].append(Portrait(path.parent.name, path.name, image))
    for taken in people.values():
        if len(taken) < ENROLLED:
            parts["strangers"] += taken
        else:
            half = (len(taken) + 1) // 2
            parts["gallery"] += taken[:half]
            parts["probe"] += taken[half:]
    return parts


def _thinned(portraits: Sequence[Portrait], every: int) -> list[Portrait]:
    people = set(sorted({portrait.person for portrait in portraits})[::every])
    return [portrait for portrait in portraits if portrait.person in people]


def finder(detector: Detector) -> Callable[[tuple[str, Image]], Photograph | None]:
    """Makes a photograph of a person's name and picture; None where no face is found."""

    def find(photograph: tuple[str, Image]) -> Photograph | None:
        person, image = photograph
        continued = np.pad(image, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "reflect")
        landmarks = middle_face(detector, continued)
        return None if landmarks is None else Photograph(person, continued, landmarks)

    return find


def middle_face(detector: Detector, continued: Image) -> Array | None:
    """The five points (5 x 2) of the face nearest to a photograph's centre, whose portrait it is; looked for on the
    photograph as it was before it was continued."""
    nearest = portrayed(detector, continued[MARGIN:-MARGIN, MARGIN:-MARGIN])
    return None if nearest is None else nearest.landmarks + np.float32(MARGIN)


def portrayed(detector: Detector, image: Image) -> FaceDetection | None:
    """The face nearest to a photograph's centre, whose portrait it is; None if none is found."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    faces = detector.detect(image)
    return min(faces, key=lambda face: float(np.hypot(*(np.array(face.box.center) - middle))), default=None)

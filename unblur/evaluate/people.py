"""Whose photographs identification is judged on: people enrolled, their probes, and strangers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream.data import Array, Image
from stream.errors import SourceError
from stream.stages import Detector
from unblur.evaluate import photos

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
class Cast:
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


def cast(data: Path, split: Split, detector: Detector, every: int = 1) -> Cast:
    """The people of a split; of each second, third ... only (`every`), in the order of their names, to be quick.

    Raises SourceError if the split's archive is not there or not laid out as it ought to be.
    """
    archive = data / split / ARCHIVE
    parts = _roles(photos.read(archive), split)
    if not all(parts.values()):
        raise SourceError(f"{archive} is not laid out as {_LAYOUTS[split]}")
    taken = {role: _thinned(images, every) for role, images in parts.items()}
    found = {role: [each for each in map(finder(detector), images) if each] for role, images in taken.items()}
    known = {photograph.person for photograph in found["gallery"]}
    probes = [photograph for photograph in found["probe"] if photograph.person in known]
    if not probes or not found["strangers"]:
        raise SourceError(f"no faces were found in {archive}")
    faceless = sum(map(len, taken.values())) - sum(map(len, found.values()))
    return Cast(found["gallery"], probes, found["strangers"], faceless)


_LAYOUTS: Mapping[Split, str] = {
    "test": "people/<Name>/gallery|probe/*.jpg and strangers/<Name>_<number>.jpg",
    "val": f"<Name>/*.jpg, with {ENROLLED} or more photographs of some and fewer of others",
}
_Image = tuple[str, Image]


def _roles(images: Mapping[str, Image], split: Split) -> dict[str, list[_Image]]:
    """Gallery, probes and strangers, each photograph with its person's name."""
    roles: dict[str, list[_Image]] = {"gallery": [], "probe": [], "strangers": []}
    if split == "val":
        return _divided(images, roles)
    for name, image in images.items():
        match PurePosixPath(name).parts:
            case ("people", person, "gallery" | "probe" as role, _):
                roles[role].append((person, image))
            case ("strangers", _):
                roles["strangers"].append((PurePosixPath(name).stem.rpartition("_")[0], image))
    return roles


def _divided(images: Mapping[str, Image], roles: dict[str, list[_Image]]) -> dict[str, list[_Image]]:
    people: dict[str, list[_Image]] = defaultdict(list)
    for name, image in images.items():
        person = PurePosixPath(name).parent.name
        people[person].append((person, image))
    for taken in people.values():
        if len(taken) < ENROLLED:
            roles["strangers"] += taken
        else:
            half = (len(taken) + 1) // 2
            roles["gallery"] += taken[:half]
            roles["probe"] += taken[half:]
    return roles


def _thinned(images: Sequence[_Image], every: int) -> list[_Image]:
    people = set(sorted({person for person, _ in images})[::every])
    return [(person, image) for person, image in images if person in people]


def finder(detector: Detector) -> Callable[[tuple[str, Image]], Photograph | None]:
    """Makes a photograph of a person's name and picture; None where no face is found."""

    def find(photograph: _Image) -> Photograph | None:
        person, image = photograph
        continued = np.pad(image, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "reflect")
        landmarks = middle_face(detector, continued)
        return None if landmarks is None else Photograph(person, continued, landmarks)

    return find


def middle_face(detector: Detector, continued: Image) -> Array | None:
    """The five points (5 x 2) of the face nearest to a photograph's centre, whose portrait it is; looked for on the
    photograph as it was before it was continued."""
    image = continued[MARGIN:-MARGIN, MARGIN:-MARGIN]
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    faces = detector.detect(image)
    nearest = min(faces, key=lambda face: float(np.hypot(*(np.array(face.box.centre) - middle))), default=None)
    return None if nearest is None else nearest.landmarks + np.float32(MARGIN)

"""The demo's cast: who walks past the simulated camera, and who of them is enrolled.

Nobody is shown with the picture they are enrolled by. Joe Biden, of whom there is one picture, is enrolled and never
comes by, so that there is somebody to mistake the others for; Eileen Collins comes by and is not enrolled.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stream.errors import SourceError
from stream.interfaces import Detector
from stream.simulation.cutout import cut
from stream.simulation.scene import Passage, Scene, hall

WIDTH, HEIGHT, FRAMES = 1280, 720, 445
CREDIT = "The portraits are in the public domain: Barack Obama and Joe Biden, White House; Eileen Collins, NASA."


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody enrolled: the picture and the description."""

    picture: str
    about: str


@dataclass(frozen=True, slots=True)
class Role:
    """A passage to be: the face's width and height above ground in pixels, the velocity, and the frame of entering."""

    person: str
    picture: str
    face_width: float
    y: float
    velocity: tuple[float, float]
    enters: int


ENROLLED = {
    "Barack_Obama": Member("obama.jpg", "44th President of the United States"),
    "Joe_Biden": Member("biden.jpg", "46th President of the United States"),
}
ROLES = (
    Role("Barack_Obama", "obama3.jpg", 84, 330, (6, 0), 0),
    Role("Eileen_Collins", "astronaut.png", 80, 400, (-28, 2), 40),
    Role("Barack_Obama", "obama3.jpg", 80, 340, (30, -2), 290),
    Role("Eileen_Collins", "astronaut.png", 88, 400, (-6, 0), 150),
    Role("Barack_Obama", "obama2.jpg", 86, 470, (-14, 0), 335),
)
"""The farthest first."""


def demo_scene(portraits: Path, detector: Detector) -> Scene:
    """The demo's scene: 15 s of 720p30. `portraits` is a folder that holds the pictures."""
    passages = tuple(_passage(role, portraits, detector) for role in ROLES)
    return Scene(hall(WIDTH, HEIGHT), passages, FRAMES)


def enrol_folder(portraits: Path, folder: Path) -> Path:
    """Lay the enrolled members out as `unblur enroll` takes them: FOLDER/<Name>/<picture> and about.txt."""
    for name, member in ENROLLED.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(portraits / member.picture, folder / name / member.picture)
        (folder / name / "about.txt").write_text(member.about + "\n", encoding="utf-8")
    return folder


def _passage(role: Role, portraits: Path, detector: Detector) -> Passage:
    path = portraits / role.picture
    photo = cv2.imread(str(path)) if path.is_file() else None
    if photo is None:
        raise SourceError(f"there is no picture {path}")
    image = np.asarray(photo, np.uint8)
    faces = detector.detect(image)
    if not faces:
        raise SourceError(f"no face is found in {path}")
    cutout = cut(image, max(faces, key=lambda face: face.box.area).box, role.face_width)
    passage = Passage(role.person, role.person in ENROLLED, role.picture, cutout, (WIDTH / 2, role.y), role.velocity)
    return passage.entering(role.enters, WIDTH, HEIGHT)

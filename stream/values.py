"""The values that flow from source to sink.

All are frozen and slotted, and checked on creation. Arrays are shared, never copied; no stage writes into an array of
an earlier stage. Images are H x W x 3, BGR, uint8. Positions are pixels of the frame, x right, y down, the center of
the top left pixel at (0, 0). Times in seconds are media time (from pts) unless called wall time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H x W x 3, BGR, 0-255."""
Array = NDArray[np.float32]

Method = Literal["cnn", "richardson-lucy", "none"]
"""The method that restored a crop; "none": unchanged, bit for bit."""


def _require(truth: bool, message: str) -> None:
    if not truth:
        raise ValueError(message)


def _require_image(image: Image) -> None:
    _require(
        image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size > 0,
        f"an image is H x W x 3 uint8, not {image.shape} {image.dtype}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of one camera, with its times.

    `pts` counts `time_base` seconds of media time. `wall_time` (timezone-aware) is when the image was taken, if
    known: live cameras, or recordings with a start time. `arrived_s` is when a live image arrived, in seconds of
    `time.monotonic`; None for recordings.
    """

    camera: str
    index: int
    pts: int
    time_base: Fraction
    wall_time: datetime | None
    image: Image
    arrived_s: float | None = None

    def __post_init__(self) -> None:
        _require_image(self.image)
        _require(self.index >= 0, "a frame's index counts from 0")
        _require(self.time_base > 0, "a time base is positive")
        _require(self.wall_time is None or self.wall_time.tzinfo is not None, "wall time needs a time zone")

    @property
    def pts_s(self) -> float:
        """Media time in seconds."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        _require(self.width > 0 and self.height > 0, "a box has a positive width and height")

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        return self.width * self.height

    def shifted(self, dx: float, dy: float) -> Box:
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def rounded(self) -> tuple[int, int, int, int]:
        return round(self.x), round(self.y), round(self.width), round(self.height)


@dataclass(frozen=True, slots=True, eq=False)
class FaceDetection:
    """A detected face: a box, five landmarks (5 x 2: the eye on the image's left, the other eye, the nose tip, the
    mouth corner on the image's left, the other corner) and the detector's confidence in 0..1."""

    box: Box
    landmarks: Array
    confidence: float

    def __post_init__(self) -> None:
        _require(self.landmarks.shape == (5, 2), f"a face has 5 x 2 landmarks, not {self.landmarks.shape}")
        _require(0 <= self.confidence <= 1, "a confidence lies in 0..1")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face tracked through the frames of one camera, in its state at one frame.

    `velocity` is in pixels of the frame per frame. `detected`: the face was detected in this frame;
    otherwise box and landmarks are predicted. `hits` counts the detections so far.
    """

    camera: str
    id: int
    box: Box
    landmarks: Array
    velocity: tuple[float, float]
    confidence: float
    detected: bool
    hits: int
    first_frame: int
    first_pts_s: float

    def __post_init__(self) -> None:
        _require(self.landmarks.shape == (5, 2), f"a track has 5 x 2 landmarks, not {self.landmarks.shape}")
        _require(self.hits >= 1, "a track begins with a detection")

    @property
    def speed(self) -> float:
        """Pixels of the frame per frame."""
        return float(np.hypot(*self.velocity))


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Quality of a crop as evidence; each part in 0..1, 1 is best."""

    sharpness: float
    size: float
    pose: float

    def __post_init__(self) -> None:
        _require(all(0 <= part <= 1 for part in (self.sharpness, self.size, self.pose)), "a quality lies in 0..1")

    @property
    def overall(self) -> float:
        return self.sharpness * self.size * self.pose


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrop:
    """A face cut out of a frame and aligned: its five landmarks lie on the aligner's template.

    `image` is square; the embedder uses the 112 x 112 pixels at its center. `matrix` (2 x 3) maps frame pixels to crop
    pixels. `velocity` is the tracked motion in crop pixels per frame: the direction and, times the camera's shutter
    fraction, the length of its motion blur; None if unknown. `neighbors` are previous crops of the track, the latest
    first; `co_visible_tracks` are the other tracks of the frame.
    """

    camera: str
    track: int
    frame: int
    pts_s: float
    image: Image
    matrix: Array
    velocity: tuple[float, float] | None
    quality: FaceQuality
    neighbors: tuple[FaceCrop, ...] = ()
    co_visible_tracks: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        _require_image(self.image)
        _require(self.image.shape[0] == self.image.shape[1], "a crop is square")
        _require(self.matrix.shape == (2, 3), "a crop's matrix is 2 x 3")
        sizes = {other.image.shape for other in self.neighbors}
        _require(sizes <= {self.image.shape}, "crops of a track have one size")

    @property
    def speed(self) -> float:
        """Crop pixels per frame; 0 where the motion is unknown."""
        return float(np.hypot(*self.velocity)) if self.velocity else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Restoration:
    """A crop after deblurring: restored, or left alone (`method` "none", and `image` is the crop's own array).

    `blur` is the estimated blur extent in crop pixels.
    """

    crop: FaceCrop
    image: Image
    method: Method
    blur: float

    def __post_init__(self) -> None:
        _require(self.image.shape == self.crop.image.shape, "a restoration keeps the crop's size")
        _require(self.blur >= 0, "a blur's extent is not negative")
        _require(self.method != "none" or self.image is self.crop.image, "a crop left alone is left alone")

"""Face alignment: cuts faces out as aligned crops, measures their quality, and pastes restored ones back.

A face's five landmarks are mapped to a fixed template by the least-squares similarity (rotation, scale, shift):
Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI 1991). The template is
the 112 x 112 one of ArcFace (Deng et al., CVPR 2019), which SFace was trained with too.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.values import Array, FaceCrop, FaceQuality, Frame, Image, Track

VIEW = 112
"""Side in pixels of the embedding network's view: the center of every crop."""
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Positions of the five landmarks in the view."""
EYES = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))
"""Distance of the template's eyes in pixels."""
LEAST_INSIDE = 0.75
"""Share of the view that must be inside the image: with less, eyes or mouth are missing."""
CRISP = 0.5
"""Root mean square spatial frequency, in radians per crop pixel, from which a crop counts as sharp."""
PROFILE = 0.35
"""Alignment error of the landmarks, in eye distances, at which the pose is 0: about 75 degrees of yaw."""
SIDE = 128
"""Side of a crop in pixels: the view and a margin for light that blur moves across its edges."""


class FivePointAligner:
    """Cuts tracks out of frames as square crops of `side` pixels; satisfies `stream.interfaces.Aligner`."""

    def __init__(self, side: int = SIDE) -> None:
        if side < VIEW:
            raise ValueError(f"a crop must hold the embedding network's {VIEW} px: {side} px is too small")
        self.side = side

    def crop(self, frame: Frame, track: Track) -> FaceCrop | None:
        """Align the track's face in this frame; None if too little of it is inside the image."""
        matrix = similarity(track.landmarks, self.side)
        if share_inside(frame.image, matrix, self.side) < LEAST_INSIDE:
            return None
        image = _warp(frame.image, matrix, (self.side, self.side))
        return FaceCrop(
            camera=frame.camera,
            track=track.id,
            frame=frame.index,
            pts_s=frame.pts_s,
            image=image,
            matrix=matrix,
            velocity=_crop_velocity(track, matrix),
            quality=quality(image, track.landmarks, matrix),
        )


def align(image: Image, landmarks: Array, side: int = SIDE) -> tuple[Image, Array]:
    """Return the face with these 5 x 2 landmarks as a `side` x `side` crop, and the 2 x 3 matrix from image to crop
    pixels.

    Outside the image the crop is black. Large faces are area-averaged, so that they do not alias.
    """
    matrix = similarity(landmarks, side)
    return _warp(image, matrix, (side, side)), matrix


def similarity(landmarks: Array, side: int = SIDE) -> Array:
    """Return the 2 x 3 matrix that maps 5 x 2 landmarks to the template in the center of a `side` x `side` crop.

    With points as complex numbers, Umeyama's solution is one quotient. Raises ValueError if all points coincide.
    """
    source = landmarks.astype(np.float64) @ [1, 1j]
    target = (TEMPLATE.astype(np.float64) + (side - VIEW) / 2) @ [1, 1j]
    centered = source - source.mean()
    spread = np.vdot(centered, centered).real
    if not spread > 0:
        raise ValueError("a face's five points coincide: there is nothing to align")
    rotation = np.vdot(centered, target) / spread
    shift = target.mean() - rotation * source.mean()
    return np.array(
        [[rotation.real, -rotation.imag, shift.real], [rotation.imag, rotation.real, shift.imag]], np.float32
    )


def share_inside(image: Image, matrix: Array, side: int = SIDE) -> float:
    """Return the share (0..1) of the crop's central view that the image covers."""
    margin = (side - VIEW) / 2
    view = np.array([[0, 0], [VIEW, 0], [VIEW, VIEW], [0, VIEW]], np.float32) + margin
    height, width = image.shape[:2]
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) @ matrix[:, :2].T + matrix[:, 2]
    common, _ = cv2.intersectConvexConvex(view, frame.astype(np.float32))
    return common / VIEW**2


def quality(image: Image, landmarks: Array, matrix: Array) -> FaceQuality:
    """Measure the quality of a crop, each part in 0..1; to rank crops, not to measure blur.

    sharpness: the root mean square spatial frequency of the inner face (gradient energy over variance, so that contrast
    does not matter), 1 from `CRISP` on. size: eye distance in the image over the template's, 1 if the crop is not
    enlarged. pose: alignment error of the landmarks, 1 on the template, 0 from `PROFILE` on: a similarity cannot undo
    yaw or pitch of the head.
    """
    side = image.shape[0]
    inner = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[side // 4 : -side // 4, side // 4 : -side // 4].astype(np.float32)
    energy = np.square(np.diff(inner, axis=0)).mean() + np.square(np.diff(inner, axis=1)).mean()
    frequency = np.sqrt(energy / max(float(inner.var()), 1.0))
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    aligned = landmarks @ matrix[:, :2].T + matrix[:, 2] - (side - VIEW) / 2
    misfit = np.sqrt(np.square(aligned - TEMPLATE).sum(1).mean()) / EYES
    return FaceQuality(
        sharpness=float(min(1.0, frequency / CRISP)),
        size=float(min(1.0, 1 / scale)),
        pose=float(max(0.0, 1 - misfit / PROFILE)),
    )


def paste(image: Image, restored: Image, matrix: Array) -> Image:
    """Return a copy of the image with a restored crop pasted back; `matrix` leads from image to crop pixels.

    Only the change by the restoration is added, so that a face larger than its crop keeps its detail, and an unchanged
    crop leaves the image the same, bit for bit. The change fades out towards the crop's edges.
    """
    side = restored.shape[0]
    change = restored.astype(np.float32) - _warp(image, matrix, (side, side))
    back = cv2.invertAffineTransform(matrix)
    left, top, right, bottom = _source_region(image, back, (side, side))
    back[:, 2] -= left, top
    pasted = image.copy()
    region = pasted[top:bottom, left:right]
    region[:] = np.rint(region + _warp(change * _fade(side), back, (right - left, bottom - top))).clip(0, 255)
    return pasted


def _crop_velocity(track: Track, matrix: Array) -> tuple[float, float] | None:
    """Return the track's velocity in crop pixels per frame; None after a single detection."""
    if track.hits < 2:
        return None
    x, y = matrix[:, :2] @ np.array(track.velocity)
    return float(x), float(y)


def _warp(source: NDArray[Any], matrix: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Warp `source` by `matrix` (2 x 3, source to result pixels) to an image of `size` (width, height), black outside.

    Linear interpolation uses four pixels and aliases if it shrinks by two or more: that part is averaged first.
    """
    shrink = int(1 / np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink > 1:
        source, matrix = _shrink_part(source, matrix, size, shrink)
    return cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR)


def _shrink_part(
    source: NDArray[Any], matrix: NDArray[Any], size: tuple[int, int], shrink: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Shrink the part of `source` that the result shows by a whole number; also return the matrix from there."""
    left, top, right, bottom = _source_region(source, cv2.invertAffineTransform(matrix), size, margin=2 * shrink)
    columns, rows = max(1, (right - left) // shrink), max(1, (bottom - top) // shrink)
    part = source[top : top + rows * shrink, left : left + columns * shrink]
    first_center = np.array([left, top]) + (shrink - 1) / 2
    rotation = matrix[:, :2]
    return (
        cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA),
        np.column_stack([rotation * shrink, matrix[:, 2] + rotation @ first_center]),
    )


def _source_region(
    source: NDArray[Any], back: NDArray[Any], size: tuple[int, int], margin: int = 1
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of `source`, at least a pixel, that a result of `size` shows.

    `back` leads from the result's pixels to the source's.
    """
    width, height = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ back[:, :2].T + back[:, 2]
    limits = np.array([source.shape[1], source.shape[0]])
    first = np.clip(np.floor(corners.min(0)) - margin, 0, limits - 1).astype(int)
    last = np.clip(np.ceil(corners.max(0)) + margin, first + 1, limits).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _fade(side: int) -> Array:
    """Return side x side x 1 weights: 1 inside, falling to 0 at the edges over an eighth of the side on a raised
    cosine."""
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) / (side / 8)
    ramp = (1 - np.cos(np.pi * edge.clip(0, 1))) / 2
    return np.outer(ramp, ramp)[..., None].astype(np.float32)

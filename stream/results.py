"""What an eye hands on: a frame with its tracks, and looks at those worth identifying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stream.values import Box, FaceCrop, Frame, Identity, Track


@dataclass(frozen=True, slots=True)
class FrameTime:
    """When something was seen; `arrived_s` is a live frame's (see there)."""

    frame: int
    pts_s: float
    wall_time: datetime | None
    arrived_s: float | None = None

    @classmethod
    def of(cls, frame: Frame) -> FrameTime:
        return cls(frame.index, frame.pts_s, frame.wall_time, frame.arrived_s)


@dataclass(frozen=True, slots=True, eq=False)
class FaceSample:
    """A track's face cut out of one frame, on its way to the identify worker.

    `frame_sha256` is that of the frame's pixels (its rows of BGR bytes, top to bottom) where evidence is kept.
    """

    track: Track
    crop: FaceCrop
    moment: FrameTime
    frame_sha256: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What one frame showed: its tracks, the looks worth identifying, and the tracks that ended; and, where somebody is
    to be hidden, the other places where a face may be."""

    frame: Frame
    tracks: Sequence[Track]
    looks: Sequence[FaceSample]
    ended: Sequence[Track]
    others: Sequence[Box] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFrame:
    """A frame with what is known about it, ready to be drawn. `restoring` are live tracks whose crops are with the
    deblurrer now; a recording waits for its restorations, so that a replay is drawn alike. `others` are further places
    where a face may be."""

    frame: Frame
    tracks: Sequence[Track]
    names: Mapping[int, Identity]
    restoring: frozenset[int] = frozenset()
    tentative_boxes: Sequence[Box] = ()

"""What an eye hands on: a frame with its tracks, and looks at those worth identifying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from stream.values import Box, FaceCrop, Frame, Method, Track


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


EventType = Literal["new", "update", "end"]

TrackContinuity = Literal["same", "doubtful", "another"]
"""Whose face a track's crop shows: the same as before; perhaps somebody else's, which counts for nothing until the next
crop agrees; and then somebody else's, whose evidence begins with the doubtful crop."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of the gallery and the cosine similarity (-1..1) to them."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a track is, by the evidence so far. `name` is None for somebody unknown.

    `score` is the cosine similarity that the decision used, of the best candidate even when it falls below
    `threshold`; `raw_score` and `restored_score` are the same candidate's by raw and by restored crops alone.
    `deblurred_by` and `blur` describe the latest crop. `body` says whose that is. `chance` (0..1) is the share of
    strangers who would be as similar to somebody, by crops as blurred as these; None where that was not measured.
    """

    name: str | None
    score: float
    threshold: float
    runner_up: Candidate | None
    raw_score: float
    restored_score: float | None
    deblurred_by: Method
    blur: float
    description: str | None = None
    continuity: TrackContinuity = "same"
    false_positive_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the event log; `to_json` gives the schema that scripts rely on."""

    id: str
    type: EventType
    camera: str
    track: int
    identity: Identity
    pts_s: float
    frame: int
    wall_time: datetime | None
    box: tuple[int, int, int, int]
    first_pts_s: float
    evidence: str | None = None

    def to_json(self) -> dict[str, object]:
        """The event as a JSON-ready dictionary, every key present, in the schema's order."""
        who = self.identity
        runner_up = {"name": who.runner_up.name, "score": _round(who.runner_up.score)} if who.runner_up else None
        return {
            "schema": 1,
            "id": self.id,
            "type": self.type,
            "camera": self.camera,
            "track": self.track,
            "name": who.name,
            "score": _round(who.score),
            "threshold": _round(who.threshold),
            "runner_up": runner_up,
            "raw_score": _round(who.raw_score),
            "restored_score": None if who.restored_score is None else _round(who.restored_score),
            "deblurred_by": who.deblurred_by,
            "blur": round(who.blur, 2),
            "pts_s": round(self.pts_s, 6),
            "frame": self.frame,
            "wall_time": None if self.wall_time is None else iso(self.wall_time),
            "box": list(self.box),
            "first_pts_s": round(self.first_pts_s, 6),
            "evidence": self.evidence,
        }


def _round(score: float) -> float:
    return round(score, 4)


def iso(moment: datetime) -> str:
    """A wall time as events have it: UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

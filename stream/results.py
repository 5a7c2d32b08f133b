"""Results of the stages: a frame with its tracks and samples, identities, and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from stream.values import Box, FaceCrop, Frame, Method, Track


@dataclass(frozen=True, slots=True)
class FrameTime:
    """The time of a frame, as in `stream.values.Frame`: number, media time, wall time, and arrival of a live frame."""

    frame: int
    pts_s: float
    wall_time: datetime | None
    arrived_s: float | None = None

    @classmethod
    def of(cls, frame: Frame) -> FrameTime:
        return cls(frame.index, frame.pts_s, frame.wall_time, frame.arrived_s)


@dataclass(frozen=True, slots=True, eq=False)
class FaceSample:
    """A crop of a track, on its way to identification.

    `frame_sha256` is the hash of the frame's pixels (rows of BGR bytes, top to bottom), if evidence is kept.
    """

    track: Track
    crop: FaceCrop
    moment: FrameTime
    frame_sha256: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """Analysis of one frame: its tracks, the samples to identify, and the tracks that ended; and, if faces are to be
    redacted, further boxes that may hold a face."""

    frame: Frame
    tracks: Sequence[Track]
    samples: Sequence[FaceSample]
    ended: Sequence[Track]
    tentative_boxes: Sequence[Box] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFrame:
    """A frame with its tracks and their identities, ready to be drawn. `restoring` are live tracks whose crops are
    being restored now; a recording waits for its restorations, so that a replay is drawn alike. `tentative_boxes` may
    hold further faces."""

    frame: Frame
    tracks: Sequence[Track]
    names: Mapping[int, Identity]
    restoring: frozenset[int] = frozenset()
    tentative_boxes: Sequence[Box] = ()


EventType = Literal["new", "update", "end"]

TrackContinuity = Literal["same", "doubtful", "another"]
"""Whether a crop shows the same person as the track before. "doubtful": perhaps another; the crop is not used until the
next one decides. "another": another person, whose evidence begins with the doubtful crop."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of the gallery and the cosine similarity (-1..1) to them."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a track, by the evidence so far. `name` is None for an unknown person.

    `score` is the cosine similarity that the decision used, of the best candidate even when it falls below `threshold`;
    `raw_score` and `restored_score` are the same candidate's by raw and by restored crops alone. `deblurred_by` and
    `blur` describe the latest crop, `continuity` its person. `false_positive_rate` (0..1) is the share of non-mated
    faces with such a score, for crops with this blur; None if that was not measured.
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
    """One line of the event log; `to_json` gives its public schema."""

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
        """The event as a dictionary for JSON, with every key, in the schema's order."""
        identity = self.identity
        runner_up = (
            {"name": identity.runner_up.name, "score": _round(identity.runner_up.score)} if identity.runner_up else None
        )
        return {
            "schema": 1,
            "id": self.id,
            "type": self.type,
            "camera": self.camera,
            "track": self.track,
            "name": identity.name,
            "score": _round(identity.score),
            "threshold": _round(identity.threshold),
            "runner_up": runner_up,
            "raw_score": _round(identity.raw_score),
            "restored_score": None if identity.restored_score is None else _round(identity.restored_score),
            "deblurred_by": identity.deblurred_by,
            "blur": round(identity.blur, 2),
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
    """Format a wall time as in events: UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

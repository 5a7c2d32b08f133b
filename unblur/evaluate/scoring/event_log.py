"""Scores an event log against a simulated clip's ground truth: are names and times right?

Protocol: each event is assigned to the appearance whose face its box covers. The last names of an appearance's tracks
decide its verdict: a corrected name counts as right (and as a name change), a name that stays wrong as wrong.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stream.errors import SourceError
from stream.results import EventType
from stream.simulation.ground_truth import VISIBLE, Appearance, GroundTruth, GroundTruthBox
from stream.values import Method

LogVerdict = Literal["right", "wrong", "unknown", "missed"]
"""Right: an enrolled person named, or a non-mated one left unknown. Wrong: another's name. Unknown: an enrolled person
not named. Missed: no event at all."""
REACH = 1.0
"""Largest distance of an event's box from the true one, center to center, in widths of the true face."""
STAYING = 0.5
"""Within this distance (same unit) a track keeps the face that it was assigned to, even if another is as near, as
where two people cross."""
SLACK = 15
"""Frames after a face was last visible in which the tracker may still report its track, from predicted positions."""


class LoggedEvent(BaseModel):
    """The fields of an event log line that the scores need."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    type: EventType
    camera: str
    track: int
    name: str | None
    score: float
    threshold: float
    raw_score: float
    restored_score: float | None
    deblurred_by: Method
    pts_s: float
    frame: int
    box: tuple[int, int, int, int]
    first_pts_s: float


def read_events(path: Path) -> list[LoggedEvent]:
    """Read an event log (JSON lines), in order. Raises SourceError, with the line number, for an invalid line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceError(f"cannot read the events {path}: {error.strerror}") from error
    return [_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _parse(line: str, location: str) -> LoggedEvent:
    try:
        return LoggedEvent.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise SourceError(f"{location}: not an event: {'.'.join(map(str, first['loc']))} {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class AppearanceResult:
    """The result of one appearance. Times in seconds; None if there is no such event.

    `name`: the last name, a wrong one before a right one. `name_changes`: how often a name was withdrawn or replaced,
    in all its tracks (from unknown to a name is no change). `seconds_to_name`: from the first visible frame to the
    right name. `start_error`, `end_error`: the log's first and last time minus the true ones.
    """

    appearance: Appearance
    events: tuple[LoggedEvent, ...]
    verdict: LogVerdict
    name: str | None
    tracks: int
    name_changes: int
    seconds_to_name: float | None
    start_error: float | None
    end_error: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """The result of every appearance, in the order of the ground truth, and the events on no face (`stray`)."""

    outcomes: tuple[AppearanceResult, ...]
    stray: tuple[LoggedEvent, ...]

    def count(self, verdict: LogVerdict, *, known: bool) -> int:
        return sum(one.verdict == verdict and one.appearance.known == known for one in self.outcomes)


def score(events: Iterable[LoggedEvent], truth: GroundTruth) -> Score:
    """Score the log of one clip, in the order of writing, against the clip's ground truth."""
    assigned: dict[int | None, list[LoggedEvent]] = defaultdict(list)
    last: dict[tuple[str, int], int] = {}
    for event in events:
        track = event.camera, event.track
        # An event on no face belongs to its track's last appearance: the person has just left or is occluded.
        index = _find_appearance(event, truth.appearances, last.get(track))
        if index is not None:
            last[track] = index
        assigned[index].append(event)
    outcomes = (_judge(one, assigned[index], truth.fps) for index, one in enumerate(truth.appearances))
    return Score(tuple(outcomes), tuple(assigned[None]))


def _find_appearance(event: LoggedEvent, appearances: Sequence[Appearance], before: int | None) -> int | None:
    """Find the appearance whose face an event's box covers: its track's previous one (`before`), if near enough.

    Of two faces that overlap, a detector finds the front one: the distance is divided by the visible share of the face.
    """
    distances = {index: _distance(event, one) for index, one in enumerate(appearances)}
    near = [index for index, distance in distances.items() if distance <= REACH]
    if before is not None and distances[before] <= STAYING:
        return before
    return min(near, key=lambda one: distances[one] / _visible_share(event, appearances[one]), default=before)


def _visible_share(event: LoggedEvent, appearance: Appearance) -> float:
    """Return the visible share of the face in an event's frame, or half of VISIBLE for smaller shares, which are not
    recorded."""
    box = _nearest_box(event, appearance)
    return box.visible if box.frame == event.frame else VISIBLE / 2


def _nearest_box(event: LoggedEvent, appearance: Appearance) -> GroundTruthBox:
    """Return the true box nearest in time to an event."""
    return min(appearance.sightings, key=lambda one: abs(one.frame - event.frame))


def _distance(event: LoggedEvent, appearance: Appearance) -> float:
    """Measure from an event's box to the true face in its frame, center to center, in widths of the face."""
    box = _nearest_box(event, appearance)
    ahead = event.frame - box.frame
    if abs(ahead) > SLACK:
        return math.inf
    (x, y, width, height), (vx, vy) = box.box, appearance.velocity
    left, top, wide, tall = event.box
    across = left + wide / 2 - (x + width / 2 + vx * ahead)
    down = top + tall / 2 - (y + height / 2 + vy * ahead)
    return math.hypot(across, down) / width


def _judge(appearance: Appearance, events: Sequence[LoggedEvent], fps: int) -> AppearanceResult:
    tracks: dict[tuple[str, int], list[LoggedEvent]] = defaultdict(list)
    for event in events:
        tracks[event.camera, event.track].append(event)
    names = [track[-1].name for track in tracks.values()]
    wrong = [name for name in names if name is not None and not _is_right(name, appearance)]
    started, ended = appearance.first_frame / fps, appearance.last_frame / fps
    named = [event.pts_s for event in events if event.name is not None and _is_right(event.name, appearance)]
    return AppearanceResult(
        appearance,
        tuple(events),
        _verdict(appearance, names, wrong),
        next((name for name in [*wrong, *names] if name is not None), None),
        len(tracks),
        sum(_count_name_changes(track) for track in tracks.values()),
        min(named) - started if named else None,
        min(event.first_pts_s for event in events) - started if events else None,
        max(event.pts_s for event in events) - ended if events else None,
    )


def _is_right(name: str, appearance: Appearance) -> bool:
    return appearance.known and name == appearance.person


def _verdict(appearance: Appearance, names: Sequence[str | None], wrong: Sequence[str]) -> LogVerdict:
    if not names:
        return "missed"
    if wrong:
        return "wrong"
    return "right" if not appearance.known or any(names) else "unknown"


def _count_name_changes(track: Sequence[LoggedEvent]) -> int:
    return sum(before.name is not None and before.name != after.name for before, after in pairwise(track))

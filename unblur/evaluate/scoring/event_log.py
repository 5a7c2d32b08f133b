"""Are the right people in the log, at the right time? An event log scored against a simulated clip's truth.

The protocol: each event goes to the appearance whose face it lies on, and each appearance is judged by what its
tracks were last called. Thus a name that was corrected counts as right (and as a name change), one that stayed wrong
as wrong.
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

Verdict = Literal["right", "wrong", "unknown", "missed"]
"""Right: a known person named, or a stranger left unknown. Wrong: another's name. Unknown: a known person not named.
Missed: no event at all."""
REACH = 1.0
"""How far an event's box may lie from the true one, centre to centre, in widths of the true face."""
STAYING = 0.5
"""How far a track may lie from the face that it was on, likewise, and still be on it though another is as near: both
are where two people cross."""
SLACK = 15
"""Frames after a face was last visible in which its track may still be reported, carried forward by the tracker."""


class LoggedEvent(BaseModel):
    """What is needed of a line of the event log."""

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
    """An event log in JSON lines, in order. Raises SourceError, with the line, if it is not one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceError(f"cannot read the events {path}: {error.strerror}") from error
    return [_parsed(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def _parsed(line: str, where: str) -> LoggedEvent:
    try:
        return LoggedEvent.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise SourceError(f"{where}: not an event: {'.'.join(map(str, first['loc']))} {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the log says of one appearance. Times in seconds; None where nothing was found.

    `name` is what the appearance was last called, a wrong name before a right one; `name_changes` counts, over its
    tracks, how often one name was taken back or replaced (from unknown to a name is none). `seconds_to_name` runs
    from the face's first visible frame to the right name; the errors are the log's first and last moments less the
    true ones.
    """

    appearance: Appearance
    events: tuple[LoggedEvent, ...]
    verdict: Verdict
    name: str | None
    tracks: int
    name_changes: int
    seconds_to_name: float | None
    start_error: float | None
    end_error: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """Every appearance's outcome, in the truth's order, and the events that lie on nobody's face."""

    outcomes: tuple[Outcome, ...]
    stray: tuple[LoggedEvent, ...]

    def count(self, verdict: Verdict, *, known: bool) -> int:
        return sum(one.verdict == verdict and one.appearance.known == known for one in self.outcomes)


def score(events: Iterable[LoggedEvent], truth: GroundTruth) -> Score:
    """Score the log of one clip, in the order in which it was written, against the clip's truth."""
    assigned: dict[int | None, list[LoggedEvent]] = defaultdict(list)
    last: dict[tuple[str, int], int] = {}
    for event in events:
        track = event.camera, event.track
        # An event on nobody's face belongs where its track was seen before: the person has just left or is hidden.
        place = _nearest(event, truth.appearances, last.get(track))
        if place is not None:
            last[track] = place
        assigned[place].append(event)
    outcomes = (_outcome(one, assigned[place], truth.fps) for place, one in enumerate(truth.appearances))
    return Score(tuple(outcomes), tuple(assigned[None]))


def _nearest(event: LoggedEvent, appearances: Sequence[Appearance], before: int | None) -> int | None:
    """Which appearance's face an event's box lies on: the one on which its track was seen before, if it still may.

    Of two that overlap, a detector sees the one that hides the other: distance counts the more, the less of a face is
    visible.
    """
    distances = {place: _distance(event, one) for place, one in enumerate(appearances)}
    near = [place for place, distance in distances.items() if distance <= REACH]
    if before is not None and distances[before] <= STAYING:
        return before
    return min(near, key=lambda one: distances[one] / _visible(event, appearances[one]), default=before)


def _visible(event: LoggedEvent, appearance: Appearance) -> float:
    """The share of the face that is visible in an event's frame; where it is too small to be known, the mean of what
    it may be."""
    seen = _sighting(event, appearance)
    return seen.visible if seen.frame == event.frame else VISIBLE / 2


def _sighting(event: LoggedEvent, appearance: Appearance) -> GroundTruthBox:
    """The one nearest in time to an event."""
    return min(appearance.sightings, key=lambda one: abs(one.frame - event.frame))


def _distance(event: LoggedEvent, appearance: Appearance) -> float:
    """From an event's box to the true face in its frame, centre to centre, in widths of the face."""
    seen = _sighting(event, appearance)
    ahead = event.frame - seen.frame
    if abs(ahead) > SLACK:
        return math.inf
    (x, y, width, height), (vx, vy) = seen.box, appearance.velocity
    left, top, wide, tall = event.box
    across = left + wide / 2 - (x + width / 2 + vx * ahead)
    down = top + tall / 2 - (y + height / 2 + vy * ahead)
    return math.hypot(across, down) / width


def _outcome(appearance: Appearance, events: Sequence[LoggedEvent], fps: int) -> Outcome:
    tracks: dict[tuple[str, int], list[LoggedEvent]] = defaultdict(list)
    for event in events:
        tracks[event.camera, event.track].append(event)
    names = [track[-1].name for track in tracks.values()]
    wrong = [name for name in names if name is not None and not _right(name, appearance)]
    started, ended = appearance.first_frame / fps, appearance.last_frame / fps
    named = [event.pts_s for event in events if event.name is not None and _right(event.name, appearance)]
    return Outcome(
        appearance,
        tuple(events),
        _verdict(appearance, names, wrong),
        next((name for name in [*wrong, *names] if name is not None), None),
        len(tracks),
        sum(_changes(track) for track in tracks.values()),
        min(named) - started if named else None,
        min(event.first_pts_s for event in events) - started if events else None,
        max(event.pts_s for event in events) - ended if events else None,
    )


def _right(name: str, appearance: Appearance) -> bool:
    return appearance.known and name == appearance.person


def _verdict(appearance: Appearance, names: Sequence[str | None], wrong: Sequence[str]) -> Verdict:
    if not names:
        return "missed"
    if wrong:
        return "wrong"
    return "right" if not appearance.known or any(names) else "unknown"


def _changes(track: Sequence[LoggedEvent]) -> int:
    return sum(before.name is not None and before.name != after.name for before, after in pairwise(track))

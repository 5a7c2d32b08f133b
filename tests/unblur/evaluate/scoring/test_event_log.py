"""Scoring an event log against a simulated clip's truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.results import Event, EventType, Identity
from stream.simulation.ground_truth import Appearance, GroundTruth, GroundTruthBox
from unblur.evaluate.scoring.event_log import AppearanceResult, LoggedEvent, read_events, score

FPS = 30


def appearance(person: str, *, known: bool = True, first: int = 0, last: int = 60, y: float = 100) -> Appearance:
    """A face 50 pixels wide that moves right by 10 pixels a frame."""
    sightings = tuple(
        GroundTruthBox(frame=frame, box=(10.0 * frame, y, 50, 60), visible=1.0) for frame in range(first, last + 1)
    )
    return Appearance(
        person=person,
        known=known,
        picture=f"{person}.jpg",
        velocity=(10, 0),
        speed=10,
        speed_class="medium",
        shutter=0.6,
        first_frame=first,
        last_frame=last,
        sightings=sightings,
    )


def truth(*appearances: Appearance) -> GroundTruth:
    return GroundTruth(width=1280, height=720, fps=FPS, frames=200, seed=0, appearances=appearances)


def event(
    frame: int, name: str | None, *, kind: EventType = "update", track: int = 1, x: int | None = None, y: int = 100
) -> LoggedEvent:
    """An event on the face that is at 10 pixels times the frame, as read from the log."""
    identity = Identity(name, 0.5, 0.363, None, 0.4, 0.5, "richardson-lucy", 12.0)
    box = (10 * frame if x is None else x, y, 50, 60)
    logged = Event(f"{track}-{frame}", kind, "gate", track, identity, frame / FPS, frame, None, box, 2 / FPS)
    return LoggedEvent.model_validate_json(json.dumps(logged.to_json()))


def score_one(events: list[LoggedEvent], *appearances: Appearance) -> AppearanceResult:
    (outcome,) = score(events, truth(*appearances)).outcomes
    return outcome


def test_a_right_name_has_its_times() -> None:
    outcome = score_one([event(3, None, kind="new"), event(12, "Ann"), event(57, "Ann", kind="end")], appearance("Ann"))
    assert (outcome.verdict, outcome.name, outcome.tracks, outcome.name_changes) == ("right", "Ann", 1, 0)
    assert outcome.seconds_to_name == pytest.approx(12 / FPS)
    assert outcome.start_error == pytest.approx(2 / FPS, abs=1e-5)
    assert outcome.end_error == pytest.approx(-3 / FPS)


def test_a_wrong_name_is_wrong() -> None:
    outcome = score_one([event(3, "Bob", kind="new"), event(57, "Bob", kind="end")], appearance("Ann"))
    assert (outcome.verdict, outcome.name, outcome.seconds_to_name) == ("wrong", "Bob", None)


def test_a_corrected_name_is_right_and_one_change() -> None:
    outcome = score_one([event(3, "Bob", kind="new"), event(12, "Ann"), event(20, "Ann")], appearance("Ann"))
    assert (outcome.verdict, outcome.name, outcome.name_changes) == ("right", "Ann", 1)


def test_changes_between_a_name_and_unknown_are_counted() -> None:
    outcome = score_one([event(3, "Ann"), event(9, None), event(12, "Ann"), event(15, None)], appearance("Ann"))
    assert (outcome.verdict, outcome.name_changes) == ("unknown", 2)


def test_one_wrong_track_among_right_ones_is_wrong() -> None:
    outcome = score_one([event(3, "Ann"), event(20, "Bob", track=2), event(40, "Ann", track=3)], appearance("Ann"))
    assert (outcome.verdict, outcome.name, outcome.tracks) == ("wrong", "Bob", 3)


def test_a_non_mated_person_is_right_if_unknown_and_wrong_if_named() -> None:
    non_mated = appearance("Stranger", known=False)
    assert score_one([event(3, None)], non_mated).verdict == "right"
    assert score_one([event(3, "Ann")], non_mated).verdict == "wrong"
    assert score_one([event(3, "Stranger")], non_mated).verdict == "wrong", "no person of that name is enrolled"


def test_an_appearance_without_events_is_missed() -> None:
    outcome = score_one([], appearance("Ann"))
    assert (outcome.verdict, outcome.tracks, outcome.start_error, outcome.end_error) == ("missed", 0, None, None)


def test_an_event_goes_to_the_face_that_its_box_covers() -> None:
    above, below = appearance("Ann", y=100), appearance("Bob", y=300)
    log = [event(3, "Ann", track=1), event(3, "Bob", track=2, y=300), event(30, "Ann", track=1, y=300)]
    first, second = score(log, truth(above, below)).outcomes
    assert (first.verdict, len(first.events)) == ("right", 1)
    assert (second.verdict, second.name) == ("wrong", "Ann"), "a track that slips to another face misnames it"


def test_where_two_faces_overlap_an_event_goes_to_the_front_one() -> None:
    near, far = appearance("Ann", y=110), appearance("Bob", y=94)
    behind = tuple(one for one in far.sightings if one.frame not in {20, 21})
    log = [event(20, "Ann", track=1), event(25, "Ann", track=2), event(40, "Bob", track=3, y=95)]
    covered = [one.model_copy(update={"visible": 0.5}) if one.frame == 25 else one for one in behind]
    first, second = score(log[:2], truth(near, far.model_copy(update={"sightings": tuple(covered)}))).outcomes
    assert (first.verdict, len(first.events), second.verdict) == ("right", 2, "missed")
    assert [one.verdict for one in score(log[2:], truth(near, far)).outcomes] == ["missed", "right"]


def test_a_track_stays_on_its_face_while_another_passes_in_front() -> None:
    ann, bob = appearance("Ann", y=100), appearance("Bob", y=116)
    hidden = ann.model_copy(update={"sightings": ann.sightings[:31], "last_frame": 30})
    log = [event(10, "Ann", y=100), event(32, "Ann", kind="end", y=110)]
    first, second = score(log, truth(hidden, bob)).outcomes
    assert (first.verdict, len(first.events), second.verdict) == ("right", 2, "missed")
    slipped = [log[0], event(32, "Ann", kind="end", y=140)]
    assert [one.verdict for one in score(slipped, truth(hidden, bob)).outcomes] == ["right", "wrong"]


def test_an_end_event_after_the_face_has_left_belongs_to_its_track() -> None:
    outcome = score_one([event(50, "Ann"), event(100, "Ann", kind="end")], appearance("Ann"))
    assert len(outcome.events) == 2
    assert outcome.end_error == pytest.approx(40 / FPS)


def test_a_predicted_box_just_after_the_last_sighting_is_on_the_face() -> None:
    assert score_one([event(65, "Ann")], appearance("Ann")).verdict == "right"


def test_an_event_on_no_face_is_stray() -> None:
    result = score([event(3, None, x=900)], truth(appearance("Ann")))
    assert len(result.stray) == 1
    assert result.outcomes[0].verdict == "missed"


def test_counts_separate_known_and_non_mated_people() -> None:
    log = [event(3, "Ann"), event(3, "Ann", track=2, y=300)]
    result = score(log, truth(appearance("Ann"), appearance("Stranger", known=False, y=300)))
    assert result.count("right", known=True) == 1
    assert result.count("wrong", known=False) == 1
    assert result.count("wrong", known=True) == 0


def test_log_is_read_in_order(tmp_path: Path) -> None:
    log = [event(3, None), event(9, "Zoë 🙂")]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(one.model_dump_json() + "\n" for one in log), encoding="utf-8")
    assert read_events(path) == log


@pytest.mark.parametrize("line", ["", "{}", "null", '{"id": "half'])
def test_a_broken_line_raises_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(event(3, None).model_dump_json() + "\n" + line + "\n")
    with pytest.raises(SourceError, match=r"events\.jsonl, line 2: not an event"):
        read_events(path)


def test_a_missing_log_raises(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read the events"):
        read_events(tmp_path / "absent.jsonl")

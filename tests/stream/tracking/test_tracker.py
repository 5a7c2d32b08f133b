"""The tracker, with simulated faces and a real clip."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.tracking.association import INSTANT_CONFIRMATION, LOST_TRACK_BUFFER_S, MAX_COAST_S
from stream.tracking.tracker import Tracker
from stream.values import Box, FaceDetection, Frame, Image, Track

RATE = 25
BLACK = np.zeros((720, 1280, 3), np.uint8)


def face(x: float, y: float = 300.0, width: float = 60.0, confidence: float = 0.9) -> FaceDetection:
    """A face with its middle at (x, y)."""
    points = np.array([[-0.2, -0.2], [0.2, -0.2], [0, 0], [-0.15, 0.2], [0.15, 0.2]]) * width + [x, y]
    return FaceDetection(
        Box(x - width / 2, y - 0.65 * width, width, 1.3 * width), points.astype(np.float32), confidence
    )


def frame(index: int, image: Image = BLACK, camera: str = "lobby") -> Frame:
    return Frame(camera, index, index, Fraction(1, RATE), None, image)


def follow(
    tracker: Tracker, faces_by_frame: Sequence[Sequence[FaceDetection] | None], first: int = 0
) -> list[list[Track]]:
    return [tracker.update(frame(index), faces).tracks for index, faces in enumerate(faces_by_frame, first)]


def middle(track: Track) -> float:
    return track.box.center[0]


@pytest.mark.parametrize("speed", [0, 2, 10, 22, 30, 45])
@pytest.mark.parametrize("width", [55, 90])
def test_one_face_is_one_track_at_any_speed(speed: float, width: float) -> None:
    faces_by_frame = [[face(100 + speed * step, 300, width)] for step in range(25)]
    tracks = follow(Tracker(), faces_by_frame)
    assert [[track.id for track in present] for present in tracks] == [[1]] * 25
    assert tracks[-1][0].hits == 25


@pytest.mark.parametrize("velocity", [(30.0, 0.0), (-20.0, 9.0), (3.0, -4.0), (0.0, 0.0)])
def test_velocity_is_in_pixels_per_frame(velocity: tuple[float, float]) -> None:
    """From jittering detections (0.02 widths, as YuNet's), within a pixel and a half on most frames."""
    rng = np.random.default_rng(1)
    places = [np.array([640, 360]) + np.array(velocity) * (step - 10) + rng.normal(0, 1.2, 2) for step in range(20)]
    tracks = follow(Tracker(), [[face(*place)] for place in places])
    errors = [np.hypot(*(np.array(track.velocity) - velocity)) for (track,) in tracks[3:]]
    assert np.median(errors) < 1.0
    assert tracks[0][0].velocity == (0, 0)


def test_velocity_follows_a_face_that_stops() -> None:
    places = [100 + 20 * min(step, 15) for step in range(22)]
    tracks = follow(Tracker(), [[face(place)] for place in places])
    assert tracks[14][0].velocity[0] == pytest.approx(20, abs=1)
    assert abs(tracks[18][0].velocity[0]) < 3


def test_velocity_counts_in_the_cameras_frames_where_some_were_dropped() -> None:
    kept = [step for step in range(40) if step % 7 not in (3, 4)]
    tracker = Tracker()
    for step in kept:
        (track,) = tracker.update(frame(step), [face(100 + 10 * step)]).tracks
    assert track.velocity[0] == pytest.approx(10, abs=0.3)


@pytest.mark.parametrize("interval", [2, 3])
@pytest.mark.parametrize("speed", [0, 8, 22])
def test_motion_carries_a_face_through_frames_without_detection(speed: float, interval: int) -> None:
    faces_by_frame = [[face(100 + speed * step)] if step % interval == 0 else None for step in range(31)]
    tracks = follow(Tracker(), faces_by_frame)
    assert {track.id for present in tracks for track in present} == {1}
    assert [len(present) for present in tracks] == [1] * 31
    for step in range(12, 31):
        assert tracks[step][0].detected == (step % interval == 0)
        assert middle(tracks[step][0]) == pytest.approx(100 + speed * step, abs=3)
        assert tracks[step][0].landmarks[2, 0] == pytest.approx(100 + speed * step, abs=3)


def test_a_face_missed_for_a_while_keeps_its_id() -> None:
    present = {*range(8), *range(20, 30)}
    tracks = follow(Tracker(), [[face(100 + 12 * step)] if step in present else [] for step in range(30)])
    assert {track.id for frame_tracks in tracks for track in frame_tracks} == {1}
    assert tracks[8][0].detected is False
    assert tracks[7 + int(MAX_COAST_S * RATE) + 1] == []
    assert tracks[25][0].first_frame == 0


def test_people_who_cross_keep_their_ids() -> None:
    """The farther one is not detected while their faces overlap."""

    def pair(step: int) -> list[FaceDetection]:
        right, left = 300 + 9 * step, 700 - 9 * step
        return [face(right, 300)] + ([face(left, 310)] if abs(right - left) > 40 else [])

    tracks = follow(Tracker(), [pair(step) for step in range(45)])
    start, end = ({track.id: middle(track) for track in tracks[step]} for step in (5, 44))
    assert start.keys() == end.keys() == {1, 2}
    for id in (1, 2):
        assert (end[id] - start[id] > 0) == (start[id] < 500)


def patterned(*faces: tuple[float, int]) -> Image:
    """A picture with a face-sized random pattern, by its seed, at each position."""
    picture = np.full_like(BLACK, 100)
    for x, seed in faces:
        cells = np.random.default_rng(seed).integers(0, 255, (8, 6, 3)).astype(np.uint8)
        picture[250:346, int(x) - 36 : int(x) + 36] = cells.repeat(12, 0).repeat(12, 1)
    return picture


def test_another_face_in_the_same_place_is_another_track() -> None:
    """Same place and size in consecutive frames: only the appearance differs."""
    tracker = Tracker()
    ids = []
    for step in range(20):
        picture = patterned((600, 1 if step < 10 else 2))
        ids.append({track.id for track in tracker.update(frame(step, picture), [face(600)]).tracks if track.detected})
    assert ids == [{1}] * 10 + [{2}] * 10


def test_a_cut_ends_all_tracks() -> None:
    rng = np.random.default_rng(3)
    scenes = [rng.integers(0, 255, (9, 16, 3)).astype(np.uint8).repeat(80, 0).repeat(80, 1) for _ in range(2)]
    tracker = Tracker()
    for step in range(5):
        update = tracker.update(frame(step, scenes[0]), [face(600)])
    assert not update.ended
    update = tracker.update(frame(5, scenes[1]), None)
    assert [track.id for track in update.ended] == [1]
    assert update.needs_detection
    assert [track.id for track in tracker.update(frame(6, scenes[1]), [face(600)]).tracks] == [2]


def test_tracks_end_once_at_their_last_detection() -> None:
    tracker = Tracker()
    follow(tracker, [[face(600 + step)] for step in range(5)])
    ended = [
        (step, track) for step in range(5, 100) for track in tracker.update(frame(step), [] if step % 2 else None).ended
    ]
    assert [track.id for _, track in ended] == [1]
    step, track = ended[0]
    assert (step - 4) / RATE == pytest.approx(LOST_TRACK_BUFFER_S, abs=1.5 / RATE)
    assert (track.hits, track.detected, middle(track)) == (5, True, 604)
    assert tracker.finish() == []


def test_a_face_that_leaves_the_picture_ends_at_once() -> None:
    tracker = Tracker()
    follow(tracker, [[face(1100 + 30 * step)] for step in range(6)])
    assert [track.id for step in (6, 7) for track in tracker.update(frame(step), []).ended] == [1]


def test_finish_ends_all_tracks() -> None:
    tracker = Tracker()
    follow(tracker, [[face(200), face(800)]] * 3)
    assert sorted(track.id for track in tracker.finish()) == [1, 2]
    assert tracker.finish() == []


def test_time_that_runs_backwards_ends_all_tracks() -> None:
    tracker = Tracker()
    follow(tracker, [[face(200)]] * 3, first=1000)
    update = tracker.update(frame(0), [face(200)])
    assert [track.id for track in update.ended] == [1]
    assert [track.id for track in update.tracks] == [2]


def test_a_low_confidence_detection_continues_a_track_but_begins_none() -> None:
    tracker = Tracker()
    assert follow(tracker, [[face(200, confidence=0.5)]] * 5) == [[]] * 5
    (track,) = follow(tracker, [[face(200)], [face(202, confidence=0.42)]], first=5)[1]
    assert (track.hits, track.detected) == (2, True)


def test_a_detection_of_middling_confidence_waits_for_a_second() -> None:
    tracker = Tracker()
    first, second = follow(tracker, [[face(200, confidence=INSTANT_CONFIRMATION - 0.1)]] * 2)
    assert first == []
    assert [track.id for track in second] == [1]
    assert second[0].first_frame == 0


def test_an_unconfirmed_track_is_never_reported() -> None:
    tracker = Tracker()
    updates = [tracker.update(frame(step), [face(200, confidence=0.7)] if step == 0 else []) for step in range(60)]
    assert all(not update.tracks and not update.ended for update in updates)


def test_two_detections_of_one_face_are_one_track() -> None:
    faces_by_frame = [[face(600), face(615, 305, 66, 0.85)]] * 6
    assert {track.id for present in follow(Tracker(), faces_by_frame[:1]) for track in present} <= {1, 2}
    tracker = Tracker()
    follow(tracker, [[face(600)]] * 3)
    assert [[track.id for track in present] for present in follow(tracker, faces_by_frame, first=3)] == [[1]] * 6


def test_detection_is_needed_while_a_face_is_new_fast_or_missed() -> None:
    tracker = Tracker()
    assert not tracker.update(frame(0), []).needs_detection
    young = [tracker.update(frame(1 + step), [face(400)]).needs_detection for step in range(6)]
    assert young == [True] * 3 + [False] * 3
    assert tracker.update(frame(7), []).needs_detection
    fast = Tracker()
    assert all(fast.update(frame(step), [face(100 + 20 * step)]).needs_detection for step in range(20))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.lists(
                st.builds(face, st.floats(0, 1280), st.floats(0, 720), st.floats(8, 300), st.floats(0.3, 1)), max_size=5
            ),
        ),
        max_size=25,
    )
)
def test_any_detections_give_sound_and_repeatable_tracks(faces_by_frame: list[list[FaceDetection] | None]) -> None:
    def run() -> Iterator[object]:
        tracker = Tracker()
        ended: set[int] = set()
        for step, faces in enumerate(faces_by_frame):
            update = tracker.update(frame(step), faces)
            ids = [track.id for track in update.tracks]
            assert ids == sorted(set(ids))
            assert len([track for track in update.tracks if track.detected]) <= len(faces or [])
            gone = {track.id for track in update.ended}
            assert not gone & ended
            ended |= gone
            assert not ended & set(ids)
            yield [(track.id, track.box, track.velocity, track.hits) for track in update.tracks]
        yield sorted(track.id for track in tracker.finish())

    assert list(run()) == list(run())


def test_the_number_of_tracks_is_bounded() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    for step in range(120):
        tracker.update(frame(step), [face(x, y, 20) for x, y in rng.uniform([0, 0], [1280, 720], (3, 2))])
    assert len(tracker.finish()) <= 3 * (LOST_TRACK_BUFFER_S * RATE + 1)


def test_tracks_end_at_the_cuts_of_a_clip(shared: Path) -> None:
    """hamilton.mp4 is cut before frames 20, 82 and 211. A face at the edge, which has no pattern, does not move."""
    tracker = Tracker()
    cuts = []
    with av.open(str(shared / "clips/hamilton.mp4")) as container:
        for index, picture in enumerate(container.decode(video=0)):
            image = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
            if tracker.update(frame(index, image), [face(10, 160)]).ended:
                cuts.append(index)
    assert cuts == [20, 82, 211]


def test_unreported_tracks_are_tentative_boxes() -> None:
    tracker = Tracker()
    tentative = tracker.update(frame(0), [face(300, confidence=INSTANT_CONFIRMATION - 0.1)])
    assert (tentative.tracks, [box.center[0] for box in tentative.tentative_boxes]) == ([], [300])
    confirmed = tracker.update(frame(1), [face(300)])
    assert (len(confirmed.tracks), confirmed.tentative_boxes) == (1, [])
    for step in range(2, int(LOST_TRACK_BUFFER_S * RATE)):
        carried = tracker.update(frame(step), None)
        assert len(carried.tracks) + len(carried.tentative_boxes) == 1, "until the track ends, it is one or the other"
        assert bool(carried.tracks) == ((step - 1) / RATE <= MAX_COAST_S)


def test_velocity_is_per_camera_frame_when_frames_are_skipped() -> None:
    """A face that moves by 4 pixels a frame; only every fifth frame is processed."""
    tracker = Tracker()
    for step in range(0, 60, 5):
        update = tracker.update(frame(step), [face(400 + 4 * step)])
    (track,) = update.tracks
    assert track.velocity[0] == pytest.approx(4, rel=0.1)

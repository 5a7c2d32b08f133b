"""Which crops of a track are selected for identification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.results import FaceSample, FrameTime
from stream.tracking.crop_selector import BETTER, BLURRED_GAP_S, BLURRING, FRESH_S, LONGEST_GAP_S, RATE, CropSelector
from stream.values import Box, FaceCrop, FaceQuality, Track

FACE = np.zeros((128, 128, 3), np.uint8)
FPS = 25


def make_sample(
    step: int, quality: float = 0.5, track: int = 1, motion: tuple[float, float] | None = None
) -> FaceSample:
    worth, unmoved = FaceQuality(quality, 1, 1), np.eye(2, 3, dtype=np.float32)
    crop = FaceCrop("lobby", track, step, step / FPS, FACE, unmoved, motion, worth)
    points = np.zeros((5, 2), np.float32)
    face = Track(
        "lobby", track, Box(0, 0, 9, 9), points, (0, 0), 0.9, detected=True, hits=1, first_frame=0, first_pts_s=0
    )
    return FaceSample(face, crop, FrameTime(step, step / FPS, None))


def sent(selector: CropSelector, samples: list[FaceSample]) -> list[FaceSample]:
    return [chosen for each in samples if (chosen := selector.push(each))]


def test_the_first_crop_goes_at_once() -> None:
    first = make_sample(0)
    assert CropSelector().push(first) is first


def test_many_at_first_then_few() -> None:
    steps = [each.moment.pts_s for each in sent(CropSelector(), [make_sample(step) for step in range(60 * FPS)])]
    in_second = [sum(second <= at < second + 1 for at in steps) for second in range(60)]
    assert 5 <= in_second[0] <= 8
    assert max(in_second[2:]) <= 2
    assert all(sum(in_second[second : second + 10]) in (2, 3) for second in range(20, 50))
    assert max(np.diff(steps)) == pytest.approx(LONGEST_GAP_S, abs=2 / FPS)


def test_between_turns_the_best_is_kept() -> None:
    selector = CropSelector()
    qualities = [0.5, 0.5, 0.6, 0.4, 0.4, 0.4]
    first, second = sent(selector, [make_sample(step, quality) for step, quality in enumerate(qualities)])
    assert (first.moment.frame, second.moment.frame) == (0, 2)
    assert selector.dropped == 3


def test_a_clearly_better_crop_does_not_wait() -> None:
    selector = CropSelector()
    sent(selector, [make_sample(step, 0.3) for step in range(20 * FPS)])
    start = 20 * FPS + 5
    better = make_sample(start, 0.3 * BETTER * 1.01)
    assert selector.push(better) is better
    assert selector.push(make_sample(start + 4, 0.3 * BETTER * 1.02)) is None


def test_a_blurred_track_sends_crops_all_along() -> None:
    fast = [make_sample(step, motion=(BLURRING + 1, 0)) for step in range(2 * FPS)]
    gaps = np.diff([each.moment.frame for each in sent(CropSelector(), fast)]) / FPS
    assert gaps.max() <= BLURRED_GAP_S + 1 / FPS
    assert len(gaps) >= 24


def test_a_camera_sends_no_more_than_its_allowance() -> None:
    samples = [make_sample(step, 0.5, track, (20.0, 0)) for step in range(10 * FPS) for track in range(20)]
    selector = CropSelector()
    chosen = sent(selector, samples)
    assert len(chosen) <= RATE * 10 + RATE
    assert len(chosen) >= RATE * 10 - RATE
    assert {each.track.id for each in chosen} == set(range(20))


def test_an_ended_track_returns_its_waiting_sample_and_is_forgotten() -> None:
    selector = CropSelector()
    first, waiting = make_sample(0), make_sample(1, 0.45)
    assert selector.push(first) is first
    assert selector.push(waiting) is None
    assert selector.flush(1) is waiting
    assert selector.flush(1) is None
    assert selector.flush(99) is None
    again = make_sample(2)
    assert selector.push(again) is again


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.floats(0, 1)), max_size=80))
def test_every_crop_is_sent_dropped_or_waiting(offers: list[tuple[int, int, float]]) -> None:
    selector = CropSelector()
    step = 0
    crops = []
    for gap, track, quality in offers:
        step += gap
        crops.append(make_sample(step, quality, track))
    chosen = sent(selector, crops)
    waiting = [each for track in range(5) if (each := selector.flush(track))]
    assert len(chosen) + len(waiting) + selector.dropped == len(crops)
    assert len({id(each) for each in chosen + waiting}) == len(chosen) + len(waiting)


def test_a_live_crop_waits_no_longer_than_the_limit() -> None:
    """The best comes just after a selection, when gaps are long."""
    samples = [make_sample(step, 0.6 if step % (2 * FPS) == 1 else 0.5) for step in range(60 * FPS)]

    def waited(selector: CropSelector) -> float:
        chosen = ((step, selector.push(each)) for step, each in enumerate(samples))
        return max(step / FPS - each.moment.pts_s for step, each in chosen if each)

    assert waited(CropSelector(live=True)) <= FRESH_S + 1 / FPS
    assert waited(CropSelector()) > 1

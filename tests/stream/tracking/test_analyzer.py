"""The frame analyzer, with real portraits and the real detector."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.alignment import FivePointAligner
from detectors.yunet import IN_VIDEO, YuNet
from models.backends.selection import load
from stream.load_control import LoadController, SearchBudget
from stream.metrics import StageMetrics
from stream.storage.images import read_picture
from stream.tracking.analyzer import FrameAnalyzer
from stream.tracking.detection_schedule import IDLE_INTERVAL
from stream.values import Frame, Image


def side_by_side(portraits: Path, *names: str) -> Image:
    pictures = [read_picture(portraits / name) for name in names]
    return np.hstack([cv2.resize(picture, (360, 480)) for picture in pictures])


def test_a_crop_holds_the_co_visible_tracks(yunet_path: Path, portraits: Path) -> None:
    detector = YuNet(load(yunet_path, "onnxruntime"), min_confidence=IN_VIDEO)
    analyzer = FrameAnalyzer(detector, FivePointAligner(), live=False, meter=StageMetrics())
    both, alone = side_by_side(portraits, "obama.jpg", "biden.jpg"), side_by_side(portraits, "obama.jpg")
    empty = np.zeros_like(alone)
    first = analyzer.process(Frame("door", 0, 0, Fraction(1, 10), None, both)).samples
    assert {sample.track.id: sample.crop.co_visible_tracks for sample in first} == {1: {2}, 2: {1}}
    later = analyzer.process(Frame("door", 9, 9, Fraction(1, 10), None, np.hstack([alone, empty]))).samples
    assert all(not sample.crop.co_visible_tracks for sample in later if sample.moment.frame == 9)
    assert any(sample.moment.frame == 9 for sample in later)


def test_a_frame_after_a_cut_is_searched_in_a_recording(yunet_path: Path, portraits: Path) -> None:
    """A time lapse: a person is in one frame only, between two detections."""
    detector = YuNet(load(yunet_path, "onnxruntime"), min_confidence=IN_VIDEO)
    analyzer = FrameAnalyzer(detector, FivePointAligner(), live=False, meter=StageMetrics())
    person = side_by_side(portraits, "obama.jpg")
    blocks = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    empty = np.asarray(cv2.resize(blocks, person.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    pictures = [empty, person, empty, empty]
    results = [
        analyzer.process(Frame("door", index, index, Fraction(1, 25), None, picture))
        for index, picture in enumerate(pictures)
    ]
    assert [len(each.tracks) for each in results] == [0, 1, 0, 0]


def test_a_frame_is_processed_while_the_camera_waits_for_its_turn(yunet_path: Path, portraits: Path) -> None:
    budget = SearchBudget(2, LoadController(), cores=2)
    detector = YuNet(load(yunet_path, "onnxruntime"), min_confidence=IN_VIDEO)
    analyzer = FrameAnalyzer(detector, FivePointAligner(), live=True, meter=StageMetrics(), budget=budget)
    image = side_by_side(portraits, "obama.jpg")

    def tracks_at(index: int) -> int:
        return len(analyzer.process(Frame("door", index, index, Fraction(1, 25), None, image)).tracks)

    assert budget.begin("another camera", 0)
    assert not analyzer.should_detect(0.0, 0.01)
    assert tracks_at(0) == 0, "not searched"
    budget.end()
    assert analyzer.should_detect(0.04, 0.01), "the search is still due"
    assert tracks_at(1) == 1


def test_a_live_camera_returns_its_turn_even_if_the_frame_is_not_processed(yunet_path: Path, portraits: Path) -> None:
    budget = SearchBudget(2, LoadController(), cores=2)
    detector = YuNet(load(yunet_path, "onnxruntime"), min_confidence=IN_VIDEO)
    analyzer = FrameAnalyzer(detector, FivePointAligner(), live=True, meter=StageMetrics(), budget=budget)
    other = FrameAnalyzer(detector, FivePointAligner(), live=True, meter=StageMetrics(), budget=budget)
    image = side_by_side(portraits, "obama.jpg")
    with ThreadPoolExecutor(1) as thread:
        assert analyzer.should_detect(0.0)
        waiting = thread.submit(other.should_detect, 0.0)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.2)
        analyzer.process(Frame("door", 0, 0, Fraction(1, 25), None, image))
        assert waiting.result(timeout=20)
        assert not other.should_detect(0.04), "the frame was never processed"
        assert analyzer.should_detect(0.6)
        analyzer.flush()
        assert thread.submit(lambda: any(other.should_detect(0.6 + step / 25) for step in range(IDLE_INTERVAL))).result(
            timeout=20
        )

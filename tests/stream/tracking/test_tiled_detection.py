"""Small faces in large pictures: real portraits, the real detector."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.alignment import FivePointAligner
from detectors.yunet import IN_STILLS, IN_VIDEO, YuNet
from models.backends.selection import NetworkSession, load
from stream.metrics import StageMetrics
from stream.storage.images import read_picture
from stream.tracking.analyzer import FrameAnalyzer
from stream.tracking.tiled_detection import SHRINK, Tile, TiledDetector, TileSchedule, merge, small_faces
from stream.values import Box, FaceDetection, Frame, Image


@pytest.fixture(scope="module")
def session(yunet_path: Path) -> NetworkSession:
    return load(yunet_path, "onnxruntime")


@pytest.fixture(scope="module")
def portrait(portraits: Path) -> Image:
    """240 x 300, with a head about 64 pixels wide."""
    return np.asarray(
        cv2.resize(read_picture(portraits / "obama.jpg"), (240, 300), interpolation=cv2.INTER_AREA), np.uint8
    )


def scene(portrait: Image, left: int, top: int, size: tuple[int, int] = (3840, 2160)) -> Image:
    image = np.full((size[1], size[0], 3), (110, 130, 120), np.uint8)
    image[top : top + portrait.shape[0], left : left + portrait.shape[1]] = portrait
    return image


class Counting:
    """A detector that finds nothing, and remembers at what sizes it was asked."""

    def __init__(self, long_side: int = 640) -> None:
        self.long_side = long_side
        self.asked: list[int] = []

    def detect(self, image: Image) -> list[FaceDetection]:
        self.asked.append(self.long_side)
        return []


def face(x: float, y: float, width: float, confidence: float = 0.9) -> FaceDetection:
    return FaceDetection(Box(x, y, width, width), np.zeros((5, 2), np.float32), confidence)


def test_a_small_face_in_a_large_picture_is_found_once(session: NetworkSession, portrait: Image) -> None:
    """Wherever it lies: also where tiles meet."""
    yunet = YuNet(session, min_confidence=IN_STILLS)
    tiled = TiledDetector(yunet)
    for left, top in ((1700, 900), (1180, 560), (3600, 1860), (0, 0)):
        image = scene(portrait, left, top)
        assert not yunet.detect(image)
        (found,) = tiled.detect(image)
        x, y = found.box.center
        assert left < x < left + 240
        assert top < y < top + 300
        assert np.hypot(*(found.landmarks.mean(0) - (x, y))) < 20


@pytest.mark.parametrize("long_side", [640, 1920])
def test_a_face_that_fills_the_picture_is_found_at_any_detection_size(
    session: NetworkSession, portraits: Path, long_side: int
) -> None:
    large = cv2.resize(read_picture(portraits / "obama.jpg"), (2880, 3600))[300:1380, 480:2400]
    (found,) = TiledDetector(YuNet(session, long_side=long_side, min_confidence=IN_STILLS)).detect(
        np.asarray(large, np.uint8)
    )
    assert found.box.width > 500


def test_tiles_cover_the_picture_and_overlap() -> None:
    tiled = TiledDetector(Counting())
    assert not tiled.tiles(np.zeros((720, 1280, 3), np.uint8))
    for width, height, count in ((1920, 1080, 2), (3840, 2160, 8), (1080, 1920, 2), (7000, 7000, 49)):
        tiles = tiled.tiles(np.zeros((height, width, 3), np.uint8))
        covered = np.zeros((height, width), np.uint8)
        for tile in tiles:
            covered[tile.top : tile.bottom, tile.left : tile.right] = 1
            assert max(tile.right - tile.left, tile.bottom - tile.top) <= SHRINK * 640
        assert len(tiles) == count
        assert covered.all()


def test_tiles_are_searched_at_the_configured_size_whatever_the_load_makes_of_it() -> None:
    detector = Counting()
    tiled = TiledDetector(detector)
    tiled.long_side = 320
    tiled.detect(np.zeros((1080, 1920, 3), np.uint8))
    assert detector.asked == [320, 640, 640]
    assert tiled.long_side == 320


def test_a_face_found_twice_is_one_and_a_part_of_a_face_is_none() -> None:
    whole = [face(100, 100, 400, 0.8), face(900, 100, 60, 0.7)]
    finer = [face(905, 102, 60, 0.9), face(250, 250, 50, 0.95), face(1500, 100, 40, 0.75)]
    kept = merge(whole, finer)
    assert [(each.box.x, each.confidence) for each in kept] == [(905, 0.9), (100, 0.8), (1500, 0.75)]


def test_tiles_go_first_under_load_and_small_faces_come_first() -> None:
    tiles = [Tile(0, 0, 10, 10), Tile(10, 0, 20, 10), Tile(20, 0, 30, 10)]
    schedule = TileSchedule()
    schedule.earn(None)
    assert not schedule.affordable
    schedule.earn(0.02)
    assert schedule.affordable
    assert schedule.order(tiles, [Box(24, 4, 2, 2)])[0] == tiles[2]
    schedule.record_duration(0.05)
    assert schedule.order(tiles, []) == [tiles[1], tiles[2], tiles[0]]
    waits = 0
    while not schedule.affordable:
        schedule.earn(0.02)
        waits += 1
    assert waits == 4, "a tile of 50 ms, where 20 ms are left at each look"
    schedule.earn(None)
    assert not schedule.affordable


def test_what_the_whole_picture_shows_well_is_not_small() -> None:
    image = np.zeros((2160, 3840, 3), np.uint8)
    assert small_faces([Box(0, 0, 60, 60), Box(0, 0, 200, 200)], image, 640) == [Box(0, 0, 60, 60)]


@pytest.mark.parametrize("live", [False, True])
def test_a_small_face_is_followed_by_an_eye(session: NetworkSession, portrait: Image, live: bool) -> None:
    meter = StageMetrics()
    eye = FrameAnalyzer(YuNet(session, min_confidence=IN_VIDEO), FivePointAligner(), live=live, meter=meter)
    seen = [
        eye.process(Frame("door", index, index, Fraction(1), None, scene(portrait, 1700 + 8 * index, 900)))
        for index in range(6)
    ]
    tracks = [{track.id for track in each.tracks} for each in seen]
    assert tracks[-1], "live: a second between pictures leaves time for all tiles"
    assert set().union(*tracks) <= {1, 2, 3, 4, 5, 6}
    assert meter.read().counts["tiles searched"] > 6


def test_a_small_face_in_a_recording_is_searched_for_in_its_tile_between(
    session: NetworkSession, portrait: Image
) -> None:
    meter = StageMetrics()
    eye = FrameAnalyzer(YuNet(session, min_confidence=IN_VIDEO), FivePointAligner(), live=False, meter=meter)
    for index in range(4):
        sighting = eye.process(Frame("door", index, index, Fraction(1, 50), None, scene(portrait, 1700 + index, 900)))
        assert [(track.id, track.detected) for track in sighting.tracks] == [(1, True)]
    assert meter.read().counts["tiles searched"] == 8 + 3

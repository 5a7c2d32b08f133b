"""What is drawn, and for whom."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from models.assets.fetch import fetch_typefaces
from stream.metrics import StageMetrics
from stream.outputs.overlay import Overlay
from stream.outputs.renderer import FrameRenderer
from stream.outputs.text import TextRenderer
from stream.results import AnnotatedFrame
from stream.values import Frame, Image


class Output:
    def __init__(self) -> None:
        self.shown: list[int] = []
        self.watched: set[str] = set()

    def show(self, frame: Frame, _image: Image) -> None:
        self.shown.append(frame.index)

    def wants(self, camera: str) -> bool:
        return camera in self.watched

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def overlay() -> Overlay:
    return Overlay(TextRenderer(fetch_typefaces()))


def scene(index: int) -> AnnotatedFrame:
    return AnnotatedFrame(Frame("door", index, index, Fraction(1, 25), None, np.zeros((48, 64, 3), np.uint8)), [], {})


def test_nothing_is_drawn_where_nobody_looks(overlay: Overlay) -> None:
    meter, scenes = StageMetrics(), list[AnnotatedFrame]()
    output, other = Output(), Output()
    composer = FrameRenderer(overlay, [output, other], True, meter, scenes.append)
    composer(scene(0))
    output.watched = {"yard"}
    composer(scene(1))
    assert "overlay" not in meter.read().stages
    other.watched = {"door"}
    assert composer.wanted("door")
    composer(scene(2))
    assert other.shown == [2]
    assert "overlay" in meter.read().stages
    assert len(scenes) == 3


def test_without_an_overlay_nobody_looks() -> None:
    assert not FrameRenderer(None, [], True, StageMetrics(), lambda _: None).wanted("door")

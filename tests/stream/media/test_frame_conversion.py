"""Frames as a player shows them, recorded and live."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from stream.media.frame_conversion import Deinterlacer, rotate, to_image
from stream.sources.factory import open_source
from stream.values import Frame, Image


def chart(width: int = 320, height: int = 240) -> Image:
    """A light left upper quarter, and a square of a tenth of the height: no symmetry, and square tells the aspect."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[: height // 2, : width // 2] = 200
    image[height * 3 // 4 :, width * 3 // 4 :] = 130
    return image


def write(path: Path, images: Sequence[Image], aspect: Fraction | None = None, matrix: Sequence[int] = ()) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix:
            stream.set_display_matrix(list(matrix))
        for image in images:
            container.mux(stream.encode(VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def first(source: str) -> Image:
    opened = open_source(source)
    try:
        return next(islice(opened.frames(), 1)).image
    finally:
        opened.close()


@pytest.mark.parametrize("prefix", ["", "loop:"], ids=["recorded", "live"])
@pytest.mark.parametrize(
    ("stored", "aspect", "shown"),
    [
        ((704, 240), Fraction(5, 11), (704, 528)),
        ((240, 480), Fraction(8, 3), (640, 480)),
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((320, 240), Fraction(1000, 1001), (320, 240)),
    ],
)
def test_pixels_are_square(
    tmp_path: Path, prefix: str, stored: tuple[int, int], aspect: Fraction, shown: tuple[int, int]
) -> None:
    image = first(prefix + str(write(tmp_path / "a.mkv", [chart(*stored)] * 5, aspect)))
    assert image.shape == (shown[1], shown[0], 3)
    assert np.abs(image.astype(int) - cv2.resize(chart(), shown)).mean() < 6


ONE = 1 << 16
MATRICES = {
    "as it is": (ONE, 0, 0, ONE),
    "mirrored": (-ONE, 0, 0, ONE),
    "upside down": (-ONE, 0, 0, -ONE),
    "mirrored upside down": (ONE, 0, 0, -ONE),
    "transposed": (0, ONE, ONE, 0),
    "a quarter clockwise": (0, ONE, -ONE, 0),
    "a quarter counterclockwise": (0, -ONE, ONE, 0),
    "transposed the other way": (0, -ONE, -ONE, 0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrices_turn_and_mirror(tmp_path: Path, name: str) -> None:
    a, b, c, d = MATRICES[name]
    path = write(tmp_path / "a.mp4", [chart()] * 3, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30))
    height, width = chart().shape[:2]
    matrix = np.array([[a, c, 0], [b, d, 0]], np.float32) / ONE
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]) @ matrix[:, :2].T
    matrix[:, 2] = -corners.min(0)
    size = tuple((corners.max(0) - corners.min(0) + 1).astype(int).tolist())
    wanted = cv2.warpAffine(chart(), matrix, size)
    image = first(str(path))
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).mean() < 4


def woven(count: int, step: int = 8) -> list[Image]:
    """A light square that goes to the right, `step` pixels a field, two fields in a frame, the upper first."""

    def at(x: int) -> Image:
        image = np.full((240, 320, 3), 60, np.uint8)
        image[80:160, x : x + 60] = 200
        return image

    frames = []
    for index in range(count):
        frame = at(20 + 2 * index * step)
        frame[1::2] = at(20 + (2 * index + 1) * step)[1::2]
        frames.append(frame)
    return frames


def write_interlaced(path: Path, images: Sequence[Image]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "qscale": "2", "b": "8M"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=320, height=240, format=av.VideoFormat("yuv420p", 320, 240), time_base=Fraction(1, 25)
        )
        graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
        for index, image in enumerate(images):
            frame = VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            graph.vpush(frame)
            container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode())
    return path


def combing(image: Image) -> float:
    """How much every second line differs from its neighbors."""
    grey = image[80:160, :, 1].astype(float)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


def test_interlaced_pictures_are_made_whole_and_none_is_lost(tmp_path: Path) -> None:
    frames = woven(8)
    played = list(open_source(str(write_interlaced(tmp_path / "a.mpg", frames))).frames())
    assert len(played) == 8
    assert [frame.pts_s for frame in played] == pytest.approx([index / 25 for index in range(8)], abs=0.02)
    assert combing(frames[4]) > 5
    assert max(combing(frame.image) for frame in played) < 2


def test_live_interlaced_pictures_are_made_whole(tmp_path: Path) -> None:
    source = open_source(f"loop:{write_interlaced(tmp_path / 'a.mpg', woven(8))}")
    seen = [combing(frame.image) for frame in islice(source.frames(), 5)]
    source.close()
    assert max(seen) < 2


def test_progressive_pictures_pass_at_once() -> None:
    frame = VideoFrame.from_ndarray(chart(), format="bgr24")
    assert Deinterlacer().push(frame) == [frame]


def yuv(**flags: int) -> Image:
    """The color of Y 120, U 90, V 200."""
    planes = np.concatenate([np.full(64 * 48, 120), np.full(32 * 24, 90), np.full(32 * 24, 200)]).astype(np.uint8)
    frame = VideoFrame.from_ndarray(planes.reshape(72, 64), format="yuv420p")
    for name, value in flags.items():
        setattr(frame, name, value)
    return np.asarray(to_image(frame)[10, 10], np.uint8)


@pytest.mark.parametrize(
    ("flags", "bgr"),
    [
        ({}, (44, 77, 236)),
        ({"colorspace": 1}, (41, 91, 250)),
        ({"colorspace": 9}, (40, 81, 242)),
        ({"color_range": ColorRange.JPEG}, (53, 82, 221)),
        ({"colorspace": 1, "color_range": ColorRange.JPEG}, (50, 93, 233)),
    ],
)
def test_range_and_matrix_are_as_stated(flags: dict[str, int], bgr: tuple[int, int, int]) -> None:
    """ITU-R BT.601-7, BT.709-6 and BT.2020-2, limited and full range."""
    assert yuv(**flags) == pytest.approx(bgr, abs=2)


def hdr(image: Image, transfer: ColorTrc) -> VideoFrame:
    """What an HDR camera stores of a scene that an ordinary screen shows as `image`, white at 203 nits (BT.2408)."""
    light = (image[:, :, ::-1] / 255.0) ** 2.2
    light = (
        light @ np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]).T
    )
    nits = light.clip(0, None) * 203
    if transfer == ColorTrc.SMPTE2084:
        power = (nits / 10_000) ** (2610 / 16384)
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)
    else:
        luminance = nits @ np.array([0.2627, 0.678, 0.0593])
        scene = nits / 1000 * (np.maximum(luminance, 1e-9) / 1000)[..., None] ** (1 / 1.2 - 1)
        low = np.sqrt(3 * scene)
        signal = np.where(
            scene <= 1 / 12, low, 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        )
    codes = np.ascontiguousarray(np.rint(signal.clip(0, 1) * 65535).astype(np.uint16))
    frame = VideoFrame.from_ndarray(codes, format="rgb48le")
    frame.color_trc, frame.color_primaries = transfer, ColorPrimaries.BT2020
    return frame


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_is_shown_as_on_an_ordinary_screen(transfer: ColorTrc) -> None:
    ramp = np.stack(np.meshgrid(np.arange(0, 256, 5), np.arange(0, 256, 5)), -1)
    image = np.dstack([ramp, np.full(ramp.shape[:2], 120)]).astype(np.uint8)
    shown = to_image(hdr(image, transfer))
    off = np.abs(shown.astype(int) - image)
    assert off[(image < 220).all(2)].max() <= 4
    assert off.max() <= 16, "highlights make room for those above white"


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_highlights_of_hdr_keep_their_order(transfer: ColorTrc) -> None:
    codes = np.repeat(np.linspace(0, 65535, 64, dtype=np.uint16)[None, :, None], 3, axis=2)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(codes), format="rgb48le")
    frame.color_trc, frame.color_primaries = transfer, ColorPrimaries.BT2020
    shown = to_image(frame)[0, :, 1].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert (shown[0], shown[-1]) == (0, 255)


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 3), (180, 2), (270, 1)])
def test_a_camera_that_hangs_askew_is_turned_clockwise(degrees: int, turns: int) -> None:
    frame = rotate(Frame("a", 0, 0, Fraction(1), None, chart()), degrees)  # type: ignore[arg-type]
    assert np.array_equal(frame.image, np.rot90(chart(), turns))

"""Films whose every picture tells its number, and their numbers read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from stream.values import Image

RATE = 30


def numbered(number: int, size: tuple[int, int] = (96, 64)) -> Image:
    """A picture with its number (0..255) in eight dark and light bars, under a light left upper corner."""
    width, height = size
    bars = np.repeat([60 + 130 * (number >> bit & 1) for bit in range(8)], width // 8)
    image = np.repeat(np.tile(bars, (height, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    image[: height // 4, : width // 4] = 240
    return image


def number(image: Image) -> int:
    """What `numbered` wrote."""
    height, width = image.shape[:2]
    bars = image[height // 2 :, :, 1].mean(axis=0).reshape(8, width // 8).mean(axis=1)
    return sum(int(bar > 125) << bit for bit, bar in enumerate(bars))


def write_film(
    path: Path,
    count: int = 90,
    *,
    codec: str = "libx264",
    times: Sequence[Fraction] | None = None,
    size: tuple[int, int] = (96, 64),
    sound_s: float = 0.0,
    sound_last: bool = False,
    options: dict[str, str] | None = None,
    title: str = "",
) -> Path:
    """Pictures 0..count-1 at 30 a second, or at `times`, a key picture every 12; and silence for `sound_s`, all of it
    before or, `sound_last`, behind the pictures."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        container.metadata["title"] = title
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 12
        stream.time_base = stream.codec_context.time_base = Fraction(1, 600)
        sound = _add_sound(container) if sound_s else None
        if sound and not sound_last:
            _write_silence(container, sound, sound_s)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(index, size), format="bgr24")
            at = Fraction(index, RATE) if times is None else times[index]
            frame.pts, frame.time_base = int(at * 600), Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound and sound_last:
            _write_silence(container, sound, sound_s)
    return path


def write_pictures(path: Path, pictures: Iterable[Image]) -> Path:
    """A film of 25 pictures (120 x 160) a second, a key picture every 12, each in one slice."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0", "g": "12", "x264-params": "slices=1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def noise(seed: int) -> Image:
    """A picture of which little can be left out."""
    return np.random.default_rng(seed).integers(0, 255, (120, 160, 3), np.uint8)


def write_playlist(path: Path, finished: bool) -> None:
    """Three seconds of HLS in segments beside `path`; unfinished, it looks like a live stream."""
    write_film(path, 90, options={"hls_time": "1", "hls_list_size": "0"})
    if not finished:
        path.write_text(path.read_text().replace("#EXT-X-ENDLIST\n", ""))


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    with av.open(str(path), "w") as container:
        _write_silence(container, _add_sound(container), seconds)
    return path


def _add_sound(container: OutputContainer) -> av.AudioStream:
    stream = container.add_stream("mp3" if container.format.name == "mp3" else "aac", rate=44_100)
    assert isinstance(stream, av.AudioStream)
    return stream


def _write_silence(container: OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((2, int(44_100 * seconds)), np.float32), "fltp", "stereo")
    frame.sample_rate = 44_100
    fifo = av.AudioFifo()
    fifo.write(frame)
    for chunk in fifo.read_many(stream.frame_size or 1152):
        container.mux(stream.encode(chunk))
    container.mux(stream.encode())

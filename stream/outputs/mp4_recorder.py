"""The annotated picture as an MP4 file: H.264, every frame at its own media time.

The file grows as `NAME.part` in fragments, so that what was written before a crash plays, and becomes a plain MP4
under its own name when the recording ends (FFmpeg's hybrid fragmented mode).
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import structlog
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from stream.errors import OutputError, StorageError
from stream.values import Frame, Image

_log = structlog.get_logger()
_SPLICE_S = Fraction(1, 25)
_LONGEST_TICKS = 2**30 - 2**20
"""What six frames may last together, in the track's time base: 3.3 hours at 1/90,000 s. Frames are encoded in another
order than they are shown in, and MP4 keeps the difference in 32 bits."""
_ENCODING = {"preset": "superfast", "crf": "23", "g": "60"}
"""A key frame, and so a fragment, every 60 frames; "veryfast" takes half as long again for a quarter less file."""


class Mp4Recorder:
    """Writes the pictures of one camera to an MP4 file.

    `path` appears when `close` is called, replacing what was there. Media times (pts x time base) are kept exactly.
    Where they jump back, as after a reconnect, or further ahead than a frame may last, as after an outage of hours, the
    recording goes on 1/25 s after its last frame; a negative start is shifted to 0. The first picture gives the size,
    rounded up to even; later ones of another size are fitted into it. `threads` is x264's.

    Raises OutputError where the file cannot be made, StorageError when the disk refuses later; what was written so far
    then stays in `NAME.part`.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._threads = threads
        self._writing: _Writing | None = None
        self._failed = False
        if path.is_dir():
            raise OutputError(f"cannot record to {path}: it is a folder; name a file such as {path / 'out.mp4'}")
        try:
            self._part.open("wb").close()
        except OSError as error:
            raise OutputError(
                f"cannot record to {path}: {error.strerror}; choose a folder that can be written"
            ) from error

    def show(self, frame: Frame, image: Image) -> None:
        """Append `image`, at the frame's media time."""
        try:
            if self._writing is None:
                self._writing = _Writing(self._part, frame, image, self._threads)
            self._writing.add(frame, image)
        except (OSError, av.FFmpegError) as error:
            raise self._refused(error) from error

    def wants(self, _camera: str) -> bool:
        """Always: a film has every picture."""
        return True

    def close(self) -> None:
        """Finish the file and give it its name. Without a picture there is no file; after a failure `.part` stays."""
        if self._failed:
            return
        try:
            if self._writing is None:
                self._part.unlink(missing_ok=True)
            else:
                self._writing.finish()
                self._writing = None
                self._part.replace(self._path)
        except (OSError, av.FFmpegError) as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError | av.FFmpegError) -> StorageError:
        self._failed, self._writing = True, None
        reason = error.strerror or "the disk refused"
        return StorageError(f"recording stopped: {self._path}: {reason}; what was written lies in {self._part.name}")


class _Writing:
    """An open MP4 file with its encoder."""

    def __init__(self, part: Path, first: Frame, image: Image, threads: int) -> None:
        self._clock = _Clock(first)
        self._container = av.open(part, "w", format="mp4", options=_muxing(first.time_base))
        stream = self._container.add_stream("libx264", options=_ENCODING)
        stream.height, stream.width = (side + side % 2 for side in image.shape[:2])
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = first.time_base
        stream.codec_context.thread_count = threads
        _tag_colours(stream)
        self._stream = stream

    def add(self, frame: Frame, image: Image) -> None:
        fitted = _fit(image, self._stream.width, self._stream.height)
        planes = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2YUV_I420), np.uint8)
        picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
        picture.pts, picture.time_base = self._clock.tick(frame), self._clock.time_base
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


class _Clock:
    """Media time that only goes forward, in the first frame's time base."""

    def __init__(self, first: Frame) -> None:
        self.time_base = first.time_base
        self._shift = max(-first.pts, 0)
        self._latest = deque([first.pts + self._shift - 1], maxlen=6)

    def tick(self, frame: Frame) -> int:
        pts = round(frame.pts * frame.time_base / self.time_base) + self._shift
        last = self._latest[-1]
        if pts <= last or pts - self._latest[0] > _LONGEST_TICKS:
            _log.warning("media time jumped; the recording goes on without a gap", camera=frame.camera)
            following = last + max(round(_SPLICE_S / self.time_base), 1)
            self._shift += following - pts
            pts = following
        self._latest.append(pts)
        return pts


def _muxing(time_base: Fraction) -> dict[str, str]:
    """Both clocks of the file tick in the frames' own time base, or a start that is not 0 would be rounded to 1 ms."""
    return {
        "movflags": "hybrid_fragmented+frag_keyframe+delay_moov",
        "use_editlist": "1",
        "movie_timescale": str(time_base.denominator),
        "video_track_timescale": str(time_base.denominator),
        "flush_packets": "1",
    }


def _tag_colours(stream: VideoStream) -> None:
    """Say what OpenCV's conversion made: BT.601, limited range; without it players take BT.709 for large pictures."""
    stream.codec_context.colorspace = Colorspace.ITU601
    stream.codec_context.color_range = ColorRange.MPEG


def _fit(image: Image, width: int, height: int) -> Image:
    """The picture in exactly this size: its border repeated by one pixel if odd, else scaled whole, with black bars."""
    rows, columns = image.shape[:2]
    if (columns + columns % 2, rows + rows % 2) == (width, height):
        return _pad(image, width, height, cv2.BORDER_REPLICATE)
    scale = min(width / columns, height / rows)
    size = max(round(columns * scale), 1), max(round(rows * scale), 1)
    smaller = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _pad(smaller, width, height, cv2.BORDER_CONSTANT)


def _pad(image: Image, width: int, height: int, border: int) -> Image:
    below, right = height - image.shape[0], width - image.shape[1]
    if not below and not right:
        return image
    top, left = below // 2, right // 2
    return np.asarray(cv2.copyMakeBorder(image, top, below - top, left, right - left, border), np.uint8)

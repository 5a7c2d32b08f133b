"""Cost of the outputs: overlay, recorder and event logs.

python -m benchmarks.outputs CLIP      (run it on one core, such as with `taskset -c 0`, to compare)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np

from models.assets.fetch import fetch_typefaces
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from stream.outputs.mp4_recorder import Mp4Recorder
from stream.outputs.overlay import Label, Overlay
from stream.outputs.text import TextRenderer
from stream.results import Candidate, Event, Identity
from stream.values import Box, Frame, Image

T = TypeVar("T")
SIZE = (1280, 720)
FRAMES = 120
NAMES = ("Eileen Collins", "محمد الأحمد", "山田太郎", "Łukasz", "שלום כהן", None)


def main(clip: str) -> None:
    """Print milliseconds of processor time for a frame of 720p with six faces, and of wall time for an event."""
    frames = [
        Frame("lobby", n, n, Fraction(1, 25), None, image) for n, image in zip(range(FRAMES), read(clip), strict=False)
    ]
    overlay = Overlay(TextRenderer(fetch_typefaces()))
    measure("overlay", time.thread_time, lambda frame: overlay.draw(frame, make_labels(frame.index), 15), frames)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        recorder = Mp4Recorder(Path(folder) / "out.mp4")
        measure("recorder", time.process_time, lambda frame: recorder.show(frame, frame.image), frames)
        recorder.close()
        for log in (JsonlEventLog(Path(folder) / "events.jsonl"), SqlEventStore(f"sqlite:///{folder}/events.sqlite")):
            measure(type(log).__name__, time.perf_counter, log.write, map(make_event, range(FRAMES)))
            log.close()


def read(clip: str) -> Iterable[Image]:
    with av.open(clip) as video:
        for frame in video.decode(video=0):
            yield np.asarray(cv2.resize(frame.to_ndarray(format="bgr24"), SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def make_labels(number: int) -> list[Label]:
    """Make labels of six moving faces; the score of one changes twice a second."""
    return [Label(Box(40 + 200 * n + number, 100 + 90 * n, 90, 90), make_identity(n, number // 12)) for n in range(6)]


def make_identity(person: int, since: int) -> Identity:
    score = 0.6 + 0.01 * (since % 7 if person == 0 else 0)
    return Identity(NAMES[person], score, 0.42, Candidate("Nils Berg", 0.3), 0.4, None, "none", 1.0)


def make_event(number: int) -> Event:
    return Event(
        f"event-{number}", "new", "lobby", number, make_identity(0, 0), number / 25, number, None, (1, 2, 3, 4), 0.0
    )


def measure(name: str, clock: Callable[[], float], step: Callable[[T], object], inputs: Iterable[T]) -> None:
    times_ms = []
    for value in inputs:
        before = clock()
        step(value)
        times_ms.append((clock() - before) * 1000)
    mean, median = statistics.mean(times_ms), statistics.median(times_ms)
    print(f"{name:10} mean {mean:6.2f}  median {median:6.2f}  max {max(times_ms):6.2f} ms")


if __name__ == "__main__":
    main(sys.argv[1])

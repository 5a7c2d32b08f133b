"""Glass-to-glass latency: the age of the frame that Chromium shows, through the whole of unblur on one machine.

    python -m benchmarks.latency --data ../shared/data

Three faces of val/lfw160, one of them blurred, sway in front of a gray wall. Every frame enters as from a decoder, with
the current time painted into it (24 blocks, one bit each). Faces are detected, restored and named, the overlay is
drawn, and the frame is encoded and sent to the page in headless Chromium, which reads the time back from a canvas
whenever a frame is presented.
"""

from __future__ import annotations

import argparse
import itertools
import math
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from av import VideoFrame
from playwright.sync_api import sync_playwright

from benchmarks import datasets
from configs.loader import load
from deblur import kernels
from stream.sources.receiver import PushSource
from stream.values import Image
from unblur.assembly.pipeline_run import assemble
from unblur.cli import main as unblur
from unblur.web.auth.middleware import auth_middleware
from unblur.web.pages.live import LiveView

BITS, BLOCK = 24, 16
_WARM_S = 5.0
_BLUR = 14, 5
"""Blur of one of the faces, in pixels of its photo, so that the network has work."""
_READ = """([bits, block]) => {
    const video = document.querySelector("video");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bits * block, block];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    window.ages = [];
    const read = () => {
        context.drawImage(video, 0, video.videoHeight - block, canvas.width, block, 0, 0, canvas.width, block);
        const row = context.getImageData(0, block / 2, canvas.width, 1).data;
        let stamp = 0;
        for (let bit = 0; bit < bits; bit++) stamp = 2 * stamp + (row[4 * (bit * block + block / 2)] > 127 ? 1 : 0);
        window.ages.push((Date.now() % 2 ** bits - stamp + 2 ** bits) % 2 ** bits);
        video.requestVideoFrameCallback(read);
    };
    video.requestVideoFrameCallback(read);
}"""


@dataclass(frozen=True)
class VideoFormat:
    width: int
    height: int
    fps: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.fps}"


FORMATS = (VideoFormat(640, 480, 30), VideoFormat(1280, 720, 15), VideoFormat(1280, 720, 30))


class TimedScene:
    """Renders frames of three swaying faces, with the time in the bottom left corner."""

    def __init__(self, form: VideoFormat, faces: Sequence[Image]) -> None:
        self._form = form
        side = form.height // 4
        self._faces = [np.asarray(cv2.resize(face, (side, side)), np.uint8) for face in faces]

    def render(self, when_s: float) -> Image:
        wall: Image = np.full((self._form.height, self._form.width, 3), 150, np.uint8)
        for number, face in enumerate(self._faces):
            side = face.shape[0]
            x = round(self._form.width * (0.2 + 0.3 * number) + side / 4 * math.sin(when_s + number) - side / 2)
            y = round(self._form.height * 0.3)
            wall[y : y + side, x : x + side] = face
        stamp = int(time.time() * 1000) % 2**BITS
        bits = np.array([255 * (stamp >> bit & 1) for bit in reversed(range(BITS))], np.uint8)
        wall[-BLOCK:, : BITS * BLOCK] = np.repeat(bits, BLOCK)[None, :, None]
        return wall


def send_frames(source: PushSource, scene: TimedScene, fps: int, stop: threading.Event) -> None:
    """Send frames to the source at an even rate until `stop` is set."""
    began = time.monotonic()
    for index in itertools.count():
        if stop.wait(max(0.0, began + index / fps - time.monotonic())):
            return
        frame = VideoFrame.from_ndarray(scene.render(index / fps), "bgr24")
        frame.pts, frame.time_base = index * 90_000 // fps, Fraction(1, 90_000)
        source.receiver.push(frame)


def measure_ages(address: str, seconds: float) -> list[float]:
    """Measure the milliseconds from the time painted into each frame to its presentation in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector('[data-state="live"]', timeout=30_000)
        page.wait_for_timeout(_WARM_S * 1000)
        page.evaluate(_READ, [BITS, BLOCK])
        page.wait_for_timeout(seconds * 1000)
        measured: list[float] = page.evaluate("window.ages")
        browser.close()
    return measured


def row(form: VideoFormat, faces: Sequence[Image], gallery: Path, seconds: float) -> str:
    config = load(None, {
        "cameras": [{"name": "lobby", "source": "whip:"}],
        "recognition": {"gallery": gallery},
        "output": {"picture": "webrtc"},
        "web": {"port": 0},
    })  # fmt: skip
    stop = threading.Event()
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None, make_live_view=partial(LiveView, config.web))
        source, live_view = run.sources[0], run.outputs.live_view
        assert isinstance(source, PushSource)
        assert isinstance(live_view, LiveView)
        live_view.open(auth_middleware(None))
        sender = threading.Thread(target=send_frames, args=(source, TimedScene(form, faces), form.fps, stop))
        runner = threading.Thread(target=run.start)
        for thread in (runner, sender):
            thread.start()
        try:
            measured = measure_ages(live_view.address, seconds)
        finally:
            stop.set()
            sender.join()
            run.pipelines[0].stop()
            runner.join()
        counts = run.snapshot().counts
    p50, p95, p99 = np.percentile(measured, [50, 95, 99])
    return (
        f"| {form} | {len(measured) / seconds:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f}"
        f" | {counts['crops']} | {counts['restored']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    if not shutil.which("chromium"):
        sys.exit("this needs chromium")
    faces = datasets.read(arguments.data / "val/lfw160.tar", 200)[:3]
    shown = [*faces[:2], np.asarray(kernels.blur(faces[2], kernels.line(*_BLUR)), np.uint8)]
    with tempfile.TemporaryDirectory() as name:
        people = Path(name) / "people"
        for number, face in enumerate(faces):
            (people / f"Person {number}").mkdir(parents=True)
            cv2.imwrite(str(people / f"Person {number}" / "1.png"), face)
        gallery = Path(name) / "people.joblib"
        assert unblur(["enroll", str(people), "--gallery", str(gallery)]) == 0
        print(
            "| camera | presented a second | age p50 ms | p95 ms | p99 ms | crops | restored |",
            "|---" * 7 + "|",
            sep="\n",
        )
        for form in FORMATS:
            print(row(form, shown, gallery, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()

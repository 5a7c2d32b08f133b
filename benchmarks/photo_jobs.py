"""Cost of photo restoration for the cameras of the same process: frame rate, frame age and memory.

    python -m benchmarks.photo_jobs

Runs the demo's camera twice for the same time: alone, and while a worker restores a blurred photo of 12 megapixels
again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from configs.loader import load
from configs.schema import Config
from models.assets.fetch import fetch_portraits, fingerprint
from recognize.gallery.people_gallery import Gallery
from stream.metrics import MetricsSnapshot
from stream.sources.factory import LOOP
from stream.storage.images import read_picture
from stream.values import Image
from unblur.assembly.pipeline_run import assemble
from unblur.commands.demo import stage
from unblur.web.photos.photo_worker import PhotoWorker

PHOTO = (3000, 4000)
"""Width and height of a phone's photo."""


def run_camera(clip: Path, gallery: Path, seconds: float) -> MetricsSnapshot:
    """Run the clip as a camera for so many seconds, with names and overlay."""
    config = load(None, {"cameras": [{"source": f"{LOOP}{clip}", "name": "demo"}], "recognition": {"gallery": gallery}})
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None)
        threading.Timer(seconds, run.pipelines[0].stop).start()
        run.start()
    return run.meter.read()


class RepeatedRestoration:
    """Restores the photo again and again until closed; `seconds` holds the time of each."""

    def __init__(self, photo: Image) -> None:
        self.seconds: list[float] = []
        self._photo = photo
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._restore_until_stopped()))
        self._thread.start()

    async def _restore_until_stopped(self) -> None:
        worker = PhotoWorker(Config(), lambda: Gallery(fingerprint("sface")))
        while not self._stop.is_set():
            began = time.perf_counter()
            await worker.restore(self._photo, None, "auto")
            self.seconds.append(time.perf_counter() - began)
        worker.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def row(name: str, snapshot: MetricsSnapshot, seconds: float, took: list[float]) -> str:
    assert snapshot.frame_age_s is not None, "no frame came"
    ages = [f"{1000 * age:.0f}" for age in snapshot.frame_age_s[:2]]
    photos = [str(len(took)), f"{np.median(took):.1f}" if took else ""]
    cells = [name, f"{snapshot.counts['frames'] / seconds:.1f}", *ages, *photos, f"{_resident_mb():.0f}"]
    return f"| {' | '.join(cells)} |"


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photo_jobs", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    sharp = cv2.resize(read_picture(fetch_portraits() / "obama2.jpg"), PHOTO, interpolation=cv2.INTER_CUBIC)
    photo = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 30), np.uint8)
    with tempfile.TemporaryDirectory() as name:
        clip, gallery = stage(Path(name))
        print("| the cameras | frames a second | age p50 ms | p95 ms | photos | s each | resident MB |")
        print("|---|---|---|---|---|---|---|")
        print(row("alone", run_camera(clip, gallery, seconds), seconds, []), flush=True)
        restoration = RepeatedRestoration(photo)
        snapshot = run_camera(clip, gallery, seconds)
        restoration.close()
        print(row("with photos", snapshot, seconds, restoration.seconds))


if __name__ == "__main__":
    main()

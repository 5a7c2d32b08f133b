"""What do photos that are being developed cost the cameras, and in memory?

    python -m benchmarks.photo_jobs

The demo's camera is watched twice for as long: alone, and with a blurred photo of 12 megapixels in the darkroom all the
time, one after the other.
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
"""Width and height: a telephone's."""


def watch(clip: Path, gallery: Path, seconds: float) -> MetricsSnapshot:
    """Watch the clip as a camera for so long, with names and overlay."""
    config = load(None, {"cameras": [{"source": f"{LOOP}{clip}", "name": "demo"}], "recognition": {"gallery": gallery}})
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None)
        threading.Timer(seconds, run.pipelines[0].stop).start()
        run.start()
    return run.meter.read()


class Customer:
    """Has the photo developed until told to stop; `seconds` is what each took."""

    def __init__(self, photo: Image) -> None:
        self.seconds: list[float] = []
        self._photo = photo
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._wait()))
        self._thread.start()

    async def _wait(self) -> None:
        darkroom = PhotoWorker(Config(), lambda: Gallery(fingerprint("sface")))
        while not self._stop.is_set():
            begun = time.perf_counter()
            await darkroom.restore(self._photo, None, "auto")
            self.seconds.append(time.perf_counter() - begun)
        darkroom.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def row(name: str, reading: MetricsSnapshot, seconds: float, took: list[float]) -> str:
    assert reading.frame_age_s is not None, "no picture came"
    ages = [f"{1000 * age:.0f}" for age in reading.frame_age_s[:2]]
    photos = [str(len(took)), f"{np.median(took):.1f}" if took else ""]
    cells = [name, f"{reading.counts['frames'] / seconds:.1f}", *ages, *photos, f"{_resident_mb():.0f}"]
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
        print("| the cameras | pictures a second | age p50 ms | p95 ms | photos | s each | resident MB |")
        print("|---|---|---|---|---|---|---|")
        print(row("alone", watch(clip, gallery, seconds), seconds, []), flush=True)
        customer = Customer(photo)
        reading = watch(clip, gallery, seconds)
        customer.close()
        print(row("with photos", reading, seconds, customer.seconds))


if __name__ == "__main__":
    main()

"""Capacity: delays and dropped samples of unblur with a growing number of busy cameras.

    python -m benchmarks.capacity --data ../shared/data                    2, 4, 9 and 16 cameras at 720p25
    python -m benchmarks.capacity --data ../shared/data --cameras 9 --fps 15

Each camera is the same simulated clip of people of the val split, five or six at a time, played in a loop (`loop:`)
without viewers. For another rate the clip's frames are not encoded again but shown at `--fps`, slower or faster than
they were recorded. A measurement begins after `--warm` seconds and lasts for one pass over the clip. "Delay" is the
time from a frame's arrival to the name of a face in it; "present" are the enrolled people of the clip, on each camera.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from configs.loader import load
from configs.schema import Config
from stream.metrics import MetricsSnapshot
from stream.results import Event
from stream.simulation.ground_truth import GroundTruth
from stream.sources.factory import LOOP
from unblur.assembly.pipeline_run import Run, assemble
from unblur.evaluate.experiments.speed import Footage, record_clip

HEADER = (
    "| cameras | searched a second, each (least) | delay p50 s | delay p95 s | named of those present | wrong "
    "| samples named | samples dropped | restored | CPU cores |\n" + "|---" * 10 + "|"
)


@dataclass(slots=True)
class EventRecorder:
    """An event sink that keeps the delay of each event and the names, since the last `clear`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    delays_s: list[float] = field(default_factory=list)
    named: set[tuple[str, str]] = field(default_factory=set)

    def write(self, event: Event) -> None:
        with self.lock:
            if event.type != "end" and event.wall_time:
                self.delays_s.append((datetime.now(UTC) - event.wall_time).total_seconds())
            if event.identity.name:
                self.named.add((event.camera, event.identity.name))

    def close(self) -> None:
        """Nothing to close."""

    def clear(self) -> None:
        with self.lock:
            self.delays_s.clear()
            self.named.clear()


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """Counts, CPU seconds of the process, and the time, at one moment."""

    snapshot: MetricsSnapshot
    cpu_s: float
    now_s: float

    @classmethod
    def of(cls, run: Run) -> UsageSnapshot:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(run.snapshot(), usage.ru_utime + usage.ru_stime, time.monotonic())


def change_rate(clip: Path, fps: int, out: Path) -> float:
    """Copy a clip's frames to a clip of `fps` frames per second; return its length in seconds."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        assert stream.average_rate
        copy = target.add_stream_from_template(stream)
        stretch = Fraction(stream.average_rate, fps)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts = int(packet.pts * stretch), int(packet.dts * stretch)
                packet.stream = copy
                target.mux(packet)
        return stream.frames / fps


def configuration(out: Path, gallery: Path, cameras: int, folder: Path) -> Config:
    return load(None, {
        "cameras": [{"name": f"camera {number + 1}", "source": f"{LOOP}{out}"} for number in range(cameras)],
        "recognition": {"gallery": gallery},
        "output": {"events": folder / f"events-{cameras}.jsonl"},
    })  # fmt: skip


def measure(config: Config, known: set[str], warm_s: float, length_s: float) -> str:
    """Run the cameras and format a row of the table."""
    recorder = EventRecorder()
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None, recorder)
        running = threading.Thread(target=run.start)
        running.start()
        try:
            time.sleep(warm_s)
            recorder.clear()
            before = UsageSnapshot.of(run)
            time.sleep(length_s)
            after = UsageSnapshot.of(run)
            delays_s, named = list(recorder.delays_s), set(recorder.named)
        finally:
            run.pipelines[0].stop()
            running.join()
    return row(before, after, [source.camera for source in run.sources], delays_s, named, known)


def row(
    before: UsageSnapshot,
    after: UsageSnapshot,
    cameras: Sequence[str],
    delays_s: Sequence[float],
    named: set[tuple[str, str]],
    known: set[str],
) -> str:
    elapsed_s = after.now_s - before.now_s
    counts = Counter(after.snapshot.counts)
    counts.subtract(before.snapshot.counts)
    searched = [_count_new("detections", camera, before.snapshot, after.snapshot) / elapsed_s for camera in cameras]
    p50, p95 = np.percentile(delays_s, [50, 95]) if delays_s else (np.nan, np.nan)
    right = sum(name in known for _, name in named)
    return " | ".join([
        f"| {len(cameras)}",
        f"{np.mean(searched):.1f} ({min(searched):.1f})",
        f"{p50:.2f}",
        f"{p95:.2f}",
        f"{right} of {len(cameras) * len(known)}",
        f"{len(named) - right}",
        f"{counts['crops']}",
        f"{counts['looks dropped']}",
        f"{counts['restored']}",
        f"{(after.cpu_s - before.cpu_s) / elapsed_s:.2f} |",
    ])  # fmt: skip


def _count_new(name: str, camera: str, before: MetricsSnapshot, after: MetricsSnapshot) -> int:
    return after.by_camera.get((name, camera), 0) - before.by_camera.get((name, camera), 0)


def prepare_footage(data: Path, folder: Path) -> Footage:
    """Return the clip in `folder`; make it if it does not exist."""
    footage = Footage(folder / "clip.mp4", folder / "truth.json", folder / "gallery.joblib")
    return footage if footage.gallery.is_file() else record_clip(data, folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--cameras", type=int, nargs="+", default=[2, 4, 9, 16])
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--warm", type=float, default=15.0, help="seconds before a measurement begins")
    parser.add_argument("--films", type=Path, help="a folder that keeps the clip for the next time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        footage = prepare_footage(arguments.data, arguments.films or folder)
        length_s = change_rate(footage.clip, arguments.fps, folder / "paced.mp4")
        truth = GroundTruth.load(footage.truth)
        known = {one.person for one in truth.appearances if one.known}
        print(
            f"720p{arguments.fps}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before\n\n{HEADER}", flush=True
        )
        for cameras in arguments.cameras:
            config = configuration(folder / "paced.mp4", footage.gallery, cameras, folder)
            print(measure(config, known, arguments.warm, length_s), flush=True)


if __name__ == "__main__":
    main()

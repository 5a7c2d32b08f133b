"""Age of a live frame at its output: an RTSP camera at 720p30 through the whole of unblur.

    python -m benchmarks.rtsp_frame_age --data ../shared/data

The camera is GStreamer's RTSP server on the same machine, which sends an H.264 clip without encoding it again
(Debian packages: .ci/debian-packages). A frame's age is the time from its arrival, decoded, to its drawn overlay; the
delay of camera and network before that is not measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from configs.loader import load
from stream.metrics import MetricsSnapshot
from tests.stream.support.rtsp import RtspServer, why_not
from unblur.assembly.pipeline_run import assemble
from unblur.evaluate.experiments.speed import record_clip


def run_camera(address: str, gallery: Path, folder: Path, seconds: float) -> MetricsSnapshot:
    """Run the camera for so many seconds, with names, overlay and an MP4 file."""
    config = load(None, {
        "cameras": [{"name": "lobby", "source": address}],
        "recognition": {"gallery": gallery},
        "output": {"events": folder / "events.jsonl", "picture": str(folder / "film.mp4")},
    })  # fmt: skip
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None)
        threading.Timer(seconds, run.pipelines[0].stop).start()
        run.start()
    return run.meter.read()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rtsp_frame_age", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--seconds", type=float, default=25.0)
    arguments = parser.parse_args()
    if reason := why_not():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        footage = record_clip(arguments.data, folder)
        with RtspServer(film=footage.clip) as server:
            snapshot = run_camera(server.address("film"), footage.gallery, folder, arguments.seconds)
    counts, age = snapshot.counts, snapshot.frame_age_s
    assert age is not None, "no frame came"
    print("| frames shown | a second | detector runs | crops | age p50 ms | p95 ms | p99 ms |\n" + "|---" * 7 + "|")
    cells = [counts["frames"], f"{counts['frames'] / arguments.seconds:.1f}", counts["detections"], counts["crops"]]
    print("| " + " | ".join(map(str, [*cells, *(f"{1000 * second:.0f}" for second in age)])) + " |")


if __name__ == "__main__":
    main()

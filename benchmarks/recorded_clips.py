"""Runs unblur on the recorded clips: names, tracks and run time.

    python -m benchmarks.recorded_clips --data ../shared/data

The single-person clips are enrolled from their frames 0, 5 and 11, and run from frame 15 on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import av

from unblur.evaluate.scoring.event_log import LoggedEvent, read_events

FROM_THE_START = ("hamilton", "crowd_1080p", "no_face")
ENROLLED_FRAMES = 15


def start_s(clip: Path) -> float:
    if clip.stem in FROM_THE_START:
        return 0.0
    with av.open(str(clip)) as container:
        rate = container.streams.video[0].average_rate
        return float(ENROLLED_FRAMES / rate) if rate else 0.0


def unblur(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "unblur", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def row(clip: Path, gallery: Path, folder: Path) -> str:
    """Run a clip and format its row: names with tracks and best score, unknown tracks and their best score."""
    log = folder / f"{clip.stem}.jsonl"
    began = time.perf_counter()
    unblur("run", clip, "--gallery", gallery, "--events", log, "--from", str(start_s(clip)), "--quiet")
    seconds = time.perf_counter() - began
    ends = [event for event in read_events(log) if event.type == "end"]
    tracks: defaultdict[str | None, list[LoggedEvent]] = defaultdict(list)
    for event in ends:
        tracks[event.name].append(event)
    unknown = tracks.pop(None, [])
    named = "; ".join(f"{name} ({len(ends)} tracks, {_best(ends)})" for name, ends in sorted(tracks.items(), key=str))
    return f"| {clip.stem} | {named or '-'} | {len(unknown)} | {_best(unknown)} | {seconds:.1f} |"


def _best(events: Sequence[LoggedEvent]) -> str:
    return f"{max(event.score for event in events):.2f}" if events else "-"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorded_clips", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    clips = parser.parse_args().data / "clips"
    with tempfile.TemporaryDirectory() as name:
        gallery = Path(name) / "people.joblib"
        unblur("enroll", clips / "gallery", "--gallery", gallery)
        print("| clip | named (tracks, best score at the end) | unknown tracks | their best score | seconds |")
        print("|---|---|---|---|---|")
        for clip in sorted(clips.glob("*.mp4")):
            print(row(clip, gallery, Path(name)), flush=True)


if __name__ == "__main__":
    main()

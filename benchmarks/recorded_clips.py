"""The recorded clips through the whole of unblur: who is named, in how many tracks, and how fast it goes.

    python -m benchmarks.recorded_clips --data ../shared/data

The single-person clips are enrolled from frames 0, 5 and 11 of their own, and watched from frame 15 on.
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


def begin_s(clip: Path) -> float:
    if clip.stem in FROM_THE_START:
        return 0.0
    with av.open(str(clip)) as container:
        rate = container.streams.video[0].average_rate
        return float(ENROLLED_FRAMES / rate) if rate else 0.0


def unblur(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "unblur", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def row(clip: Path, gallery: Path, folder: Path) -> str:
    """A clip's line: every name with its tracks and best score, the unknown tracks, and the best score among those."""
    log = folder / f"{clip.stem}.jsonl"
    began = time.perf_counter()
    unblur("run", clip, "--gallery", gallery, "--events", log, "--from", str(begin_s(clip)), "--quiet")
    seconds = time.perf_counter() - began
    ends = [event for event in read_events(log) if event.type == "end"]
    tracks: defaultdict[str | None, list[LoggedEvent]] = defaultdict(list)
    for event in ends:
        tracks[event.name].append(event)
    unknown = tracks.pop(None, [])
    named = "; ".join(f"{name} ({len(seen)} tracks, {_best(seen)})" for name, seen in sorted(tracks.items(), key=str))
    return f"| {clip.stem} | {named or 'nobody'} | {len(unknown)} | {_best(unknown)} | {seconds:.1f} |"


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

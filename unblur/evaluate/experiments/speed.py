"""How much faster than a plain loop over the same networks, and does it find as many people? `unblur bench` runs this.

    unblur bench --data ../shared/data                 frames per second, CPU, memory and names, side by side; and
                                                       where unblur's own time goes
    unblur bench --data ../shared/data --minutes 10    and memory over ten minutes of footage

The clip is simulated: 720p30, people of the val split walking past, about five at a time. Every program runs as a
process of its own on the same clip; times are whole processes, start-up included.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import av

from configs.schema import Config
from detectors.yunet import YuNet
from models.assets.fetch import fetch
from models.backends.selection import load
from stream.simulation.ground_truth import GroundTruth
from unblur.evaluate.data.clips import ClipSettings, film, lay_out, one_each, walkers
from unblur.evaluate.data.datasets import ARCHIVE, roles
from unblur.evaluate.experiments.stage_times import Stages
from unblur.evaluate.scoring.event_log import read_events, score
from unblur.people.enrollment import enroll
from unblur.terminal import show_activity

KNOWN, STRANGERS, AT_ONCE, SEED = 12, 4, 6, 0
MEMORY_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Process:
    """What a finished process took: seconds of wall and CPU time, and its memory (MB) second by second."""

    wall_s: float
    cpu_s: float
    memory_mb: Sequence[float]


@dataclass(frozen=True, slots=True)
class Footage:
    """The clip to be watched, its truth, and the gallery of the people in it."""

    clip: Path
    truth: Path
    gallery: Path

    @property
    def frames(self) -> int:
        return GroundTruth.load(self.truth).frames


def recorded(data: Path, folder: Path, known: int = KNOWN, strangers: int = STRANGERS) -> Footage:
    """Record the clip of so many people and enrol those who are to be known."""
    footage = Footage(folder / "clip.mp4", folder / "truth.json", folder / "gallery.joblib")
    people, detector = roles(data / "val" / ARCHIVE), YuNet(load(fetch("yunet")))
    passers = walkers(one_each(people["probe"])[:known], detector, known=True)
    passers += walkers(one_each(people["strangers"])[:strangers], detector, known=False)
    with show_activity("filming people who walk past"):
        film(passers, ClipSettings("slow", AT_ONCE), SEED, footage.clip, footage.truth)
    enroll(Config(), lay_out(people["gallery"], folder / "people"), footage.gallery, strict=False)
    return footage


def watched(program: str, command: Sequence[str | Path]) -> Process:
    """Run the command of a program to its end, and measure it. An interruption kills it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    memory = []
    with show_activity(program), ExitStack() as stack:
        # A session of its own: Ctrl-C is for this process to meet.
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, start_new_session=True)
        stack.enter_context(process)
        stack.callback(process.kill)
        while process.poll() is None:
            memory.append(_resident_mb(process.pid))
            with suppress(subprocess.TimeoutExpired):
                process.wait(MEMORY_EVERY_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(map(str, command)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Process(time.perf_counter() - start, cpu, memory)


def _resident_mb(pid: int) -> float:
    """Resident memory now, without what is mapped from files: Linux only; 0 when the process has just gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def ours(footage: Footage, events: Path, *options: str) -> list[str | Path]:
    return [
        *(sys.executable, "-m", "unblur", "run", footage.clip, "--gallery", footage.gallery),
        *("--events", events, "--output", "none", "--quiet"),
        *options,
    ]


def plain(footage: Footage, found: Path, *options: str) -> list[str | Path]:
    return [
        sys.executable,
        "-m",
        "unblur.evaluate.experiments.plain_loop",
        footage.clip,
        footage.gallery,
        found,
        *options,
    ]


def compare(footage: Footage, folder: Path) -> str:
    """The table of all programs, as Markdown."""
    truth = GroundTruth.load(footage.truth)
    shown = {one.person for one in truth.appearances if one.known}
    found, again = folder / "plain.json", folder / "prepared.json"
    log, unrestored = folder / "events.jsonl", folder / "unrestored.jsonl"
    commands = {
        "plain loop, OpenCV's classes": plain(footage, found),
        "plain loop, unblur's prepared SFace": plain(footage, again, "--prepared"),
        OURS: ours(footage, log, "--deblur", "cnn"),
        "unblur, nothing restored": ours(footage, unrestored, "--deblur", "off"),
    }
    processes = {program: watched(program, command) for program, command in commands.items()}
    named = [_listed(found), _listed(again), _logged(log), _logged(unrestored)]
    lines = [_at_once(truth), "", HEADER]
    for (program, process), names in zip(processes.items(), named, strict=True):
        told = f"{len(shown & names)} of {len(shown)} | {len(names - shown)}"
        lines.append(_row(program, process, footage.frames, told))
    first, second = (process.wall_s / processes[OURS].wall_s for process in list(processes.values())[:2])
    lines += [
        "",
        f"unblur with its network runs at {first:.1f} times the rate of the first, {second:.1f} of the second.",
    ]
    result = score(read_events(log), truth)
    known = len(result.outcomes) - sum(not one.appearance.known for one in result.outcomes)
    return "\n".join(
        [*lines, f"At the end of their tracks {result.count('right', known=True)} of {known} bear the right name."]
    )


def _listed(names: Path) -> set[str]:
    return set(json.loads(names.read_text(encoding="utf-8")))


def _logged(events: Path) -> set[str]:
    return {event.name for event in read_events(events) if event.name}


def by_stage(footage: Footage, folder: Path) -> str:
    """Where unblur's time goes, as Markdown."""
    out = folder / "stages.json"
    watched(
        "unblur, stage by stage",
        [sys.executable, "-m", "unblur.evaluate.experiments.stage_times", footage.clip, footage.gallery, out],
    )
    return Stages.load(out).table()


OURS = "unblur, restored by its network"
HEADER = (
    "| program | frames/s | wall s | CPU s | peak MB | people named | others named |\n|---|---|---|---|---|---|---|"
)


def _row(program: str, process: Process, frames: int, named: str) -> str:
    rate, memory = frames / process.wall_s, max(process.memory_mb)
    return f"| {program} | {rate:.1f} | {process.wall_s:.1f} | {process.cpu_s:.1f} | {memory:.0f} | {named} |"


def _at_once(truth: GroundTruth) -> str:
    faces = Counter(sighting.frame for one in truth.appearances for sighting in one.sightings)
    number = [faces[frame] for frame in range(truth.frames)]
    mean, middle = sum(number) / len(number), sorted(number)[len(number) // 10 : -len(number) // 10]
    return (
        f"{truth.frames} frames of 720p; faces at once: mean {mean:.1f}, in 8 of 10 frames {middle[0]} to {middle[-1]}."
    )


def endure(footage: Footage, folder: Path, minutes: float) -> str:
    """Memory over a long recording: the clip again and again in one file, without encoding it anew."""
    rate = GroundTruth.load(footage.truth).fps
    loops = max(1, round(minutes * 60 * rate / footage.frames))
    long = Footage(_repeated(footage.clip, folder / "long.mp4", loops), footage.truth, footage.gallery)
    memory = watched(f"unblur, for {minutes:g} minutes of footage", ours(long, folder / "long.jsonl")).memory_mb
    tenth = max(1, len(memory) // 10)
    told = [f"{max(memory[i : i + tenth]):.0f}" for i in range(0, len(memory), tenth)]
    length = loops * footage.frames / rate / 60
    return f"Peak memory in MB, in each tenth of {length:.1f} minutes of footage: {', '.join(told)}"


def _repeated(clip: Path, out: Path, times: int) -> Path:
    with av.open(str(out), "w") as target:
        written, offset = None, 0
        for _ in range(times):
            with av.open(str(clip)) as source:
                stream = source.streams.video[0]
                written = written or target.add_stream_from_template(stream)
                last = offset
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, written
                    last = max(last, packet.pts + (packet.duration or 1))
                    target.mux(packet)
                offset = last
    return out


def bench(data: Path, minutes: float) -> str:
    """Everything that was asked for, as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        footage = recorded(data, folder)
        parts = [compare(footage, folder), by_stage(footage, folder)]
        if minutes:
            parts.append(endure(footage, folder, minutes))
        return "\n\n".join(parts)

"""`unblur bench`: compares speed, memory and names with a plain loop over the same networks.

    unblur bench --data ../shared/data                 frames per second, CPU, memory and names of each program,
                                                       and the time of each stage of unblur
    unblur bench --data ../shared/data --minutes 10    and memory over ten minutes of footage

The clip is simulated: 720p30, people of the val split walking past, about five at a time. Every program runs in a
separate process on the same clip; times include the start of the process.
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
from unblur.evaluate.data.clips import (
    ClipSettings,
    detect_walkers,
    one_photograph_each,
    simulate_clip,
    write_photographs,
)
from unblur.evaluate.data.datasets import ARCHIVE, read_roles
from unblur.evaluate.experiments.stage_times import Stages
from unblur.evaluate.scoring.event_log import read_events, score
from unblur.people.enrollment import enroll
from unblur.terminal import show_activity

MATED, NON_MATED, AT_ONCE, SEED = 12, 4, 6, 0
MEMORY_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Resources of a finished process: wall and CPU seconds, and its memory (MB), one value per second."""

    wall_s: float
    cpu_s: float
    memory_mb: Sequence[float]


@dataclass(frozen=True, slots=True)
class Footage:
    """A clip, its ground truth, and the gallery of the people in it."""

    clip: Path
    truth: Path
    gallery: Path

    @property
    def frames(self) -> int:
        return GroundTruth.load(self.truth).frames


def record_clip(data: Path, folder: Path, mated: int = MATED, non_mated: int = NON_MATED) -> Footage:
    """Simulate a clip of so many people and enroll the mated ones."""
    footage = Footage(folder / "clip.mp4", folder / "truth.json", folder / "gallery.joblib")
    people, detector = read_roles(data / "val" / ARCHIVE), YuNet(load(fetch("yunet")))
    walkers = detect_walkers(one_photograph_each(people["probe"])[:mated], detector, known=True)
    walkers += detect_walkers(one_photograph_each(people["strangers"])[:non_mated], detector, known=False)
    with show_activity("filming people who walk past"):
        simulate_clip(walkers, ClipSettings("slow", AT_ONCE), SEED, footage.clip, footage.truth)
    enroll(Config(), write_photographs(people["gallery"], folder / "people"), footage.gallery, strict=False)
    return footage


def measure_process(program: str, command: Sequence[str | Path]) -> ProcessUsage:
    """Run a program's command to its end and measure it. Killed on an interruption."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    memory = []
    with show_activity(program), ExitStack() as stack:
        # A new session: Ctrl-C reaches this process only, which then kills the child.
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
    return ProcessUsage(time.perf_counter() - start, cpu, memory)


def _resident_mb(pid: int) -> float:
    """Return the resident memory (Linux only); 0 if the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def unblur_command(footage: Footage, events: Path, *options: str) -> list[str | Path]:
    return [
        *(sys.executable, "-m", "unblur", "run", footage.clip, "--gallery", footage.gallery),
        *("--events", events, "--output", "none", "--quiet"),
        *options,
    ]


def plain_command(footage: Footage, names: Path, *options: str) -> list[str | Path]:
    return [
        sys.executable,
        "-m",
        "unblur.evaluate.experiments.plain_loop",
        footage.clip,
        footage.gallery,
        names,
        *options,
    ]


def compare(footage: Footage, folder: Path) -> str:
    """Run all programs and make their table, as Markdown."""
    truth = GroundTruth.load(footage.truth)
    present = {one.person for one in truth.appearances if one.known}
    plain_names, prepared_names = folder / "plain.json", folder / "prepared.json"
    log, unrestored = folder / "events.jsonl", folder / "unrestored.jsonl"
    commands = {
        "plain loop, OpenCV's classes": plain_command(footage, plain_names),
        "plain loop, unblur's prepared SFace": plain_command(footage, prepared_names, "--prepared"),
        OURS: unblur_command(footage, log, "--deblur", "cnn"),
        "unblur, nothing restored": unblur_command(footage, unrestored, "--deblur", "off"),
    }
    processes = {program: measure_process(program, command) for program, command in commands.items()}
    named = [_read_names(plain_names), _read_names(prepared_names), _names_in_log(log), _names_in_log(unrestored)]
    lines = [_describe_clip(truth), "", HEADER]
    for (program, process), names in zip(processes.items(), named, strict=True):
        cells = f"{len(present & names)} of {len(present)} | {len(names - present)}"
        lines.append(_row(program, process, footage.frames, cells))
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


def _read_names(names: Path) -> set[str]:
    return set(json.loads(names.read_text(encoding="utf-8")))


def _names_in_log(events: Path) -> set[str]:
    return {event.name for event in read_events(events) if event.name}


def stage_table(footage: Footage, folder: Path) -> str:
    """Measure the time of each stage of unblur, as Markdown."""
    out = folder / "stages.json"
    measure_process(
        "unblur, stage by stage",
        [sys.executable, "-m", "unblur.evaluate.experiments.stage_times", footage.clip, footage.gallery, out],
    )
    return Stages.load(out).table()


OURS = "unblur, restored by its network"
HEADER = (
    "| program | frames/s | wall s | CPU s | peak MB | people named | others named |\n|---|---|---|---|---|---|---|"
)


def _row(program: str, process: ProcessUsage, frames: int, named: str) -> str:
    rate, memory = frames / process.wall_s, max(process.memory_mb)
    return f"| {program} | {rate:.1f} | {process.wall_s:.1f} | {process.cpu_s:.1f} | {memory:.0f} | {named} |"


def _describe_clip(truth: GroundTruth) -> str:
    faces = Counter(sighting.frame for one in truth.appearances for sighting in one.sightings)
    number = [faces[frame] for frame in range(truth.frames)]
    mean, middle = sum(number) / len(number), sorted(number)[len(number) // 10 : -len(number) // 10]
    return (
        f"{truth.frames} frames of 720p; faces at once: mean {mean:.1f}, in 8 of 10 frames {middle[0]} to {middle[-1]}."
    )


def measure_memory(footage: Footage, folder: Path, minutes: float) -> str:
    """Measure the memory over a long recording: the clip repeated in one file, without encoding it again."""
    rate = GroundTruth.load(footage.truth).fps
    loops = max(1, round(minutes * 60 * rate / footage.frames))
    long = Footage(_repeat_clip(footage.clip, folder / "long.mp4", loops), footage.truth, footage.gallery)
    memory = measure_process(
        f"unblur, for {minutes:g} minutes of footage", unblur_command(long, folder / "long.jsonl")
    ).memory_mb
    tenth = max(1, len(memory) // 10)
    peaks = [f"{max(memory[i : i + tenth]):.0f}" for i in range(0, len(memory), tenth)]
    length = loops * footage.frames / rate / 60
    return f"Peak memory in MB, in each tenth of {length:.1f} minutes of footage: {', '.join(peaks)}"


def _repeat_clip(clip: Path, out: Path, times: int) -> Path:
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
    """Run all measurements and return their tables, as Markdown. `minutes`: length of the memory test; 0 for none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        footage = record_clip(data, folder)
        parts = [compare(footage, folder), stage_table(footage, folder)]
        if minutes:
            parts.append(measure_memory(footage, folder, minutes))
        return "\n\n".join(parts)

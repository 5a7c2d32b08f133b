"""Time per stage of a run over a recording: milliseconds per frame, and shares.

    python -m unblur.evaluate.experiments.stage_times CLIP GALLERY OUT.json

Runs the whole program as `unblur run` assembles it, without a display. Stages run in parallel threads, so their times
add up to the work, not to the wall time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from configs.loader import load
from stream.metrics import MetricsSnapshot
from unblur.assembly.pipeline_run import assemble


@dataclass(frozen=True, slots=True)
class Stages:
    """Counts of a run (frames, detections, crops, restored crops) and seconds by stage."""

    counts: Mapping[str, int]
    seconds: Mapping[str, float]

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, snapshot: MetricsSnapshot) -> Self:
        counts = {name: snapshot.counts.get(name, 0) for name in ("frames", "detections", "crops", "restored")}
        return cls(counts, snapshot.seconds)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"counts": dict(self.counts), "seconds": dict(self.seconds)}), encoding="utf-8")

    def table(self) -> str:
        """Format as Markdown, the most expensive stage first."""
        total, frames = sum(self.seconds.values()) or 1.0, self.counts["frames"] or 1
        lines = [
            "{frames} frames, {detections} searched; {crops} crops, {restored} of them restored.".format(**self.counts),
            "",
            "| stage | seconds | ms a frame | share |\n|---|---|---|---|",
        ]
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            lines.append(f"| {name} | {seconds:.2f} | {1000 * seconds / frames:.2f} | {100 * seconds / total:.0f} % |")
        return "\n".join(lines)


def measure(clip: Path, gallery: Path) -> Stages:
    """Run the program over the whole clip and measure its stages."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = load(None, {
            "cameras": [{"name": "clip", "source": str(clip)}],
            "recognition": {"gallery": gallery},
            "output": {"events": Path(folder) / "events.jsonl", "quiet": True},
        })  # fmt: skip
        run = assemble(config, stack, lambda _: None)
        run.start()
    return Stages.of(run.meter.read())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m unblur.evaluate.experiments.stage_times", description=__doc__.splitlines()[0]
    )
    for name in ("clip", "gallery", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    measure(arguments.clip, arguments.gallery).save(arguments.out)
